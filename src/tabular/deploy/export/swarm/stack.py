"""The stack file: services with what a swarm does for them, and what they mount."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tabular.deploy.export.compose import READY
from tabular.deploy.export.portable import Containers, is_own
from tabular.deploy.spec.model import Compute
from tabular.deploy.spec.quantities import format_size
from tabular.deploy.standalone.compose import API_PORT

STACK, PUBLISH, DESCRIPTION = "stack.yaml", "publish.yaml", "deployment.json"
# The newest that every `docker stack` from 20.10 on reads.
_VERSION = "3.8"
# What a swarm does itself, or has no word for.
_DROPPED = ("restart", "security_opt", "depends_on", "tmpfs", "ports")
_DIGITS = 12
# A name is known once its server is healthy, and a swarm starts everything at the same time.
_MIGRATE = "until python -m tabular.api migrate; do sleep 3; done"
_SERVE = "exec python -m tabular.api serve"
_START = "180s"  # of which a new server of the database may take two minutes


def stack_file(
    name: str, containers: Containers, compute: Compute, description: bytes
) -> dict[str, Any]:
    """The whole file.

    Args:
        name: of the stack.
        containers: what runs.
        compute: how much of it, and how large.
        description: what is deployed, which a swarm keeps beside it.
    """
    # Neither can be changed in a swarm, so another content is another config.
    version = hashlib.sha256(description).hexdigest()[:_DIGITS]
    services = {key: _service(name, key, one, compute) for key, one in containers.services.items()}
    services["api"]["command"] = ["sh", "-c", f"{_MIGRATE}; {_SERVE}"]
    services["api"]["healthcheck"] = {**services["api"]["healthcheck"], "start_period": _START}
    services["api"]["configs"] = [
        {"source": "deployment", "target": f"/etc/inferloop/{DESCRIPTION}", "mode": 0o444}
    ]
    services["api"]["networks"] = ["inside", "edge"]
    if "database" in services:
        services["database"]["healthcheck"] = READY
    encrypted = {"driver": "overlay", "driver_opts": {"encrypted": "true"}}
    return {
        "version": _VERSION,
        "services": services,
        "networks": {"inside": encrypted, "edge": {**encrypted, "attachable": True}},
        "volumes": {volume: {} for volume in containers.volumes},
        "secrets": {
            secret: {"external": True, "name": f"{name}-{secret}"} for secret in containers.secrets
        },
        "configs": {
            "deployment": {"name": f"{name}-deployment-{version}", "file": f"./{DESCRIPTION}"}
        },
    }


def publish() -> dict[str, Any]:
    """What is laid over the stack to publish the API at a port of every node."""
    port = {"target": API_PORT, "published": "${PORT}", "protocol": "tcp", "mode": "ingress"}
    return {"version": _VERSION, "services": {"api": {"ports": [port]}}}


def label(name: str) -> str:
    """The label of the node that has the data of a stack."""
    return f"inferloop.{name}"


def _service(name: str, key: str, given: Mapping[str, Any], compute: Compute) -> dict[str, Any]:
    own = is_own(given)
    kept = {key: one for key, one in given.items() if key not in _DROPPED}
    volumes = [
        dict(zip(("type", "source", "target"), ("volume", *one.split(":")), strict=True))
        for one in given.get("volumes", ())
    ]
    if "tmpfs" in given:
        volumes += [{"type": "tmpfs", "target": one} for one in given["tmpfs"]]
    return {
        **kept,
        "init": True,
        "secrets": [{"source": one, "target": one, **_reader(given)} for one in given["secrets"]],
        "volumes": volumes,
        "networks": ["inside"],
        "deploy": {
            "replicas": {"api": compute.instances, "worker": compute.workers}.get(key, 1),
            **_changes(own),
            "restart_policy": {"condition": "any", "delay": "5s"},
            **(_place(name) if given.get("volumes") else {}),
            **(_resources(compute) if own else {}),
        },
    }


def _changes(own: bool) -> dict[str, Any]:
    """How a service is reached and replaced: one after the other, back if one does not hold."""
    if not own:
        # Two servers on one volume would destroy it. A swarm's balancer would cut connections that
        # nobody uses for 15 minutes, as pools have them.
        update = {"order": "stop-first", "failure_action": "pause"}
        return {"endpoint_mode": "dnsrr", "update_config": update}
    order = {"parallelism": 1, "order": "start-first", "monitor": "90s"}
    return {
        "update_config": {**order, "failure_action": "rollback"},
        "rollback_config": {**order, "failure_action": "pause"},
    }


def _reader(given: Mapping[str, Any]) -> dict[str, Any]:
    """Who may read a secret: the user of the container, or all where its image takes another."""
    if "user" not in given:
        return {"mode": 0o444}
    return {"uid": given["user"].partition(":")[0], "mode": 0o400}


def _place(name: str) -> dict[str, Any]:
    return {"placement": {"constraints": [f"node.labels.{label(name)} == data"]}}


def _resources(compute: Compute) -> dict[str, Any]:
    found = {
        "limits": _amounts(compute.cpu_limit, compute.memory_limit),
        "reservations": _amounts(compute.cpu, compute.memory),
    }
    kept = {key: one for key, one in found.items() if one}
    return {"resources": kept} if kept else {}


def _amounts(cores: Any, memory: int | None) -> dict[str, str]:
    found = {} if cores is None else {"cpus": f"{cores.normalize():f}"}
    return found if memory is None else {**found, "memory": format_size(memory)}

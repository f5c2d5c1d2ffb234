"""What a swarm can give of each field of the spec; all others are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.capability import (
    SEVERAL_PLACES,
    CapabilityTable,
    Support,
    emulated,
    leaf_paths,
    lookup,
    native,
    unsupported,
    without_noes,
)
from tabular.deploy.spec import Deployment, asked

NAME = "swarm"
_CLOUD = "belongs to a cloud; leave it out"
_CLUSTER = "belongs to Kubernetes; leave it out"
_GENERATED = "generated once by deploy.sh; leave it out"
_FIXED = "a swarm does not scale by itself; `docker service scale` does"
_DISK = "as much as the node's disk has; no quota"
_ONE = "one server, started again when it dies"
_VERSION = "the version of the image"
_PROXY = "put a reverse proxy with TLS of your own before the service; leave it out"
_METRICS = "scrape /metrics with a Prometheus of your own; leave it out"
_BACKUP = "run `inferloop-tabular backup create --to URL` by a timer of your own, such as cron"

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "compute.type": ("container", None),
    "compute.gpu": ("none", "optional"),
    "storage.type": ("object", "file", "local"),
    "database.type": ("postgresql", None),
    "cache.type": ("redis", "valkey", "memory"),
    "queue.type": ("native", "filesystem"),
    "topology": ("single",),
    "onprem.distribution": ("swarm", None),
}

CAPABILITIES: CapabilityTable = {
    "provider": native(),
    "environment": native("a stack of its own"),
    "region": unsupported("a swarm has none; leave it out"),
    "account": unsupported("a swarm has none; leave it out"),
    "ha": emulated("what dies is started again; what has data is on one node"),
    "topology": native("single"),
    "providers": SEVERAL_PLACES,
    "data": unsupported("a swarm is one place; leave it out"),
    "compute.type": native("container"),
    "compute.instances": native("replicas of the API"),
    "compute.workers": native("replicas of the worker"),
    "compute.cpu": native("a reservation"),
    "compute.memory": native("a reservation"),
    "compute.cpu_limit": native(),
    "compute.memory_limit": native(),
    "compute.gpu": emulated("none; `required` is refused"),
    "compute.min_instances": emulated(_FIXED),
    "compute.max_instances": emulated(_FIXED),
    "compute": unsupported(_CLOUD),
    "storage.type": native("a volume of the node that is labelled for it"),
    "storage.size": emulated(_DISK),
    "storage.replication": emulated("one copy"),
    "storage": unsupported("a volume of one node has none of it; leave it out"),
    "database.type": native("PostgreSQL, with a volume of that node"),
    "database.version": emulated(_VERSION),
    "database.size": emulated(_DISK),
    "database.ha": emulated(_ONE),
    "database.password": unsupported(_GENERATED),
    "database": unsupported("the server in the stack has none of it; leave it out"),
    "cache.type": native("Valkey; memory needs none"),
    "cache.size": native("memory limit of the server"),
    "cache.version": emulated(_VERSION),
    "cache.ha": emulated(_ONE),
    "cache.password": unsupported(_GENERATED),
    "cache": unsupported("the server in the stack has none of it; leave it out"),
    "queue.type": native("a folder of that node: native or filesystem"),
    "queue.visibility_timeout": native("lease of a job"),
    "queue.max_attempts": native("tries of a job"),
    "queue": unsupported("the queue is a folder here and carries only ids; leave it out"),
    "monitoring.enabled": emulated("/metrics is always there"),
    "monitoring.retention": emulated("metrics are offered, not kept"),
    "monitoring.log_retention": emulated("logs are kept as Docker is set up to"),
    "monitoring": unsupported(_METRICS),
    "networking": unsupported(_PROXY),
    "backup": unsupported(_BACKUP),
    "image": native(),
    "security": unsupported("encrypt the disk of the node; leave it out"),
    "policy": native("checked by the orchestrator"),
    "onprem.distribution": native("swarm"),
    "onprem": unsupported(_CLUSTER),
    "overrides": unsupported("change the stack file by another one beside it; leave it out"),
}


def in_part(deployment: Deployment) -> str:
    """The section of a README on what the spec asks for and a swarm gives only in part."""
    asks = leaf_paths(without_noes(asked(deployment)))
    found = {path: lookup(CAPABILITIES, path) for path in asks}
    lines = [
        f"- `spec.{path}`: {one.note}\n"
        for path, one in found.items()
        if one.support is Support.EMULATED
    ]
    return "\n## What it gives in part\n\n" + "".join(lines) if lines else ""

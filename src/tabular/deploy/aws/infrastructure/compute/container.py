"""What every kind of compute says of the one container that they all run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.compute import collector
from tabular.deploy.aws.infrastructure.service import (
    API_COMMAND,
    METRICS_PORT,
    MIGRATE_COMMAND,
    PORT,
    WORKER_COMMAND,
    environment,
)
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, att, ref
from tabular.deploy.stack import Reduction
from tabular.infra.config import variable

SCRATCH = "/tmp"  # noqa: S108 - inside the container; the only folder that it may write to
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "api": API_COMMAND,
    "worker": WORKER_COMMAND,
    "migrate": MIGRATE_COMMAND,
}
# Seconds from SIGTERM to SIGKILL. The API ends its requests and a worker its job or gives it back
# in less; Fargate Spot and EC2 Spot warn two minutes before.
STOP = 30
# What says whether a program can work, and whether it lives.
_READY = {"api": (PORT, "/ready"), "worker": (METRICS_PORT, "/health")}
_ALIVE = {"api": (PORT, "/health"), "worker": (METRICS_PORT, "/health")}


def settings(wanted: Wanted, program: str) -> dict[str, Any]:
    """Variables of a program, sorted: ``api``, ``migrate``, ``worker``, ``function``, ``job``."""
    found = environment(wanted)
    if program not in ("api", "migrate"):
        found.pop(variable("admin_key"), None)  # nobody else has, or needs, the right to read it
    if not wanted.served:
        found.pop(variable("database_url"), None)  # generation alone knows no database
    if wanted.on_instances:
        # Fargate and Lambda say it themselves; without it a secret that is named, and not by its
        # ARN, is looked for nowhere.
        found["AWS_REGION"] = ref("AWS::Region")
    if program in _READY and collector.runs(wanted):
        found |= collector.SENDING
    if program in _READY:
        found[variable("host")] = "0.0.0.0"  # noqa: S104 - security groups say who gets there
    if program == "worker":
        found[variable("metrics_port")] = str(METRICS_PORT)
    if program == "api" and wanted.own_network:
        found[variable("trusted_proxies")] = _balancers(wanted)
    return dict(sorted(found.items()))


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What the service cannot know of a network that it did not make."""
    yield from collector.reductions(wanted)
    if wanted.served and not wanted.own_network:
        yield Reduction(
            "spec.networking.network",
            "requests counted for each client",
            "requests without a key counted for the load balancer",
            "which addresses an existing network gives the load balancer is not known here",
        )


def _balancers(wanted: Wanted) -> Any:
    """The addresses that the load balancer may have: those of the subnets it is in."""
    kind = "Public" if wanted.published else "Private"
    subnets = [f"{kind}Subnet{number}" for number in wanted.zone_numbers]
    return {"Fn::Join": [",", [att(name, "CidrBlock") for name in subnets]]}


def ready(program: str) -> list[str]:
    """The command that ends with 0 once a program can work, with all that it stands on."""
    return _asking(*_READY[program])


def alive(program: str) -> list[str]:
    """The command that ends with 0 while a program lives, whatever it stands on.

    Whoever ends a program that is not well asks this: ending it mends no database that is away,
    and it would not come back before the database does.
    """
    return _asking(*_ALIVE[program])


def _asking(port: int, path: str) -> list[str]:
    asked = f"http://127.0.0.1:{port}{path}"
    return ["python", "-c", f"import urllib.request as r; r.urlopen('{asked}', timeout=4)"]


def log_group(program: str) -> Document:
    """Where its log goes: the API's migrations belong to the API."""
    return ref(f"{'Api' if program == 'migrate' else program.capitalize()}LogGroup")

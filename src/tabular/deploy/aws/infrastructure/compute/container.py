"""What every kind of compute says of the one container that they all run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.aws.document import Document, ref
from tabular.deploy.aws.infrastructure.service import (
    API_COMMAND,
    METRICS_PORT,
    MIGRATE_COMMAND,
    PORT,
    WORKER_COMMAND,
    environment,
)
from tabular.deploy.aws.wanted import Wanted
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
_ASKED = {"api": (PORT, "/ready"), "worker": (METRICS_PORT, "/health")}


def settings(wanted: Wanted, program: str) -> dict[str, Any]:
    """Variables of a program, sorted: ``api``, ``worker`` or ``migrate``."""
    found = {**environment(wanted), variable("host"): "0.0.0.0"}  # noqa: S104 - its own network
    if program == "worker":
        found[variable("metrics_port")] = str(METRICS_PORT)
    if program == "api" and wanted.own_network:
        # The load balancer's addresses change, but they are in the network that is made.
        found[variable("trusted_proxies")] = networks(wanted)
    return dict(sorted(found.items()))


def networks(wanted: Wanted) -> Any:
    """The addresses that the load balancer may have."""
    return {"Fn::GetAtt": ["Vpc", "CidrBlock"]}


def question(program: str) -> list[str]:
    """The command that ends with 0 while the program is well, as the image asks it."""
    port, path = _ASKED[program]
    asked = f"http://127.0.0.1:{port}{path}"
    return ["python", "-c", f"import urllib.request as r; r.urlopen('{asked}', timeout=4)"]


def log_group(program: str) -> Document:
    """Where its log goes: the API's migrations belong to the API."""
    return ref("WorkerLogGroup" if program == "worker" else "ApiLogGroup")

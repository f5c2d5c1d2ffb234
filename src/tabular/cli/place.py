"""Which deployment a command means: the flags every deployment command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabular.deploy import Orchestrator, open_orchestrator
from tabular.deploy.provider import ProviderOptions

ProviderFlag = Annotated[
    str, typer.Option("--provider", help="aws, gcp, azure, onprem or standalone (this machine).")
]
NameFlag = Annotated[
    str | None, typer.Option("--name", help="Name of the deployment; needed where several run.")
]
EnvironmentFlag = Annotated[
    str | None,
    typer.Option("--environment", help="development, staging, production …; isolates state."),
]
HomeFlag = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="INFERLOOP_TABULAR_HOME",
        help="Folder for everything the standalone provider keeps; XDG folders by default.",
    ),
]
RuntimeFlag = Annotated[
    str | None, typer.Option("--runtime", help="Standalone only: process (default) or container.")
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts and CI.")]

DEFAULT_PROVIDER = "standalone"


def connect(provider: str, home: Path | None, runtime: str | None = None) -> Orchestrator:
    """The orchestrator these flags mean."""
    return open_orchestrator(provider, ProviderOptions(home=home, runtime=runtime))

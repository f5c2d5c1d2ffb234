"""Which deployment a command means: the flags every deployment command shares."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from tabular.cli.joined import Command, join
from tabular.deploy import DEFAULT_PROVIDER, Orchestrator, Status, open_orchestrator
from tabular.deploy.provider import Engine, ProviderOptions

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


def connect(provider: str, home: Path | None, runtime: str | None = None) -> Orchestrator:
    """The orchestrator these flags mean."""
    return open_orchestrator(provider, ProviderOptions(home=home, runtime=runtime))


class Place:
    """One deployment at one provider, as the flags say; the only one needs no name.

    Args:
        provider: entry-point name.
        name: of the deployment.
        environment: of the deployment.
        home: for the standalone provider.

    Attributes:
        orchestrator: drives the provider.
        with_runtime: an orchestrator that compiles for another runtime.
    """

    def __init__(
        self, provider: str, name: str | None, environment: str | None, home: Path | None
    ) -> None:
        self.orchestrator = connect(provider, home)
        self.with_runtime = functools.partial(connect, provider, home)
        self._name, self._environment = name, environment

    @property
    def engine(self) -> Engine:
        """The provider's engine."""
        return self.orchestrator.provider.engine

    def find(self) -> Status:
        """The one deployment that is meant.

        Raises:
            NotFoundError: none fits.
            UsageError: several fit; lists them.
        """
        return self.orchestrator.find(self._name, self._environment)


def place_flags(command: Command) -> Command:
    """Give a command that takes ``place: Place`` the options it is made of."""
    flags = {
        "provider": (ProviderFlag, DEFAULT_PROVIDER),
        "name": NameFlag,
        "environment": EnvironmentFlag,
        "home": HomeFlag,
    }
    return join(command, "place", flags, lambda said: Place(**said))

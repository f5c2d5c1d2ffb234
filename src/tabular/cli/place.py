"""Which deployment a command means: the flags every deployment command shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabular.cli.joined import Command, join
from tabular.deploy.names import DEFAULT_PROVIDER
from tabular.errors import UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.orchestrator import Orchestrator
    from tabular.deploy.provider import Engine, Status

PROVIDER_HELP = (
    "standalone (this machine), which this release brings; others, such as aws, gcp, azure and "
    "onprem, only where a plug-in does."
)
ProviderFlag = Annotated[str, typer.Option("--provider", help=PROVIDER_HELP)]
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
TimeoutFlag = Annotated[
    str | None,
    typer.Option(
        "--timeout",
        metavar="DURATION",
        help="How long it may take to get ready, such as 90s or 15m; 1m by default.",
    ),
]


def connect(
    provider: str, home: Path | None, runtime: str | None = None, timeout: str | None = None
) -> Orchestrator:
    """The orchestrator these flags mean.

    Raises:
        UsageError: no such provider or runtime, or ``timeout`` is no duration.
    """
    from tabular.deploy import ProviderOptions, open_orchestrator

    options = ProviderOptions(home=home, runtime=runtime, ready_timeout=_seconds(timeout))
    return open_orchestrator(provider, options)


def _seconds(timeout: str | None) -> float | None:
    from tabular.deploy.spec.quantities import QuantityError, parse_duration

    if timeout is None:
        return None
    try:
        return parse_duration(timeout).total_seconds()
    except QuantityError as error:
        raise UsageError(
            f"--timeout {timeout}: {error}", hint="for example --timeout 15m"
        ) from None


class Place:
    """One deployment at one provider, as the flags say; the only one needs no name.

    Args:
        provider: entry-point name.
        name: of the deployment.
        environment: of the deployment.
        home: for the standalone provider.

    Attributes:
        orchestrator: drives the provider.
    """

    def __init__(
        self, provider: str, name: str | None, environment: str | None, home: Path | None
    ) -> None:
        self.orchestrator = connect(provider, home)
        self._provider, self._home = provider, home
        self._name, self._environment = name, environment

    @property
    def engine(self) -> Engine:
        """The provider's engine."""
        return self.orchestrator.provider.engine

    def reconnect(self, *, runtime: str | None = None, timeout: str | None = None) -> Orchestrator:
        """An orchestrator of the same place with another runtime or patience."""
        return connect(self._provider, self._home, runtime, timeout)

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

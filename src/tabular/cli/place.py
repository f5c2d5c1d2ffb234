"""Which deployment a command means: the flags every deployment command shares."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabular.cli.joined import Command, join
from tabular.deploy.names import DEFAULT_PROVIDER, KUBERNETES
from tabular.errors import UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.orchestrator import Orchestrator
    from tabular.deploy.provider import Engine, Status
    from tabular.deploy.spec import Deployment

PROVIDER_HELP = (
    "standalone (this machine), aws or onprem (Kubernetes), which this release brings; others, "
    "such as gcp and azure, only where a plug-in does."
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
        help="How long it may take to get ready, such as 90s or 15m; 1m by default, on Kubernetes "
        "15m.",
    ),
]


ProfileFlag = Annotated[
    str | None,
    typer.Option("--profile", help="Clouds only: profile of the credentials; as usual if none."),
]
RoleFlag = Annotated[
    str | None,
    typer.Option("--role-arn", help="AWS only: a role to take on first, as in another account."),
]
EndpointFlag = Annotated[
    str | None,
    typer.Option("--endpoint-url", help="Clouds only: another endpoint, such as an emulator's."),
]
RegionFlag = Annotated[
    str | None, typer.Option("--region", help="Clouds only: the region; of the profile if none.")
]
KubeconfigFlag = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig",
        help="Kubernetes only: how to reach the cluster; KUBECONFIG or ~/.kube/config if none.",
    ),
]
ContextFlag = Annotated[
    str | None,
    typer.Option("--context", help="Kubernetes only: context of the kubeconfig; its current one."),
]
NamespaceFlag = Annotated[
    str | None, typer.Option("--namespace", help="Kubernetes only: the namespace.")
]
CLUSTER_FLAGS: dict[str, Any] = {
    "kubeconfig": KubeconfigFlag,
    "context": ContextFlag,
    "namespace": NamespaceFlag,
}
_CREDENTIALS = {
    "profile": ProfileFlag,
    "role_arn": RoleFlag,
    "endpoint_url": EndpointFlag,
    **CLUSTER_FLAGS,
}


@dataclass(frozen=True)
class Reach:
    """How to reach a provider, as the flags say.

    Attributes:
        home, runtime: of the standalone provider.
        region, profile, role_arn, endpoint_url: of a cloud.
        timeout: a duration, as text.
        keep_failed: leave what failed as it is.
        kubeconfig, context, namespace, force_conflicts: of a cluster.
    """

    home: Path | None = None
    runtime: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    timeout: str | None = None
    keep_failed: bool = False
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    force_conflicts: bool = False

    def within(self, deployment: Deployment) -> Reach:
        """The same, in the cluster that a spec names; others than its provider refuse the block."""
        onprem = deployment.spec.onprem
        if deployment.spec.provider != KUBERNETES:
            return self
        return replace(
            self,
            kubeconfig=onprem.kubeconfig or self.kubeconfig,
            context=onprem.context or self.context,
        )

    def connect(self, provider: str) -> Orchestrator:
        """The orchestrator these flags mean.

        Raises:
            UsageError: no such provider or runtime, or ``timeout`` is no duration.
        """
        from tabular.deploy import ProviderOptions, open_orchestrator

        said = {key: value for key, value in asdict(self).items() if key != "timeout"}
        options = ProviderOptions(**said, ready_timeout=_seconds(self.timeout))
        return open_orchestrator(provider, options)


def reach_flags(command: Command) -> Command:
    """Give a command that takes ``reach: Reach`` the options it is made of.

    Options that the command has already, as those of a spec, stay the command's own.
    """
    own = signature(command).parameters
    flags = {
        name: flag for name, flag in {"home": HomeFlag, **_CREDENTIALS}.items() if name not in own
    }
    return join(command, "reach", flags, lambda said: Reach(**said))


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
        reach: how to reach the provider, as `Reach` has it.

    Attributes:
        orchestrator: drives the provider.
    """

    def __init__(
        self,
        provider: str,
        name: str | None = None,
        environment: str | None = None,
        **reach: Any,
    ) -> None:
        self._provider, self._reach = provider, Reach(**reach)
        self._name, self._environment = name, environment
        self.orchestrator = self._reach.connect(provider)

    @property
    def engine(self) -> Engine:
        """The provider's engine."""
        return self.orchestrator.provider.engine

    def reconnect(self, *, runtime: str | None = None, timeout: str | None = None) -> Orchestrator:
        """An orchestrator of the same place with another runtime or patience."""
        return replace(self._reach, runtime=runtime, timeout=timeout).connect(self._provider)

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
        "region": RegionFlag,
        "home": HomeFlag,
        **_CREDENTIALS,
    }
    return join(command, "place", flags, lambda said: Place(**said))

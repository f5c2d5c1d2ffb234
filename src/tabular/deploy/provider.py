"""The contract between our one spec and each vendor's engine.

A provider is a compiler (spec to native template), an engine (the vendor's, behind this
interface) and a table of capabilities. `registry` finds it by entry point, so a new cloud is a
new package and no change here. `tests/conformance/` runs one suite over every provider; what this
module says in words, that suite checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tabular.deploy.batches import Batches
from tabular.deploy.capability import CapabilityTable
from tabular.deploy.cost import PriceBook
from tabular.deploy.events import Event
from tabular.deploy.image.publishing import ImageRegistry
from tabular.deploy.plan import Plan, PropertyChange
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.deploy.target import Target
from tabular.errors import UsageError
from tabular.infra.config import Settings


class State(StrEnum):
    """State of a deployment as a whole; ``retained``: destroyed, its data stores are kept."""

    APPLYING = "applying"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    RETAINED = "retained"


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """State of one resource, in the engine's words."""

    id: str
    type: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What runs at a target.

    Attributes:
        target: where.
        state: the whole.
        release: id of the release that serves; "" before the first one does.
        updated: when the last apply ended or the running one began, UTC.
        spec: the embedded spec, canonical form.
        resources: one for each resource the deployment owns.
        outputs: addresses and names, never secrets; ``url`` where there is an API, or
            ``internalUrl`` where it answers only within its network.
        detail: why it is degraded or failed, and what is being waited for.
    """

    target: Target
    state: State
    release: str
    updated: datetime
    spec: Mapping[str, Any]
    resources: tuple[ResourceStatus, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """A resource that no longer is what was applied; no properties when it is gone."""

    resource: str
    type: str
    properties: tuple[PropertyChange, ...] = ()
    gone: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a component's log; ``time`` is None where the component writes none."""

    component: str
    text: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of `doctor`: what was looked at, whether it is fine, how to mend it."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


class Engine(Protocol):
    """What applies a stack. State, locking and rollback are the engine's own.

    Rules: applying twice changes nothing; deleting what is gone is no error; a client may die
    at any moment and another goes on with :meth:`attach`; every wait has a time limit and says
    what it waits for.
    """

    def preview(self, stack: Stack) -> Plan:
        """Compare a stack with what runs; touches nothing."""
        ...

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Carry out a plan. The apply goes on if the iterator is dropped.

        Raises:
            StalePlanError: what runs is not what the plan was made against.
            BusyError: another apply runs there.
            ApplyError: it failed; says whether the old release was put back.
        """
        ...

    def attach(self, target: Target) -> Iterator[Event]:
        """Events of the apply that runs there, or of the last one; raises as :meth:`apply`."""
        ...

    def status(self, target: Target) -> Status:
        """What runs there.

        Raises:
            NotFoundError: nothing is deployed there.
        """
        ...

    def list(self) -> tuple[Status, ...]:
        """All deployments this client can see, sorted by target."""
        ...

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """Differences between what was applied and what is there."""
        ...

    def preview_rollback(self, target: Target) -> Plan:
        """Compare the release before the present one with what runs; touches nothing.

        Raises:
            NotFoundError: nothing is deployed there, or there is no release before.
        """
        ...

    def rollback(self, plan: Plan) -> Iterator[Event]:
        """Put the release before the present one back into service, as it was planned.

        Data is not moved: a data store that the two releases do not share is replaced.

        Raises:
            StalePlanError: what runs, or the release before, is not what the plan was made with.
            BusyError: another apply runs there.
            ApplyError: it failed; says whether the present release serves on.
        """
        ...

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove what the deployment owns, and only that; data stores only if asked."""
        ...

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """The last ``tail`` lines of each component, then new ones if ``follow``."""
        ...

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """Create an administrator's key in the running platform; it is kept nowhere else.

        With ``only_first``, None where the platform has a key already.
        """
        ...


@runtime_checkable
class DataAccess(Protocol):
    """What an engine may offer besides: the way to the data of what it runs, for backups."""

    def service_settings(self, target: Target) -> Settings:
        """The settings of the platform there, whose URLs lead to its data from here.

        Raises:
            NotFoundError: nothing is deployed there.
            UnsupportedError: its data cannot be reached from here.
        """
        ...

    def adopt_secret_key(self, target: Target, secret: str) -> None:
        """Give the platform another secret key; returns when nobody goes by the old one."""
        ...


@runtime_checkable
class RunsInside(Protocol):
    """What an engine may offer besides: programs of the service, run where its data can be reached.

    For a database that only its own network sees, it takes the place of `DataAccess`.
    """

    def run_inside(self, target: Target, arguments: Sequence[str]) -> Iterator[str]:
        """Run ``python -m tabular.transfer`` there, with the settings of the service.

        Args:
            target: whose service.
            arguments: of the program; secrets are references, which are read there.

        Yields:
            The lines that it prints. It goes on if the iterator is dropped.

        Raises:
            NotFoundError: nothing is deployed there.
            UnsupportedError: nothing there can run it, or can read a reference.
            EngineError: it failed; with what it printed last.
        """
        ...


@runtime_checkable
class LooksInside(Protocol):
    """What an engine may offer besides: a look at a deployment, for `doctor`.

    `status` says whether the engine's resources are there; this asks what they stand on.
    """

    def look(self, target: Target, user: str | None = None) -> Iterator[Check]:
        """What a deployment lacks or soon will, found where it runs; touches nothing.

        Args:
            target: whose.
            user: somebody to look up in its directory.

        Raises:
            NotFoundError: nothing is deployed there.
        """
        ...


@runtime_checkable
class RunsBatches(Protocol):
    """What an engine may offer besides: large generations by the vendor's own batch service."""

    def batches(self, target: Target) -> Batches:
        """The service of a deployment.

        Raises:
            NotFoundError: nothing is deployed there.
            UnsupportedError: it was deployed without one.
        """
        ...


@runtime_checkable
class ChecksOverrides(Protocol):
    """What a provider may offer besides: a look at its own block of the spec, before any plan."""

    def check_overrides(self, given: Mapping[str, Any]) -> None:
        """Look at what stands under ``spec.overrides`` for this provider; touches nothing.

        Raises:
            UsageError: something there is wrong; ``where`` is its key, from ``spec`` on.
        """
        ...


@runtime_checkable
class ExportsStacks(Protocol):
    """What a provider may offer besides: its stacks in the words of other tools."""

    @property
    def formats(self) -> Mapping[str, Callable[[Stack], Mapping[str, bytes]]]:
        """What writes a stack in each format: files by their relative path."""
        ...

    def running(self, target: Target) -> Stack:
        """The stack that runs there, as it was applied, with the vendor's ids.

        Raises:
            NotFoundError: nothing is deployed there.
        """
        ...


@runtime_checkable
class PublishesImages(Protocol):
    """What a provider may offer besides: a registry that its deployments take the image from."""

    def images(self, repository: str | None) -> ImageRegistry:
        """A repository of it; the one that deployments ask for if None."""
        ...


class Provider(Protocol):
    """One kind of place to deploy to."""

    @property
    def name(self) -> str:
        """Entry-point name, e.g. ``aws``."""
        ...

    @property
    def capabilities(self) -> CapabilityTable:
        """Support of each spec path."""
        ...

    @property
    def prices(self) -> PriceBook | None:
        """Price list; None where there is none (hardware of one's own)."""
        ...

    @property
    def engine(self) -> Engine:
        """The vendor's engine, connected lazily."""
        ...

    def target(self, deployment: Deployment) -> Target:
        """Where this deployment goes, with the vendor's defaults filled in."""
        ...

    def compile(self, deployment: Deployment) -> Stack:
        """Spec to native template; a plain function of its input, deterministic.

        Raises:
            UnsupportedError: the spec asks for what the capabilities do not cover.
        """
        ...

    def doctor(self) -> Iterator[Check]:
        """Read-only look at what a deploy would need: credentials, tools, ports, quota."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """How to reach a place, as opposed to what to put there.

    Attributes:
        home: folder for state of the standalone provider; None for the XDG default.
        runtime: ``process`` or ``container``, standalone only.
        ready_timeout: seconds that a new release may take to get ready; None for the default.
        region: of a cloud, where the spec names none.
        profile: of a cloud's credentials on this machine; the vendor's own choice if None.
        role_arn: AWS only: a role to take on first, e.g. in another account.
        endpoint_url: of a cloud's services, for emulators and private endpoints.
        keep_failed: leave what failed as it is, for looking at it, where the engine can.
        kubeconfig: Kubernetes only: the file that says how to reach the cluster; as ``kubectl``
            finds one if None.
        context: Kubernetes only: the context in that file; its current one if None.
        namespace: Kubernetes only: look at this one alone; at every one that may be seen if None.
        force_conflicts: Kubernetes only: take over fields that others set.
    """

    home: Path | None = None
    runtime: str | None = None
    ready_timeout: float | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    keep_failed: bool = False
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    force_conflicts: bool = False


CLUSTER_OPTIONS = ("kubeconfig", "context", "namespace", "force_conflicts")
CLOUD_OPTIONS = ("region", "profile", "role_arn", "endpoint_url", "keep_failed")


def refuse_options(
    provider: str, options: ProviderOptions, foreign: Iterable[str], reason: str
) -> None:
    """Refuse what only another provider could follow, instead of following nothing.

    Args:
        provider: name for the message.
        options: as given.
        foreign: names of options that it does not have.
        reason: why not.

    Raises:
        UsageError: such an option is given.
    """
    for name in (name for name in foreign if getattr(options, name)):
        flag = "--disable-rollback" if name == "keep_failed" else f"--{name.replace('_', '-')}"
        raise UsageError(f"{provider} has no {flag}: {reason}", hint="leave it out")

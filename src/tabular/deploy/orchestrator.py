"""The way of one deployment: compile, check, preview, apply, verify; the same for every provider.

Knows no vendor and no terminal. What must be true of every deploy (nothing touched before the
plan is shown, policy and budget asked first, every action in the audit log, readiness asked of
the deployed service and not of the engine) is written here once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx

from tabular.deploy.audit import AuditLog
from tabular.deploy.cost import AsksPrices, PriceBook, estimate
from tabular.deploy.events import Event
from tabular.deploy.gate import Gate
from tabular.deploy.importing import ImportPlan, Imports, Unlike, once_adopted
from tabular.deploy.plan import Action, Plan
from tabular.deploy.policy import Finding, Severity, check
from tabular.deploy.provider import DataAccess, Provider, RunsInside, State, Status
from tabular.deploy.spec import Deployment
from tabular.deploy.target import Target
from tabular.errors import (
    NotFoundError,
    SpecError,
    UnsupportedError,
    UsageError,
    WaitTimeoutError,
)
from tabular.infra.config import Settings

READY_TIMEOUT = 60.0
_PAUSE = 0.5  # seconds between two questions
# A proxy of the environment reaches its own loopback, not this machine's.
DIRECT: dict[str, httpx.BaseTransport | None] = {
    f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")
}


class Orchestrator:
    """Drives one provider.

    Args:
        provider: where to deploy to.
        audit: where actions are recorded.
        http: client that asks the deployed service for its health; injectable transport.
        sleep: waits between two health checks, seconds.
        clock: monotonic seconds.
        ready_timeout: seconds that the deployed service may take until it says it is ready.
    """

    def __init__(
        self,
        provider: Provider,
        audit: AuditLog,
        *,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        ready_timeout: float = READY_TIMEOUT,
    ) -> None:
        self.provider = provider
        self._live: PriceBook | None = None
        self._audit = audit
        self._http = http or httpx.Client(timeout=5.0, mounts=DIRECT)
        self._sleep = sleep
        self._clock = clock
        self._ready_timeout = ready_timeout

    def use_live_prices(self) -> None:
        """Go by what the vendor asks today from now on, instead of by the list.

        Raises:
            UnsupportedError: the provider has no live prices.
        """
        if not isinstance(self.provider, AsksPrices):
            raise UnsupportedError(
                f"{self.provider.name} has no live prices", hint="leave out --live-prices"
            )
        self._live = self.provider.live_prices()

    @property
    def prices(self) -> PriceBook | None:
        """What plans are priced by; None where no price list applies."""
        return self.provider.prices if self._live is None else self._live

    def plan(self, deployment: Deployment) -> Plan:
        """What a deploy would change, cost and break. Touches nothing."""
        stack = self.provider.compile(deployment)
        return self._judged(self.provider.engine.preview(stack), deployment)

    def plan_rollback(self, target: Target) -> Plan:
        """What a rollback would change, cost and break. Touches nothing.

        Raises:
            NotFoundError: nothing is deployed there, or there is no release before.
        """
        made = self.provider.engine.preview_rollback(target)
        try:
            return self._judged(made, Deployment.from_canonical(made.stack.spec))
        except SpecError as error:
            # It brings the code that reads its spec: that ours does not must not hold it up.
            said = f"the rules were not asked: {error.message}"
            unread = Finding("unread-spec", Severity.WARNING, "spec", said, "look at it yourself")
            return replace(made, findings=(*made.findings, unread))

    def _judged(self, made: Plan, deployment: Deployment) -> Plan:
        prices = self.prices
        return replace(
            made,
            cost=None if prices is None else estimate(made.stack, prices),
            findings=(
                *made.findings,
                *check(deployment, made.stack, capabilities=self.provider.capabilities),
            ),
        )

    def apply(self, plan: Plan, gate: Gate | None = None) -> Iterator[Event]:
        """Carry out a plan, then ask the deployed service whether it is ready.

        Raises:
            RefusedError: the gate, a stale plan, or another apply; nothing was touched.
            ApplyError: it failed; says whether it was rolled back.
            WaitTimeoutError: applied, but the service does not report ready.
        """
        (gate or Gate()).require(plan)
        changes = {action.value: plan.count(action) for action in Action}
        target = plan.stack.target
        with self._audit.action("deploy", target, plan=plan.fingerprint, changes=changes):
            if not plan.is_empty:
                yield from self.provider.engine.apply(plan)
            self.verify(target)

    def attach(self, target: Target) -> Iterator[Event]:
        """Events of an apply that already runs; none if no apply runs."""
        try:
            state = self.provider.engine.status(target).state
        except NotFoundError:
            return
        if state is State.APPLYING:
            yield from self.provider.engine.attach(target)

    def rollback(self, plan: Plan, gate: Gate | None = None) -> Iterator[Event]:
        """Put the release before back into service, as :meth:`plan_rollback` says; verify it.

        Raises:
            RefusedError: the gate, a stale plan, or another apply; nothing was touched.
            ApplyError: it failed; says whether the present release serves on.
            WaitTimeoutError: it was put back, but the service does not report ready.
        """
        (gate or Gate()).require_rollback(plan)
        changes = {action.value: plan.count(action) for action in Action}
        target = plan.stack.target
        with self._audit.action("rollback", target, plan=plan.fingerprint, changes=changes):
            yield from self.provider.engine.rollback(plan)
            self.verify(target)

    def plan_import(self, deployment: Deployment, asked: Sequence[str]) -> ImportPlan:
        """What an import would adopt; changes nothing of it, nor of what runs.

        Args:
            deployment: the spec that is to own it.
            asked: what is there, and what it is in the spec, in the words of the provider.

        Raises:
            UnsupportedError: the provider imports nothing.
            UsageError: such words mean nothing, or the spec has no such resource.
            RefusedError: it cannot be adopted; says why.
        """
        return self._imports.preview_import(self.provider.compile(deployment), asked)

    def adopt(self, plan: ImportPlan) -> Iterator[Event]:
        """Carry out :meth:`plan_import`. What is adopted is not changed.

        Raises:
            RefusedError: it cannot be adopted any more, or the plan is stale.
            ApplyError: it failed; says whether that was taken back.
        """
        adopted = {one.resource: one.physical for one in plan.adoptions}
        with self._audit.action("import", plan.stack.target, adopted=adopted):
            yield from self._imports.adopt(plan)

    def unlike(self, plan: ImportPlan) -> Unlike:
        """Where what :meth:`adopt` adopted is not as the spec says, as far as it can be read.

        Raises:
            TabularError: it could not be compared; says that it was adopted.
        """
        with once_adopted("not compared with the spec"):
            return self._imports.unlike(plan)

    @property
    def _imports(self) -> Imports:
        engine = self.provider.engine
        if not isinstance(engine, Imports):
            raise UnsupportedError(
                f"{self.provider.name} imports nothing that is there already",
                hint="deploy anew, and bring the data: `inferloop-tabular backup create` there, "
                "`inferloop-tabular backup restore` here",
                code="refused.import",
            )
        return engine

    def destroy(self, target: Target, *, delete_data: bool = False) -> Iterator[Event]:
        """Remove what the deployment owns; data stores only with ``delete_data``."""
        with self._audit.action("destroy", target, delete_data=delete_data):
            yield from self.provider.engine.destroy(target, delete_data=delete_data)

    def issue_api_key(self, target: Target, name: str, *, only_first: bool = False) -> str | None:
        """Create an administrator's key; with ``only_first`` None if the platform has one."""
        with self._audit.action("issue-key", target, name=name):
            return self.provider.engine.issue_api_key(target, name, only_first=only_first)

    def service_settings(self, target: Target) -> Settings:
        """The settings of the platform at a target, secrets included; never to be shown.

        Raises:
            UnsupportedError: the provider gives no way to its data.
        """
        return self._data_access.service_settings(target)

    @property
    def runs_inside(self) -> bool:
        """Whether a deployment's data is reached from within only, by programs run there."""
        engine = self.provider.engine
        return isinstance(engine, RunsInside) and not isinstance(engine, DataAccess)

    def run_inside(self, target: Target, action: str, arguments: Sequence[str]) -> Iterator[str]:
        """Run a program of the service there; see `tabular.deploy.provider.RunsInside`."""
        engine = self.provider.engine
        if not isinstance(engine, RunsInside):
            raise UnsupportedError(f"{self.provider.name} runs no program beside a deployment")
        with self._audit.action(action, target, program=list(arguments)):
            yield from engine.run_inside(target, arguments)

    @contextlib.contextmanager
    def recorded(self, action: str, target: Target, **details: Any) -> Iterator[None]:
        """Put what the block does into the audit log, as this class does with its own actions."""
        with self._audit.action(action, target, **details):
            yield

    def adopt_secret_key(self, target: Target, secret: str) -> None:
        """Let the platform go by another secret key, and wait until it is ready again."""
        with self._audit.action("adopt-secret-key", target):
            self._data_access.adopt_secret_key(target, secret)
            self.verify(target)

    @property
    def _data_access(self) -> DataAccess:
        engine = self.provider.engine
        if not isinstance(engine, DataAccess):
            raise UnsupportedError(
                f"{self.provider.name} gives no way to a deployment's data from here",
                hint="run `python -m tabular.transfer` with the settings of the service, there",
            )
        return engine

    def last_deployed(self) -> Target | None:
        """Where was deployed last from this machine, at any provider; None if nowhere."""
        return self._audit.last_deployed()

    def find(self, name: str | None, environment: str | None) -> Status:
        """The one deployment these words mean.

        Raises:
            NotFoundError: none fits.
            UsageError: several fit; lists them.
        """
        found = [
            status
            for status in self.provider.engine.list()
            if name in (None, status.target.name)
            and environment in (None, status.target.environment)
        ]
        running = [status for status in found if _is_there(status)]
        if len(running or found) == 1:
            return (running or found)[0]
        if found:
            raise UsageError(
                f"{len(found)} deployments fit: {', '.join(s.target.id for s in found)}",
                hint="say which with --name and --environment",
                code="usage.ambiguous-target",
            )
        words = " ".join(word for word in (environment, name) if word)
        raise NotFoundError(
            f"no deployment {words} on {self.provider.name}".replace("  ", " "),
            hint="`inferloop-tabular list` shows what runs",
            code="not-found.deployment",
        )

    def verify(self, target: Target, timeout: float | None = None) -> None:
        """Wait until the engine and the deployed service itself say it is ready.

        Args:
            target: where; without a ``url`` among its outputs the engine's word is enough.
            timeout: seconds; as this was made with if None.

        Raises:
            WaitTimeoutError: with what was said last.
        """
        timeout = self._ready_timeout if timeout is None else timeout
        deadline = self._clock() + timeout
        while (last := self._complaint(target)) is not None:
            if self._clock() + _PAUSE > deadline:
                raise WaitTimeoutError(
                    f"{target} did not report ready within {timeout:.0f} s; last: {last}",
                    hint="`inferloop-tabular logs` and `inferloop-tabular status` show why; "
                    "--timeout 15m waits longer",
                )
            self._sleep(_PAUSE)

    def _complaint(self, target: Target) -> str | None:
        """Why the deployment is not ready; None when it is."""
        status = self.provider.engine.status(target)
        if status.state is not State.READY:
            return f"{status.state.value}: {status.detail}"
        url = status.outputs.get("url")
        if url is None:
            return None
        try:
            answer = self._http.get(f"{url}/ready")
        except httpx.HTTPError as error:
            return f"{url}/ready: {type(error).__name__}: {error}"
        return (
            None if answer.is_success else f"{url}/ready: {answer.status_code} {answer.text[:500]}"
        )


def _is_there(status: Status) -> bool:
    """Whether something runs: not kept data alone, nor what a first deploy took back."""
    gone = status.state is State.FAILED and not status.release
    return status.state is not State.RETAINED and not gone

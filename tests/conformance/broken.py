"""For each check of the suite a provider that breaks just that rule, to show it is caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from tabular.deploy.capability import native
from tabular.deploy.events import Event
from tabular.deploy.plan import Action, Plan
from tabular.deploy.provider import Drift, Provider, Status
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import ApplyError
from tests.conformance import suite
from tests.conformance.folder import FolderHarness, load_example

example: Any = load_example()
_unique = count()


class _Engine(example.FolderEngine):  # type: ignore[misc]
    """The example's engine, to be broken in one place by each class below."""


class ForgetsNothing(_Engine):
    def preview(self, stack: Stack) -> Plan:
        (self.root / f"preview-{next(_unique)}.json").write_text("{}", encoding="utf-8")
        return super().preview(stack)


class SkipsOneResource(_Engine):
    def _write_resource(self, target: Target, id_: str, resource: Any) -> None:
        if id_ != "data":
            super()._write_resource(target, id_, resource)


class AlwaysChangesSomething(_Engine):
    def preview(self, stack: Stack) -> Plan:
        plan = super().preview(stack)
        return replace(plan, changes=tuple(replace(c, action=Action.UPDATE) for c in plan.changes))


class IgnoresUpdates(_Engine):
    def apply(self, plan: Plan) -> Iterator[Event]:
        if plan.count(Action.CREATE):
            yield from super().apply(plan)


class TakesStalePlans(_Engine):
    def apply(self, plan: Plan) -> Iterator[Event]:
        now = self._load(plan.stack.target, "stack.json")
        yield from super().apply(replace(plan, basis=fingerprint(now)))


class ForgetsKilledApplies(_Engine):
    def attach(self, target: Target) -> Iterator[Event]:
        yield from ()


class LeavesFailedUpdates(_Engine):
    def _carry_out(self, target: Target) -> Iterator[Event]:
        wanted = self._load(target, "journal.json")
        for id_, resource in wanted["template"].items():
            for old in self._folder(target).glob(f"resource.{id_}.*.json"):
                old.unlink()
            try:
                self._write_resource(target, id_, resource)
            except OSError as error:
                raise ApplyError(f"{target}: {error}", rolled_back=True) from error
            yield example._event(1, id_, example.EventStatus.COMPLETE)
        self._save(target, "stack.json", wanted)
        self._path(target, "journal.json").unlink()


class RollsBackNothing(_Engine):
    def rollback(self, target: Target) -> Iterator[Event]:
        if not self._load(target, "stack.json").get("previous"):
            yield from super().rollback(target)


class SeesNoDrift(_Engine):
    def drift(self, target: Target) -> tuple[Drift, ...]:
        return ()


class DestroysByPrefix(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        yield from super().destroy(target, delete_data=delete_data)
        for folder in (self.root / target.environment).glob(f"{target.name}*"):
            for path in folder.glob("*.json"):
                path.unlink()


class DestroysData(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        yield from super().destroy(target, delete_data=True)


class FailsOnWhatIsGone(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        assert self._resources(target), "nothing to destroy"
        yield from super().destroy(target, delete_data=delete_data)


class ForgetsItsSpec(_Engine):
    def status(self, target: Target) -> Status:
        found: Status = super().status(target)
        return replace(found, spec={**found.spec, "spec": {}})


class _BrokenHarness(FolderHarness):
    def __init__(self, root: Path, engine: type[Any]) -> None:
        super().__init__(root)
        self._engine = engine

    def provider(self) -> Provider:
        provider: Any = super().provider()
        provider.engine = self._engine(self.root)
        made: Provider = provider
        return made


class _Undeterministic(FolderHarness):
    def provider(self) -> Provider:
        class Compiles(example.FolderProvider):  # type: ignore[misc]
            def compile(self, deployment: Deployment) -> Stack:
                stack: Stack = super().compile(deployment)
                return replace(stack, template={**stack.template, "at": next(_unique)})

        provider: Provider = Compiles(self.root)
        return provider


class _DropsFields(FolderHarness):
    def provider(self) -> Provider:
        class TakesAnything(example.FolderProvider):  # type: ignore[misc]
            capabilities = {  # noqa: RUF012
                **example.FolderProvider.capabilities,
                "compute.gpu": native("silently dropped"),
            }

        provider: Provider = TakesAnything(self.root)
        return provider


def _with(engine: type[Any]) -> Callable[[Path], FolderHarness]:
    return lambda root: _BrokenHarness(root, engine)


BROKEN: dict[suite.Check, Callable[[Path], FolderHarness]] = {
    suite.same_spec_same_bytes: _Undeterministic,
    suite.unsupported_fields_are_refused: _DropsFields,
    suite.preview_touches_nothing: _with(ForgetsNothing),
    suite.apply_does_what_the_plan_said: _with(SkipsOneResource),
    suite.second_plan_is_empty: _with(AlwaysChangesSomething),
    suite.update_changes_what_the_plan_says: _with(IgnoresUpdates),
    suite.stale_plan_is_refused: _with(TakesStalePlans),
    suite.killed_client_reattaches: _with(ForgetsKilledApplies),
    suite.failed_update_keeps_the_old_release: _with(LeavesFailedUpdates),
    suite.rollback_restores_the_release_before: _with(RollsBackNothing),
    suite.drift_is_seen: _with(SeesNoDrift),
    suite.destroy_removes_all_and_only_its_own: _with(DestroysByPrefix),
    suite.destroy_keeps_data_unless_told: _with(DestroysData),
    suite.destroying_what_is_gone_is_no_error: _with(FailsOnWhatIsGone),
    suite.a_deployment_describes_itself: _with(ForgetsItsSpec),
}

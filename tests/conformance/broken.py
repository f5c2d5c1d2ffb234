"""Providers that each break one rule: which check catches it, in what words, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from tabular.deploy.capability import native
from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.journaled import RELEASE
from tabular.deploy.plan import Action, Plan
from tabular.deploy.provider import Drift, Provider, ProviderOptions, Status
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.target import Target
from tabular.errors import NotFoundError
from tests.conformance import suite
from tests.conformance.folder import FolderHarness, load_example

example: Any = load_example()
_unique = count()


class _Engine(example.FolderEngine):  # type: ignore[misc]
    """The example's engine, to be broken in one place by each class below."""


class TouchesInPreview(_Engine):
    def preview(self, stack: Stack) -> Plan:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / f"preview-{next(_unique)}.json").write_text("{}", encoding="utf-8")
        plan: Plan = super().preview(stack)
        return plan


class SkipsOneResource(_Engine):
    """Says that it made the data store, and believes it."""

    def found(self, target: Target) -> Mapping[str, Resource]:
        kept = self.records.read(target, "pretended")
        pretended = {id_: Resource.from_dict(data) for id_, data in kept.items()}
        return {**pretended, **super().found(target)}

    def write(self, target: Target, resource: Resource) -> None:
        if resource.id == "data":
            self.records.write(target, "pretended", {"data": resource.as_dict()})
        else:
            super().write(target, resource)

    def remove(self, target: Target, resource: Resource) -> None:
        super().remove(target, resource)
        if resource.id == "data":
            self.records.remove(target, "pretended")


class AlwaysChangesSomething(_Engine):
    def preview(self, stack: Stack) -> Plan:
        plan: Plan = super().preview(stack)
        changes = [
            replace(c, action=Action.UPDATE) if c.action is Action.NOOP else c for c in plan.changes
        ]
        return replace(plan, changes=tuple(changes))


class IgnoresUpdates(_Engine):
    def apply(self, plan: Plan) -> Iterator[Event]:
        if plan.count(Action.CREATE):
            yield from super().apply(plan)


class TakesStalePlans(_Engine):
    def apply(self, plan: Plan) -> Iterator[Event]:
        yield from super().apply(replace(plan, basis=self._basis(plan.stack.target)))


class ForgetsKilledApplies(_Engine):
    def attach(self, target: Target) -> Iterator[Event]:
        yield from ()


class LeavesFailedUpdates(_Engine):
    def _undo(self, target: Target, *_: Any) -> Iterator[Event]:
        self.records.remove(target, "journal")
        yield from ()


class RollsBackNothing(_Engine):
    def rollback(self, plan: Plan) -> Iterator[Event]:
        yield from ()


class TouchesInRollbackPreview(_Engine):
    def preview_rollback(self, target: Target) -> Plan:
        plan: Plan = super().preview_rollback(target)
        (self.root / f"preview-{next(_unique)}.json").write_text("{}", encoding="utf-8")
        return plan


class PlansNoRollback(_Engine):
    """Says of every rollback that it changes nothing."""

    def preview_rollback(self, target: Target) -> Plan:
        plan: Plan = super().preview_rollback(target)
        changes = tuple(replace(change, action=Action.NOOP) for change in plan.changes)
        return replace(plan, changes=changes)


class HidesDataStores(_Engine):
    """Plans rollbacks as if nothing held data, so that no gate can ask for a word."""

    def preview_rollback(self, target: Target) -> Plan:
        plan: Plan = super().preview_rollback(target)
        return replace(plan, changes=tuple(replace(c, stateful=False) for c in plan.changes))


class PlansAnotherRelease(_Engine):
    """Shows, for a rollback, what runs already."""

    def preview_rollback(self, target: Target) -> Plan:
        plan: Plan = super().preview_rollback(target)
        present = Stack.from_dict(self.records.read(target, RELEASE))
        return replace(plan, stack=present)

    def rollback(self, plan: Plan) -> Iterator[Event]:
        honest = example.FolderEngine(self.root)
        meant = honest.preview_rollback(plan.stack.target).stack
        yield from honest.rollback(replace(plan, stack=meant))


class TakesStaleRollbacks(_Engine):
    def rollback(self, plan: Plan) -> Iterator[Event]:
        yield from super().rollback(self.preview_rollback(plan.stack.target))


class SeesNoDrift(_Engine):
    def drift(self, target: Target) -> tuple[Drift, ...]:
        return ()


class DestroysByPrefix(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        yield from super().destroy(target, delete_data=delete_data)
        for folder in (self.root / target.environment).glob(f"{target.name}-*"):
            for path in folder.glob("*.json"):
                path.unlink()


class LeavesTheService(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        for path in self._files(target, "api"):
            path.rename(path.with_name("kept-by-mistake.json"))
        yield from super().destroy(target, delete_data=delete_data)


class DestroysData(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        yield from super().destroy(target, delete_data=True)


class FailsOnWhatIsGone(_Engine):
    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        if not self.found(target):
            raise NotFoundError("nothing to destroy")
        yield from super().destroy(target, delete_data=delete_data)


class ForgetsItsSpec(_Engine):
    def status(self, target: Target) -> Status:
        found: Status = super().status(target)
        return replace(found, spec={**found.spec, "spec": {}})


class SaysNothing(_Engine):
    """Applies, and never says that a resource is complete."""

    def apply(self, plan: Plan) -> Iterator[Event]:
        if list(super().apply(plan)):
            yield EventSequence().next(EventStatus.COMPLETE)


class _BrokenHarness(FolderHarness):
    def __init__(self, root: Path, engine: type[Any]) -> None:
        super().__init__(root)
        self._engine = engine

    def provider(self) -> Provider:
        provider: Any = super().provider()
        provider.engine = self._engine(self.root)
        made: Provider = provider
        return made


class CompilesByHash(FolderHarness):
    """Takes the order of a set for an order."""

    maker = "tests.conformance.broken:CompilesByHash"

    def provider(self) -> Provider:
        class Compiles(example.FolderProvider):  # type: ignore[misc]
            def compile(self, deployment: Deployment) -> Stack:
                stack: Stack = super().compile(deployment)
                ports = list({f"port-{number}" for number in range(20)})
                return replace(stack, template={**stack.template, "ports": ports})

        provider: Provider = Compiles(ProviderOptions(home=self.root))
        return provider


class CompilesByPlace(FolderHarness):
    """Writes where it was compiled into what is compiled."""

    maker = "tests.conformance.broken:CompilesByPlace"

    def provider(self) -> Provider:
        class Compiles(example.FolderProvider):  # type: ignore[misc]
            def compile(self, deployment: Deployment) -> Stack:
                stack: Stack = super().compile(deployment)
                return replace(stack, template={**stack.template, "from": str(Path.cwd())})

        provider: Provider = Compiles(ProviderOptions(home=self.root))
        return provider


class DropsFields(FolderHarness):
    def provider(self) -> Provider:
        class TakesAnything(example.FolderProvider):  # type: ignore[misc]
            capabilities = {  # noqa: RUF012
                **example.FolderProvider.capabilities,
                "compute.gpu": native("silently dropped"),
            }

        provider: Provider = TakesAnything(ProviderOptions(home=self.root))
        return provider


@dataclass(frozen=True)
class Broken:
    """A provider that breaks a rule.

    Attributes:
        rule: the check that catches it.
        make: its harness.
        says: what the check says of it.
        also: other checks that cannot hold either.
    """

    rule: suite.Check
    make: Callable[[Path], FolderHarness]
    says: str
    also: tuple[suite.Check, ...] = ()

    def __str__(self) -> str:
        return getattr(self.make, "__name__", "")


def _with(engine: type[Any]) -> Callable[[Path], FolderHarness]:
    def make(root: Path) -> FolderHarness:
        return _BrokenHarness(root, engine)

    make.__name__ = engine.__name__
    return make


# What cannot hold where no plan is ever empty.
_EMPTY = (
    suite.failed_update_keeps_the_old_release,
    suite.rollback_restores_the_release_before,
)
# What cannot hold where no update is made.
_UPDATES = (*_EMPTY, suite.rollback_is_planned_first, suite.stale_rollback_is_refused)

BROKEN: tuple[Broken, ...] = (
    Broken(suite.same_spec_same_bytes, CompilesByHash, "different bytes"),
    Broken(suite.same_spec_same_bytes, CompilesByPlace, "different bytes"),
    Broken(suite.unsupported_fields_are_refused, DropsFields, "was dropped"),
    Broken(
        suite.preview_touches_nothing,
        _with(TouchesInPreview),
        "the preview touched",
        also=(
            # The engine under it previews a rollback, and looks again before it, as any stack.
            suite.rollback_is_planned_first,
            suite.stale_rollback_is_refused,
            suite.destroy_removes_all_and_only_its_own,
        ),
    ),
    Broken(
        suite.apply_does_what_the_plan_said,
        _with(SkipsOneResource),
        "planned api, data, there is api",
        also=(suite.destroy_keeps_data_unless_told,),
    ),
    Broken(suite.apply_does_what_the_plan_said, _with(SaysNothing), "no event says that api, data"),
    Broken(
        suite.second_plan_is_empty,
        _with(AlwaysChangesSomething),
        "is not empty",
        also=(suite.update_changes_what_the_plan_says, *_EMPTY),
    ),
    Broken(
        suite.update_changes_what_the_plan_says,
        _with(IgnoresUpdates),
        "the old release serves",
        also=_UPDATES,
    ),
    Broken(suite.stale_plan_is_refused, _with(TakesStalePlans), "a stale plan was applied"),
    Broken(suite.killed_client_reattaches, _with(ForgetsKilledApplies), "the state is applying"),
    Broken(suite.failed_update_keeps_the_old_release, _with(LeavesFailedUpdates), "does not serve"),
    Broken(
        suite.rollback_restores_the_release_before,
        _with(RollsBackNothing),
        "release does not serve",
        also=(suite.stale_rollback_is_refused,),
    ),
    Broken(
        suite.rollback_is_planned_first,
        _with(TouchesInRollbackPreview),
        "plan of a rollback touched",
        also=(suite.stale_rollback_is_refused,),
    ),
    Broken(suite.rollback_is_planned_first, _with(PlansNoRollback), "it leaves out api"),
    Broken(suite.rollback_is_planned_first, _with(HidesDataStores), "data is in data"),
    Broken(suite.rollback_is_planned_first, _with(PlansAnotherRelease), "to another release"),
    Broken(suite.stale_rollback_is_refused, _with(TakesStaleRollbacks), "was carried out"),
    Broken(suite.drift_is_seen, _with(SeesNoDrift), "is not seen"),
    Broken(
        suite.destroy_removes_all_and_only_its_own, _with(DestroysByPrefix), "what is another's"
    ),
    Broken(suite.destroy_removes_all_and_only_its_own, _with(LeavesTheService), "left of its own"),
    Broken(suite.destroy_keeps_data_unless_told, _with(DestroysData), "to be kept: data"),
    Broken(suite.destroying_what_is_gone_is_no_error, _with(FailsOnWhatIsGone), "never was"),
    Broken(suite.a_deployment_describes_itself, _with(ForgetsItsSpec), "something else"),
)

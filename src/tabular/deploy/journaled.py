"""An engine for a place whose vendor has none: it keeps the state, the journal and the lock.

Where a vendor maintains an engine, drive that one. Where there is none, somebody has to compare,
write down what is about to happen, undo what failed and remember the release before; that is
here once. A provider says only how one resource is found, written and removed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from tabular.deploy.answers import (
    drift_between,
    no_release_before,
    nothing_at,
    require_fresh,
    require_same,
)
from tabular.deploy.events import Event, EventSequence, EventStatus, utc_now
from tabular.deploy.plan import Action, Change, Plan, diff_properties, diff_resources
from tabular.deploy.provider import Drift, LogLine, ResourceStatus, State, Status
from tabular.deploy.records import Records
from tabular.deploy.stack import Resource, Stack, fingerprint
from tabular.deploy.target import Target
from tabular.errors import ApplyError, TabularError, UnsupportedError

RELEASE, JOURNAL = "release", "journal"


class JournaledEngine(ABC):
    """The contract's engine over three methods of a provider's own.

    An apply is journaled before it begins. It stops when its client dies, and the next
    :meth:`attach` ends it.

    Args:
        records: where state and journal are kept.
        clock: the time, UTC, for what is shown.
    """

    def __init__(self, records: Records, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.records = records
        self._clock = clock

    @abstractmethod
    def found(self, target: Target) -> Mapping[str, Resource]:
        """What the deployment owns there, by id, asked of the place itself."""

    @abstractmethod
    def write(self, target: Target, resource: Resource) -> None:
        """Make a resource, or make it what it should be; twice is no error.

        Raises:
            OSError, TabularError: it failed; the apply is undone.
        """

    @abstractmethod
    def remove(self, target: Target, resource: Resource) -> None:
        """Remove a resource; one that is gone is no error."""

    def preview(self, stack: Stack) -> Plan:
        """Compare a stack with what is found; touches nothing."""
        target = stack.target
        release, found = self.records.read(target, RELEASE), dict(self.found(target))
        # In the order they were made, so that deletions come in the reverse of it.
        known = [found.pop(r.id) for r in _resources(release) if r.id in found]
        changes = diff_resources([*known, *found.values()], stack.resources)
        words = diff_properties(release.get("spec", {}), stack.spec)
        if release.get("id") and words:
            # The deployment describes itself: a change of the spec alone is a change too.
            changes += (Change(Action.UPDATE, "spec", "Deployment", words),)
        return Plan(stack, changes, self._basis(target))

    def apply(self, plan: Plan) -> Iterator[Event]:
        """Write the plan down, then carry it out; see the contract."""
        stack, target = plan.stack, plan.stack.target
        with self.records.lock(target):
            require_fresh(plan, self._basis(target))
            if plan.is_empty:
                return
            release = {**stack.as_dict(), "id": stack.fingerprint[:12]}
            self._begin(target, release)
            yield from self._carry_out(target)

    def attach(self, target: Target) -> Iterator[Event]:
        """End what a client that died had begun; its events from the first one on."""
        with self.records.lock(target):
            if self.records.read(target, JOURNAL):
                yield from self._carry_out(target)

    def preview_rollback(self, target: Target) -> Plan:
        """Compare the release before with what is found; touches nothing."""
        return self.preview(Stack.from_dict(self._before(target)))

    def rollback(self, plan: Plan) -> Iterator[Event]:
        """Apply the release before the present one."""
        target = plan.stack.target
        with self.records.lock(target):
            require_same(plan, self.preview_rollback(target))
            self._begin(target, self._before(target))
            yield from self._carry_out(target)

    def _before(self, target: Target) -> Mapping[str, Any]:
        release = self.records.read(target, RELEASE)
        if not release:
            raise nothing_at(target)
        before: Mapping[str, Any] = release.get("previous") or {}
        if not before.get("id"):
            raise no_release_before(target)
        return before

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Remove what the deployment owns, last made first; data stores only if asked."""
        tell, kept = EventSequence(self._clock), []
        with self.records.lock(target):
            release = self.records.read(target, RELEASE)
            for resource in reversed(list(self.found(target).values())):
                if resource.stateful and not delete_data:
                    kept.append(resource.as_dict())
                    yield tell.next(EventStatus.KEPT, resource)
                else:
                    self.remove(target, resource)
                    yield tell.next(EventStatus.COMPLETE, resource)
            self.records.remove(target, JOURNAL)
            if kept:
                left = {"id": "", "spec": release.get("spec", {}), "resources": kept}
                self._save(target, left)
            else:
                self.records.remove(target, RELEASE)

    def status(self, target: Target) -> Status:
        """What the records and the place itself say."""
        release, journal = (self.records.read(target, name) for name in (RELEASE, JOURNAL))
        found, applied = self.found(target), _resources(release)
        if not (release or journal or found):
            raise nothing_at(target)
        gone = [ResourceStatus(r.id, r.type, "gone") for r in applied if r.id not in found]
        there = [ResourceStatus(r.id, r.type, "there") for r in found.values()]
        up = State.DEGRADED if gone else State.READY
        state = State.APPLYING if journal else up if release.get("id") else State.RETAINED
        said = (journal or release).get("updated")
        when = datetime.fromisoformat(said) if said else self._clock()
        spec = (release or journal).get("spec", {})
        return Status(target, state, release.get("id", ""), when, spec, (*there, *gone))

    def list(self) -> tuple[Status, ...]:
        """Every deployment with a record here, sorted by target."""
        return tuple(self.status(target) for target in self.records.targets())

    def drift(self, target: Target) -> tuple[Drift, ...]:
        """What was applied against what is found."""
        release = self.records.read(target, RELEASE)
        if not release:
            raise nothing_at(target)
        return tuple(drift_between(_resources(release), self.found(target)))

    def logs(self, target: Target, *, follow: bool, tail: int) -> Iterator[LogLine]:
        """None, unless a provider has some."""
        return iter(())

    def issue_api_key(self, target: Target, name: str, *, only_first: bool) -> str | None:
        """Not to be had, unless a provider runs something that takes keys.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("nothing runs there that could take a key", where=target.id)

    def _basis(self, target: Target) -> str:
        kept = [self.records.read(target, name) for name in (RELEASE, JOURNAL)]
        return fingerprint([kept, [r.as_dict() for r in self.found(target).values()]])

    def _begin(self, target: Target, release: Mapping[str, Any]) -> None:
        now = self.records.read(target, RELEASE)
        previous = {key: now[key] for key in now if key != "previous"}  # one step back, not all
        journal = {**release, "previous": previous, "updated": self._clock().isoformat()}
        self.records.write(target, JOURNAL, journal)

    def _save(self, target: Target, release: Mapping[str, Any]) -> None:
        now = self._clock().isoformat()
        self.records.write(target, RELEASE, {**release, "updated": now})

    def _carry_out(self, target: Target) -> Iterator[Event]:
        """Do what the journal says; undo it if that fails."""
        journal, tell = self.records.read(target, JOURNAL), EventSequence(self._clock)
        try:
            yield from self._reach(target, _resources(journal), tell)
        except (OSError, TabularError) as error:
            reason = _words(error)
            yield tell.next(EventStatus.ROLLING_BACK, reason=reason)
            yield from self._undo(target, _resources(journal["previous"]), tell, reason)
            raise ApplyError(reason, where=target.id, rolled_back=True) from error
        self._save(target, journal)
        self.records.remove(target, JOURNAL)
        yield tell.next(EventStatus.COMPLETE)

    def _undo(
        self, target: Target, before: Iterable[Resource], tell: EventSequence, reason: str
    ) -> Iterator[Event]:
        """Make everything what it was; what cannot be undone stays in the journal."""
        try:
            yield from self._reach(target, before, tell)
        except (OSError, TabularError) as error:
            raise ApplyError(
                f"{reason}; and it could not be undone: {_words(error)}",
                where=target.id,
                hint="mend the cause and deploy again: it goes on where it stopped",
                rolled_back=False,
            ) from error
        self.records.remove(target, JOURNAL)
        yield tell.next(EventStatus.ROLLED_BACK, reason=reason)

    def _reach(
        self, target: Target, wanted: Iterable[Resource], tell: EventSequence
    ) -> Iterator[Event]:
        """Write what differs and remove what is not wanted; what is right stays untouched."""
        found = dict(self.found(target))
        for resource in wanted:
            yield tell.next(EventStatus.IN_PROGRESS, resource)
            now = found.pop(resource.id, None)
            if now is None or (now.type, now.properties) != (resource.type, resource.properties):
                self.write(target, resource)
            yield tell.next(EventStatus.COMPLETE, resource)
        for extra in reversed(found.values()):
            self.remove(target, extra)
            yield tell.next(EventStatus.COMPLETE, extra, "removed")


def _resources(release: Mapping[str, Any]) -> list[Resource]:
    return [Resource.from_dict(data) for data in release.get("resources", ())]


def _words(error: OSError | TabularError) -> str:
    return error.message if isinstance(error, TabularError) else error.strerror or str(error)

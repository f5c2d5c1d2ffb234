"""An operation from its first write to its last: bring a release, see it ready, else go back.

Everything here runs under the lease. Each step can be done twice, so whoever takes over from a
client that died begins with the first one again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.onprem.cluster.replicas import let_go
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.comparing import diff
from tabular.deploy.onprem.preflight.primary import require_primary
from tabular.deploy.onprem.releases import Method, Phase
from tabular.deploy.onprem.rendered.objects import id_of, stays
from tabular.deploy.target import Target
from tabular.errors import ApplyError, TabularError, WaitTimeoutError

from .background import Work
from .fitting import fitting
from .follow import Before, Follower, Heard, Watched
from .growing import Growing
from .lease import Held

READY_TIMEOUT = 15 * 60.0  # seconds that a release may take until it is ready
_LEAVING = 120.0  # seconds that an object may take to be gone


@dataclass(frozen=True, slots=True)
class Step:
    """One release to be brought.

    Attributes:
        method: by which.
        target: where.
        objects: with the owner's marks.
        bring: does it, within so many seconds.
        quiet: ids of objects that it does not change.
        resumed: another client began it, so what is there already may be of it.
    """

    method: Method
    target: Target
    objects: Sequence[Object]
    bring: Callable[[float], None]
    quiet: frozenset[str] = frozenset()
    resumed: bool = False


@dataclass
class Operations:
    """Carries out operations.

    Attributes:
        cluster: where.
        follower: looks at what becomes of objects.
        ready_timeout: seconds that a release may take until it is ready.
        keep_failed: leave what failed as it is.
        sleep: waits, seconds.
        clock: monotonic seconds.
    """

    cluster: Cluster
    follower: Follower
    ready_timeout: float = READY_TIMEOUT
    keep_failed: bool = False
    sleep: Callable[[float], None] = field(default=time.sleep)
    clock: Callable[[], float] = field(default=time.monotonic)
    growing: Growing = field(init=False)

    def __post_init__(self) -> None:
        self.growing = Growing(self.cluster, self.follower, self.sleep, self.clock)

    def first_and_last(
        self, step: Step, held: Held, tell: EventSequence, clean: Callable[[], Iterator[Event]]
    ) -> Iterator[Event]:
        """Bring a release; if it does not come up, what was before comes back.

        Args:
            step: to be brought.
            held: the lease, which says which release serves.
            tell: numbers events.
            clean: takes away a first release that failed.

        Raises:
            ApplyError: it failed; says whether what was before serves.
        """
        serving, heard = int(held.operation.get("serving", 0)), Heard()
        try:
            grown = yield from self._bring(step, held, tell, heard)
        except TabularError as error:
            reason = self._reason(step.target, error, heard)
        else:
            yield from self.sweep(step, held, tell)
            yield from self._grown(step, grown, held, tell)
            held.keep(held.operation.get("outlives", held.retained))
            held.note(outcome={"ok": True})
            yield tell.next(EventStatus.COMPLETE, reason="all is ready")
            return
        held.require()
        yield tell.next(EventStatus.FAILED, reason=reason)
        step.method.settle(step.target, well=False)
        if serving:
            held.keep(held.operation.get("undone", held.retained))
        held.note(phase="undoing", reason=reason)
        if self.keep_failed:
            raise _failed(step.target, held, f"{reason}; it was left as it is", undone=False)
        if step.resumed and not serving:
            # It may have come up when nobody looked, and served: its volumes are somebody's.
            raise _failed(step.target, held, f"{reason}; it was left as it is", undone=False)
        yield tell.next(EventStatus.ROLLING_BACK, reason=reason)
        if not serving:
            yield from clean()
            yield tell.next(EventStatus.ROLLED_BACK, reason="nothing of it is left")
            raise _failed(step.target, held, reason, undone=True)
        yield from self.back(step, serving, held, tell, reason)

    def back(
        self, step: Step, revision: int, held: Held, tell: EventSequence, reason: str
    ) -> Iterator[Event]:
        """Bring back the release that served.

        Raises:
            ApplyError: always; says whether that worked.
        """
        content = step.method.content(step.target, revision)
        content = fitting(self.cluster, step.target, content)
        again = Step(
            step.method,
            step.target,
            content.objects,
            lambda limit: step.method.back(step.target, revision, limit),
            frozenset(id_of(one) for one in content.objects if one in step.objects),
        )
        heard = Heard()
        try:
            yield from self._bring(again, held, tell, heard)
        except TabularError as error:
            also = self._reason(step.target, error, heard)
            step.method.settle(step.target, well=False)
            raise _failed(
                step.target, held, f"{reason}; and it could not be undone: {also}", undone=False
            ) from error
        yield from self.sweep(again, held, tell)
        yield tell.next(EventStatus.ROLLED_BACK, reason=f"release {revision} serves again")
        raise _failed(step.target, held, reason, undone=True)

    def sweep(self, step: Step, held: Held, tell: EventSequence) -> Iterator[Event]:
        """Remove what earlier releases brought and this one does not have.

        Helm compares with one release alone, and forgets what one brought that did not come up.
        """
        wanted, seen = {id_of(one) for one in step.objects}, set[str]()
        history, serving = step.method.history(step.target), held.operation.get("serving")
        for release in reversed(history[:-1]):
            brought = release.phase in (Phase.FAILED, Phase.PENDING)
            if not brought and release.revision != serving:
                continue
            for one in step.method.content(step.target, release.revision).objects:
                id_ = id_of(one)
                if id_ in wanted or id_ in seen or stays(one):
                    continue
                seen.add(id_)
                if self.delete_own(step.method, step.target, one):
                    yield tell.next(EventStatus.COMPLETE, reason=f"{id_} is removed")

    def delete_own(self, method: Method, target: Target, one: Mapping[str, Any]) -> bool:
        """Delete an object if it is there and bears the owner's mark; whether it was."""
        api, kind, name = one["apiVersion"], one["kind"], one["metadata"]["name"]
        live = self.cluster.get(api, kind, name, target.region)
        if live is None or not method.owns(target, live):
            return False
        uid = live["metadata"]["uid"]
        return self.cluster.delete(api, kind, name, target.region, uid=uid)

    def wait_gone(self, what: str, there: Callable[[], Sequence[str]], limit: float) -> None:
        """Wait until nothing is there any more.

        Raises:
            WaitTimeoutError: names what still is.
        """
        deadline = self.clock() + limit
        while left := there():
            if self.clock() > deadline:
                raise WaitTimeoutError(
                    f"{what} are still there after {limit:.0f} s: {', '.join(left)}",
                    hint="`kubectl describe` tells what holds them (finalizers, a node that is "
                    "gone); mend that, and run the command again: it goes on",
                )
            self.sleep(min(0.5, self.follower.pause))

    def _bring(
        self, step: Step, held: Held, tell: EventSequence, heard: Heard
    ) -> Generator[Event, None, frozenset[str]]:
        """Bring a release and follow it until it is ready.

        Returns:
            Names of claims whose disks grow with it.

        Raises:
            TabularError: it is not, and why.
        """
        # A primary may have gone, and another one lead, since the plan was made.
        require_primary(self.cluster, step.target.region or "", step.objects)
        before = Before()
        if not step.resumed:
            before = self.follower.before(step.target, step.objects)
        grown = yield from self.growing.grow(step.target, step.objects, tell)
        for one in diff.immutable(self.cluster, step.method, step.target, step.objects):
            yield tell.next(EventStatus.IN_PROGRESS, reason=f"{id_of(one)} is made anew")
            self._make_way(step.target, one)
        let_go(self.cluster, step.objects, step.method.manager)
        limit = self.ready_timeout
        work = Work(lambda: step.bring(limit))
        watched = Watched(step.target, step.objects, before, step.quiet)
        try:
            yield from self.follower.follow(watched, work, heard, tell, limit)
        finally:
            if not work.ended:
                step.method.cancel(step.target)
        error = work.error()
        if heard.ready and error is None:
            held.require()
            step.method.settle(step.target, well=True)
            return grown
        if error is not None and not (heard.hopeless or heard.timed_out):
            raise error
        over = "it cannot come up" if heard.hopeless else f"it was not ready within {limit:.0f} s"
        raise WaitTimeoutError(over) from error

    def _grown(
        self, step: Step, grown: frozenset[str], held: Held, tell: EventSequence
    ) -> Iterator[Event]:
        """Wait until disks are as large as they are asked to be.

        Raises:
            ApplyError: one does not grow; the release serves all the same.
        """
        if step.resumed:
            grown |= self.growing.unfinished(step.target)
        try:
            yield from self.growing.wait(step.target, grown, tell, self.ready_timeout)
        except TabularError as error:
            reason = f"the release serves, and {error.message}"
            yield tell.next(EventStatus.FAILED, reason=reason)
            raise _failed(step.target, held, reason, undone=False) from error

    def _make_way(self, target: Target, one: Object) -> None:
        """Delete an object that is to be made anew; pods stay where the new one takes them on.

        Raises:
            RefusedError: it is a volume.
        """
        if one["kind"] == "PersistentVolumeClaim":
            raise diff.never_anew(id_of(one))
        api, kind, name = one["apiVersion"], one["kind"], one["metadata"]["name"]
        live = self.cluster.get(api, kind, name, target.region)
        if live is None:
            return
        same = (one.get("spec") or {}).get("selector") == (live.get("spec") or {}).get("selector")
        adopts = kind in ("StatefulSet", "Deployment") and same
        uid = live["metadata"]["uid"]
        how = "Orphan" if adopts else "Background"
        self.cluster.delete(api, kind, name, target.region, propagation=how, uid=uid)

        def still() -> Sequence[str]:
            found = self.cluster.get(api, kind, name, target.region)
            return [id_of(one)] if found and found["metadata"]["uid"] == uid else []

        self.wait_gone("objects that are to be made anew", still, _LEAVING)

    def _reason(self, target: Target, error: TabularError, heard: Heard) -> str:
        """Why an operation failed: what was seen of its objects, else what was said."""
        seen = self.follower.explain(target, heard)
        timed = isinstance(error, WaitTimeoutError)
        if seen and timed:
            return f"{error.message.partition(':')[0]}: {seen}"
        return error.message if not seen else f"{error.message}; {seen}"


def _failed(target: Target, held: Held, reason: str, *, undone: bool) -> ApplyError:
    held.note(outcome={"ok": False, "reason": reason, "undone": undone})
    return failed(target, reason, undone=undone)


def failed(target: Target, reason: str, *, undone: bool) -> ApplyError:
    """What an apply that failed came to."""
    return ApplyError(
        f"the apply failed{' and was undone' if undone else ''}: {reason}",
        rolled_back=undone,
        where=target.id,
        hint="mend that, and deploy again"
        if undone
        else "`inferloop-tabular status` shows what is there; mend the cause and deploy again",
    )

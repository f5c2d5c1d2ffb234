"""An apply that somebody else began: followed while its client lives, gone on with when it died."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.onprem.cluster.session import Object
from tabular.deploy.onprem.releases import Content, Method, Phase, Release, last, present
from tabular.errors import BusyError, ConflictError, WaitTimeoutError

from .destroy import Destroyer
from .follow import Heard, Watched
from .lease import Held, Leases, busy
from .operations import Operations, Step, failed
from .state import Found

Look = Callable[[], Found]


@dataclass
class _Others:
    """The work of another client, as it looks from here."""

    look: Look

    @property
    def ended(self) -> bool:
        note = self.look().note
        return note is None or not note.alive

    @property
    def failed(self) -> bool:
        return self.ended  # whatever it came to: the lease and the history say that


@dataclass(frozen=True, slots=True)
class Takeover:
    """Follows and takes over.

    Attributes:
        leases: say who lives.
        operations: go on.
        destroyer: takes away a first release that failed.
    """

    leases: Leases
    operations: Operations
    destroyer: Destroyer

    def attach(self, look: Look) -> Iterator[Event]:
        """Events of the operation that runs, or ran last, to its end.

        Args:
            look: what is known of the target now.

        Raises:
            ApplyError: it failed.
            BusyError: a destroy or an import runs, or Helm itself is at work.
        """
        tell = EventSequence()
        found = look()
        while found.note is not None and found.note.alive:
            if found.note.operation.get("purpose") in ("destroy", "import"):
                raise busy(found.target, found.note)
            yield from self._watch(look, tell)
            found = look()
        note, newest = found.note, last(found.history)
        pending = newest is not None and newest.phase is Phase.PENDING
        if note is not None and note.abandoned and note.operation.get("purpose") == "destroy":
            raise ConflictError(
                "a destroy was begun here and did not end",
                where=found.target.id,
                hint="`inferloop-tabular destroy` again goes on with it",
                code="conflict.destroying",
            )
        if pending or (note is not None and note.abandoned):
            yield from self._take_over(found, look, tell)
        else:
            yield from self._told(found, tell)

    def _watch(self, look: Look, tell: EventSequence) -> Iterator[Event]:
        """Follow another client's apply until it ends or dies."""
        others, limit = _Others(look), 3 * self.operations.ready_timeout
        deadline = self.operations.clock() + limit
        while not others.ended:
            found = look()
            newest = last(found.history)
            if newest is not None and newest.phase is Phase.PENDING and found.method is not None:
                content = found.method.content(found.target, newest.revision)
                watched = Watched(found.target, content.objects)
                yield from self.operations.follower.follow(watched, others, Heard(), tell, limit)
            if self.operations.clock() > deadline:
                raise WaitTimeoutError(
                    f"the other client's apply did not end within {limit:.0f} s",
                    where=found.target.id,
                )
            self.operations.sleep(self.operations.follower.pause)

    def _told(self, found: Found, tell: EventSequence) -> Iterator[Event]:
        """What the operation that ran last came to."""
        outcome = {} if found.note is None else found.note.operation.get("outcome") or {}
        if found.note is None or outcome.get("ok") is False:
            reason = outcome.get("reason", "the first release did not come up, and was taken back")
            raise failed(found.target, reason, undone=bool(outcome.get("undone", True)))
        yield tell.next(EventStatus.COMPLETE, reason="it ended well")

    def _take_over(self, found: Found, look: Look, tell: EventSequence) -> Iterator[Event]:
        _require_ours(found, self.leases, self.operations.ready_timeout)
        # What a lease says that nobody holds is of another operation, which ended.
        abandoned = found.note is not None and found.note.abandoned
        operation = dict(found.note.operation) if found.note is not None and abandoned else {}
        with self.leases.hold(found.target, {**operation, "takenOver": True}) as held:
            found = look()
            yield tell.next(
                EventStatus.IN_PROGRESS, reason="the client is gone: going on where it was"
            )
            yield from self._go_on(found, held, tell, look)
            if operation.get("purpose") == "rollback":
                # Whoever asked for it did not see its end, and will ask once more.
                held.note(unseen=True)

    def _go_on(self, found: Found, held: Held, tell: EventSequence, look: Look) -> Iterator[Event]:
        method, newest = found.method, last(found.history)
        if held.operation.get("purpose") == "import":
            # Each mark is whole; whoever asked for them will ask once more.
            if not (found.history or held.retained):
                held.drop()
            yield tell.next(EventStatus.COMPLETE, reason="an import was begun here, and ended")
            return
        if held.operation.get("outcome"):
            yield from self._told(found, tell)  # it died when all was done
            return
        if "serving" not in held.operation:  # begun by Helm itself
            serving = present(found.history)
            held.note(
                serving=0 if serving is None else serving.revision,
                revision=0 if newest is None else newest.revision,
            )
        expected, to = int(held.operation["revision"]), int(held.operation["serving"])
        if method is None or newest is None or newest.revision < expected:
            yield from self._not_begun(found, held, tell)
            return
        content = method.content(found.target, newest.revision)
        step = _again(method, found, newest, content)
        if newest.phase is not Phase.FAILED and held.operation.get("phase") != "undoing":
            yield from self.operations.first_and_last(step, held, tell, lambda: iter(()))
        elif to:
            reason = str(held.operation.get("reason", "it did not come up"))
            yield from self.operations.back(step, to, held, tell, reason)
        else:
            yield from self._take_away(look(), held, content.objects)

    def _take_away(
        self, found: Found, held: Held, objects: Iterable[Object]
    ) -> Generator[Event, None, NoReturn]:
        """Take away a first release that failed.

        Raises:
            ApplyError: always; it is gone.
        """
        reason = str(held.operation.get("reason", "it did not come up"))
        fresh = held.operation.get("fresh", {})
        yield from self.destroyer.first_failed(found, held, fresh, objects)
        held.note(outcome={"ok": False, "reason": reason, "undone": True})
        raise failed(found.target, reason, undone=True)

    def _not_begun(self, found: Found, held: Held, tell: EventSequence) -> Iterator[Event]:
        """The client died before it brought anything: nothing is left of it.

        Raises:
            ApplyError: something was made way for already, and what served was brought back.
        """
        if held.operation.get("phase") == "undoing" and not found.history:
            yield from self._take_away(found, held, ())
        if not found.history:
            fresh = held.operation.get("fresh", {})
            yield from self.destroyer.first_failed(found, held, fresh, ())
        to = int(held.operation["serving"])
        if found.method is not None and to:
            content = found.method.content(found.target, to)
            if None in self.operations.follower.live(content.objects).values():
                step = _again(found.method, found, found.history[-1], content)
                reason = "the client died on the way"
                yield from self.operations.back(step, to, held, tell, reason)
        held.note(outcome={"ok": True})
        yield tell.next(
            EventStatus.ROLLED_BACK, reason="the client died before it brought anything"
        )


def _again(method: Method, found: Found, newest: Release, content: Content) -> Step:
    """The last release once more, from its own record; one that was brought is only followed."""
    brought = newest.phase is Phase.DEPLOYED

    def bring(limit: float) -> None:
        if not brought:
            method.back(found.target, newest.revision, limit)

    return Step(method, found.target, content.objects, bring, resumed=True)


def _require_ours(found: Found, leases: Leases, limit: float) -> None:
    """Refuse to take over from Helm itself, as long as it may be at work.

    Raises:
        BusyError: a release is pending that we did not begin, since not long.
    """
    newest, note = last(found.history), found.note
    if newest is None or (note is not None and note.abandoned):
        return
    if leases.cluster.now() - newest.updated < timedelta(seconds=limit):
        raise BusyError(
            f"release {newest.revision} was begun with Helm itself, and may still be at work",
            where=found.target.id,
            hint=f"`helm status {found.target.name} -n {found.target.region}` shows it; once its "
            f"client is surely gone: `helm rollback {found.target.name} -n {found.target.region}`",
            code="refused.helm",
        )

"""The watcher's rounds: who leads, is everybody with it, and if nobody does, who shall."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from tabular.errors import UnavailableError

from .cluster import Cluster, Record
from .members import Members, Refusal, View

_log = logging.getLogger(__name__)
# Two of three: with the one that the old primary's commits are on too, they are a majority.
_SEALED = 2
# What was counted is not believed for longer: a disk may have been lost since, and copied anew.
_ELECTION_SECONDS = 80.0
# A primary that recovers from a crash is back sooner than another would be in its place; one that
# never gets that far is replaced when it took so many times as long as one that is away.
_RECOVERING = 10
_NOBODY = "none"  # no pod has this name


class Watch:
    """The watcher of one PostgreSQL.

    Args:
        cluster: has the Lease and the Service.
        members: are watched.
        after: seconds without a primary before another is promoted.
        clock: of seconds that only go forward.
    """

    def __init__(
        self,
        cluster: Cluster,
        members: Members,
        *,
        after: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._members = members
        self._after = after
        self._clock = clock
        self._silent_since: float | None = None
        self._starting_since: float | None = None
        self._said: set[str] = set()
        self._before: set[str] = set()

    def round(self) -> None:
        """Look once and do what is to be done; what fails is tried again in the next round.

        Raises:
            UnavailableError: the API server or a member did not answer.
        """
        self._before, self._said = self._said, set()
        if not self._cluster.hold():
            self._there()
            self._say("another pod watches")
            return
        record = self._cluster.record
        said = self._members.look()
        views = self._own(said, record)
        leader = self._leader(views)
        if leader is not None:
            self._there()
            self._lead(leader, views)
            return
        self._say(f"no primary; it was {record.primary or 'never there'}")
        if record.primary and self._is_over(record, said):
            self._elect(views, record)

    def _own(self, said: Sequence[View | Refusal], record: Record) -> list[View]:
        """Those that have the database on record: another has no say, however far it is."""
        views = [one for one in said if isinstance(one, View)]
        strangers = [view for view in views if record.system not in ("", view.system)]
        for view in strangers:
            self._say(
                f"{view.member.name} has another database ({view.system}) than the one on record "
                f"({record.system}): nobody follows it, and nothing is written to it"
            )
            if view.member.name == record.primary:
                self._cluster.select(_NOBODY)
        return [view for view in views if view not in strangers]

    def _is_over(self, record: Record, said: Sequence[View | Refusal]) -> bool:
        """Whether the primary on record was away for long enough."""
        now = self._clock()
        refusals = (one for one in said if isinstance(one, Refusal))
        refusal = next((one for one in refusals if one.member.name == record.primary), None)
        if refusal is None:
            self._silent_since = now if self._silent_since is None else self._silent_since
            return now - self._silent_since >= self._after
        if refusal.starting:
            self._silent_since = None
            self._starting_since = now if self._starting_since is None else self._starting_since
            return now - self._starting_since >= self._after * _RECOVERING
        self._there()
        self._say(f"{record.primary} takes no more connections; it is there, and stays primary")
        return False

    def _there(self) -> None:
        self._silent_since = self._starting_since = None

    def _leader(self, views: Sequence[View]) -> View | None:
        """The primary, if one answers that is not deposed."""
        primaries = [view for view in views if not view.replica]
        if not primaries:
            return None
        found = max(primaries, key=lambda view: view.timeline)
        voters = (view for view in views if view.member in self._members.voters)
        heard = max((view.timeline for view in voters), default=0)
        deposed = found.timeline < max(self._cluster.record.timeline, heard)
        return None if deposed else found

    def _lead(self, leader: View, views: Sequence[View]) -> None:
        """Keep the primary, or have the member lead that somebody wants."""
        wanted = self._cluster.wanted
        if wanted == leader.member.name:
            self._cluster.fulfil()
        elif wanted and self._elect(views, self._cluster.record, wanted=wanted):
            return
        self._settle(leader, views)

    def _settle(self, leader: View, views: Sequence[View]) -> None:
        name = leader.member.name
        record = Record(name, leader.timeline, leader.system)
        astray = [
            view
            for view in views
            if view.replica and view.conninfo != view.member.conninfo_of(leader.member)
        ]
        # Whoever stood still since it looked must not let one receive that another has sealed.
        if (astray or self._cluster.record != record) and not self._cluster.write(record):
            return
        self._cluster.remember()
        if self._cluster.select(name):
            _log.warning("writes go to %s now", name)
        others = [member for member in self._members.all if member != leader.member]
        self._members.keep_for(leader.member, others)
        for view in astray:
            self._members.follow(view.member, leader.member)
            _log.warning("%s follows %s now", view.member.name, name)
        self._say(f"{name} leads by timeline {leader.timeline}; {len(views) - 1} others answer")

    def _elect(self, views: Sequence[View], record: Record, *, wanted: str = "") -> bool:
        """Promote the voting replica that is furthest; whether one was.

        Args:
            views: what the members said.
            record: who leads or led.
            wanted: only this one, if it is as far as the other.
        """
        voters = [view for view in views if view.replica and view.member in self._members.voters]
        if len(voters) < _SEALED:
            self._say(
                f"nobody is promoted: {len(voters)} of the voting replicas answer, and what was "
                f"committed is only certain with {_SEALED}"
            )
            return False
        if wanted and wanted not in {view.member.name for view in voters}:
            self._say(f"nobody is promoted: {wanted} is no voting replica that answers")
            return False
        began = self._clock()
        sealed = [self._members.seal(view.member) for view in voters]
        best = _best(sealed, record, wanted)
        promised = Record(best.member.name, best.timeline + 1, best.system)
        if wanted and best.member.name != wanted:
            self._say(f"{wanted} was behind just now; it is tried again")
            return False
        if not _allowed(promised, record):
            self._say(f"nobody is promoted: timeline {promised.timeline} was promised before")
            return False
        if self._clock() - began > _ELECTION_SECONDS or not self._cluster.write(promised):
            return False
        reason = "as somebody wants" if wanted else f"{record.primary} is away"
        _log.warning("%s is promoted: %s", best.member.name, reason)
        self._members.promote(best)
        _log.warning("%s takes writes", best.member.name)
        return True

    def _say(self, state: str) -> None:
        """Log a state once, not in each round in which it is so."""
        if state not in self._before | self._said:
            _log.info(state)
        self._said.add(state)


def _best(sealed: Sequence[View], record: Record, wanted: str) -> View:
    """The one that is furthest, and the wanted one of those.

    Where its next timeline was promised to another of them, that one: it was furthest then, nobody
    received since, and it may be on its way still, for it replays all that it has before it leads.
    """
    best = max(sealed, key=lambda one: (one.branch, one.position, one.member.name == wanted))
    if best.timeline + 1 != record.timeline:
        return best
    promised = (one for one in sealed if one.member.name == record.primary)
    return next((one for one in promised if one.timeline == best.timeline), best)


def _allowed(promised: Record, record: Record) -> bool:
    """Whether no other member can lead by this timeline: it is new, or was promised to this one."""
    return promised.timeline > record.timeline or (
        promised.timeline == record.timeline and promised.primary == record.primary
    )


def run(watch: Watch, *, interval: float, beat: Callable[[], None]) -> None:
    """Watch for ever.

    Args:
        watch: does the rounds.
        interval: seconds between two rounds.
        beat: is called after each, for a liveness probe.
    """
    while True:
        try:
            watch.round()
        except UnavailableError as error:
            _log.warning("%s (%s)", error, error.where)
        beat()
        time.sleep(interval)

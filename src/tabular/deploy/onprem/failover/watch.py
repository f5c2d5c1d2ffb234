"""The watcher's rounds: who leads, is everybody with it, and if nobody does, who shall."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from tabular.errors import UnavailableError

from .cluster import Cluster, Record
from .members import Members, View

_log = logging.getLogger(__name__)
# Two of three: with the one that the old primary's commits are on too, they are a majority.
_SEALED = 2
# A replica that is sealed and sees a primary for two minutes is laid anew by its own liveness.
_ELECTION_SECONDS = 80.0


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
        self._away_since: float | None = None
        self._said = ""

    def round(self) -> None:
        """Look once and do what is to be done; what fails is tried again in the next round.

        Raises:
            UnavailableError: the API server or a member did not answer.
        """
        if not self._cluster.hold():
            self._away_since = None
            self._say("another pod watches")
            return
        views = self._members.look()
        leader = self._leader(views)
        if leader is not None:
            self._away_since = None
            self._lead(leader, views)
            return
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
        record = self._cluster.record
        self._say(f"no primary; it was {record.primary or 'never there'}")
        if record.primary and now - self._away_since >= self._after:
            self._elect(views, record)

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
        record = Record(name, leader.timeline)
        if self._cluster.record != record and not self._cluster.write(record):
            return
        if self._cluster.select(name):
            _log.warning("writes go to %s now", name)
        others = [member for member in self._members.all if member != leader.member]
        self._members.keep_for(leader.member, others)
        for view in views:
            if view.replica and view.conninfo != view.member.conninfo_of(leader.member):
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
        best = max(sealed, key=lambda one: (one.timeline, one.position, one.member.name == wanted))
        promised = Record(best.member.name, best.timeline + 1)
        if wanted and best.member.name != wanted:
            self._say(f"{wanted} was behind just now; it is tried again")
            return False
        if not _allowed(promised, record, sealed):
            self._say(f"nobody is promoted: timeline {promised.timeline} was promised before")
            return False
        if self._clock() - began > _ELECTION_SECONDS or not self._cluster.write(promised):
            return False
        reason = "as somebody wants" if wanted else f"{record.primary} is away"
        _log.warning("%s is promoted: %s", best.member.name, reason)
        self._members.promote(best.member)
        _log.warning("%s takes writes", best.member.name)
        return True

    def _say(self, state: str) -> None:
        """Log a state once, not in each round."""
        if state != self._said:
            _log.info(state)
            self._said = state


def _allowed(promised: Record, record: Record, sealed: Sequence[View]) -> bool:
    """Whether no other member can lead by this timeline.

    It is a new one, or the member that was to have it is among the sealed, and so never had it.
    """
    if promised.timeline > record.timeline:
        return True
    return promised.timeline == record.timeline and any(
        view.member.name == record.primary for view in sealed
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

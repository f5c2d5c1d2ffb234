"""Which workers there are: each gives a sign of life into the database, where the API looks.

A worker between two jobs holds no lease, so the jobs say nothing of it. The signs are for probes
and people; no job depends on them, nor on the clocks that they are written by.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tabular.infra.database import Database
from tabular.infra.database.models import Worker

EVERY = 10.0  # seconds between two signs
LATELY = 60.0  # seconds for which one counts
_FORGET = timedelta(days=1)


def _utcnow() -> datetime:
    return datetime.now(UTC)


class Presence:
    """The signs of one worker.

    Args:
        database: where they go.
        name: of the worker.
        clock: the time of day.
    """

    def __init__(
        self, database: Database, name: str, *, clock: Callable[[], datetime] = _utcnow
    ) -> None:
        self._database = database
        self._name = name
        self._clock = clock
        self._started = clock()
        self._due = 0.0

    def here(self) -> None:
        """Give a sign when one is due.

        Raises:
            UnavailableError: the database does not answer; the next call tries again.
        """
        if time.monotonic() < self._due:
            return
        try:
            with self._database.transaction() as session:
                self._write(session)
        except IntegrityError:
            return  # another process of our name was first, and it says the same
        self._due = time.monotonic() + EVERY

    def _write(self, session: Session) -> None:
        now = self._clock()
        mine = update(Worker).where(Worker.name == self._name).values(seen_at=now)
        if session.execute(mine).rowcount == 0:  # type: ignore[attr-defined]
            session.execute(delete(Worker).where(Worker.seen_at < now - _FORGET))
            session.add(Worker(name=self._name, started_at=self._started, seen_at=now))

    def gone(self) -> None:
        """Take the worker off the list, until it gives a sign again.

        Raises:
            UnavailableError: the database does not answer; the sign grows old by itself.
        """
        self._due = 0.0
        with self._database.transaction() as session:
            session.execute(delete(Worker).where(Worker.name == self._name))


def count(session: Session, *, now: datetime | None = None) -> int:
    """How many workers gave a sign lately."""
    since = (now or _utcnow()) - timedelta(seconds=LATELY)
    found = session.scalar(select(func.count()).where(Worker.seen_at > since))
    return int(found or 0)

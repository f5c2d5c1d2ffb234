"""A hold: nothing that rows referred to is removed as long as somebody copies it.

It is a row that ends by itself, because whoever holds on may be killed. The hold is taken before
the copy reads its first row; objects that lose their last row later are named as garbage later,
and whoever empties the garbage looks for holds after reading those names.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update

from tabular.errors import TabularError
from tabular.infra.database import Database
from tabular.infra.database.models import Hold, new_id

LENGTH = timedelta(hours=1)
BACKUP, PRUNE = "backup", "prune"
_RENEWALS = 6  # in the length of a hold

_LOG = logging.getLogger(__name__)


def _utcnow() -> datetime:
    return datetime.now(UTC)


@contextlib.contextmanager
def holding(
    database: Database,
    reason: str,
    *,
    length: timedelta = LENGTH,
    clock: Callable[[], datetime] = _utcnow,
) -> Iterator[None]:
    """Hold on for the time of the block.

    Args:
        database: of the platform whose objects are copied.
        reason: for people who look at the table.
        length: after which it ends when its holder was killed.
        clock: the time; the hosts' clocks may differ by a good part of `length`.
    """
    name = new_id("hold")
    with database.transaction() as session:
        now = clock()
        session.add(Hold(id=name, reason=reason, created_at=now, expires_at=now + length))
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(length.total_seconds() / _RENEWALS):
            try:
                with database.transaction() as session:
                    later = update(Hold).where(Hold.id == name)
                    session.execute(later.values(expires_at=clock() + length))
            except TabularError as error:
                # What the copy then misses it finds out itself.
                _LOG.warning("the hold was not renewed: %s", error.message)

    thread = threading.Thread(target=renew, name="hold", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with database.transaction() as session:
            ended = (Hold.id == name) | (Hold.expires_at < clock())
            session.execute(delete(Hold).where(ended))


def held(
    database: Database, reason: str | None = None, *, clock: Callable[[], datetime] = _utcnow
) -> int:
    """How many hold on at the moment, of a reason or of all."""
    asked = select(func.count()).select_from(Hold).where(Hold.expires_at > clock())
    if reason is not None:
        asked = asked.where(Hold.reason == reason)
    with database.session() as session:
        return int(session.execute(asked).scalar_one())

"""Which jobs and parts wait, since when, and what is said of those that waited too long.

The delay before a retry is a time of day, which can be set. It is a courtesy: nothing is lost or
done twice when it is wrong, and a clock that was found to be set back ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from tabular.errors import TabularError, UnavailableError
from tabular.infra.database.models import Job, JobPart
from tabular.worker.claims import Row
from tabular.worker.statuses import QUEUED

MOST = 100  # rows of each table that one look gives; the others come at the next ones


def due(table: type[Row], now: datetime) -> ColumnElement[bool]:
    """Whether the delay of a row is over."""
    return or_(
        table.not_before.is_(None),
        table.not_before <= now,
        table.requeued_at > now,  # the clock was set back: do not wait for it to return
    )


def overdue(
    session: Session, now: datetime, seconds: float
) -> Sequence[tuple[type[Row], str, str, int]]:
    """What has been due for so long that whoever was free would have taken it, oldest first.

    Args:
        session: of the database.
        now: the time.
        seconds: how long. Of a part that was not claimed before it is not known, and it counts.

    Returns:
        The table of each, its id, the id of its job, and its `beat`.
    """
    since = now - timedelta(seconds=seconds)
    lain = func.coalesce(Job.not_before, Job.created_at)
    new = JobPart.not_before.is_(None)
    whole = (
        select(Job.id, Job.id, Job.beat)
        .where(Job.status == QUEUED, lain <= since)
        .order_by(lain)
        .limit(MOST)
    )
    pieces = (
        select(JobPart.id, JobPart.job_id, JobPart.beat)
        .where(JobPart.status == QUEUED, or_(new, JobPart.not_before <= since))
        .order_by(new.desc(), JobPart.not_before)
        .limit(MOST)
    )
    found: list[tuple[type[Row], str, str, int]] = []
    found += [(Job, *row) for row in session.execute(whole)]
    found += [(JobPart, *row) for row in session.execute(pieces)]
    return found


def given_up(error: TabularError, seconds: float) -> UnavailableError:
    """The end of a job whose outage has lasted too long.

    Args:
        error: what did not answer.
        seconds: how long in all.
    """
    again = "submit it again once the service is well; TABULAR_OUTAGE_LIMIT is how long it waits"
    return UnavailableError(
        f"given up after {seconds / 3600:.3g} h of outage: {error.message}",
        where=error.where,
        hint=f"{error.hint}; {again}" if error.hint else again,
        code="unavailable.outage",
    )

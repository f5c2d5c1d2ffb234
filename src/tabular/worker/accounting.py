"""What was used, counted where it becomes true: in the transaction that makes it so.

Rows and jobs count in the transaction that finishes a job, which happens once however often the
job was tried, killed or taken away. Bytes uploaded count with the row of their dataset. What is
kept and what is promised is not counted at all but read off the rows that say so: a deleted
dataset gives its bytes back by not being there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, cast, delete, func, select
from sqlalchemy.orm import Session

from tabular.infra.database.models import Dataset, Job, Model, new_id
from tabular.infra.database.upsert import add_to
from tabular.infra.database.usage_models import UsageDay, UsageReservation

_WAITING = ("queued", "running")
_GENERATE = "generate"
RESERVED = timedelta(minutes=10)  # far longer than a request may generate


@dataclass(frozen=True)
class Standing:
    """What a principal has used and holds now.

    Attributes:
        rows_today, rows_this_month: generated, by the days of UTC.
        rows_promised: of jobs that wait or run, and of requests that generate now.
        jobs: that wait or run.
        stored: bytes of datasets, models and generated rows.
    """

    rows_today: int
    rows_this_month: int
    rows_promised: int
    jobs: int
    stored: int


def used(session: Session, principal_id: str, now: datetime, **amounts: int) -> None:
    """Add to what a principal did today.

    Args:
        session: the transaction in which it becomes true.
        principal_id: who.
        now: the moment, whose day in UTC counts.
        **amounts: columns of `UsageDay`.
    """
    key = {"principal_id": principal_id, "day": now.astimezone(UTC).date()}
    full = {"rows": 0, "jobs": 0, "bytes_uploaded": 0, "bytes_downloaded": 0, "bytes_stored": 0}
    add_to(session, UsageDay, key, {**full, **amounts})


def finished(session: Session, job: Job, result: Mapping[str, Any], now: datetime) -> None:
    """Count a job that has succeeded, in the transaction that says so."""
    rows = int(job.params.get("rows", 0)) if job.kind == _GENERATE else 0
    stored = int(result.get("size", 0)) if job.kind in (_GENERATE, "fit") else 0
    used(session, job.created_by, now, jobs=1, rows=rows, bytes_stored=stored)


def standing(session: Session, principal_id: str, now: datetime) -> Standing:
    """What counts against quotas, in one statement and so of one moment.

    A job that ends meanwhile is either promised or used, never both and never neither.
    """
    today = now.astimezone(UTC).date()
    days = UsageDay.principal_id == principal_id
    mine = Job.created_by == principal_id
    waits = Job.status.in_(_WAITING)
    held = UsageReservation.principal_id == principal_id
    kept = (mine, Job.kind == _GENERATE, Job.status == "succeeded", Job.expired_at.is_(None))
    row = session.execute(
        select(
            _sum(UsageDay.rows, days, UsageDay.day == today),
            _sum(UsageDay.rows, days, UsageDay.day >= today.replace(day=1), UsageDay.day <= today),
            _sum(_whole(Job.params["rows"]), mine, waits, Job.kind == _GENERATE),
            _sum(UsageReservation.rows, held, UsageReservation.expires_at > now),
            select(func.count()).select_from(Job).where(mine, waits).scalar_subquery(),
            _sum(Dataset.size, Dataset.created_by == principal_id),
            _sum(Model.size, Model.created_by == principal_id),
            _sum(_whole(Job.result["size"]), *kept),
        )
    ).one()
    today_, month, promised, reserved, jobs, *stored = (int(value or 0) for value in row)
    return Standing(today_, month, promised + reserved, jobs, sum(stored))


def reserve(session: Session, principal_id: str, rows: int, now: datetime) -> str:
    """Hold rows for a request that generates them itself; the id to settle them by."""
    made = new_id("rsv")
    session.execute(delete(UsageReservation).where(UsageReservation.expires_at <= now))
    session.add(
        UsageReservation(id=made, principal_id=principal_id, rows=rows, expires_at=now + RESERVED)
    )
    return made


def settle(session: Session, reservation: str | None) -> None:
    """Let go of a reservation; in the transaction that counts its rows, if they were made."""
    if reservation is not None:
        session.execute(delete(UsageReservation).where(UsageReservation.id == reservation))


def day_after(now: datetime) -> datetime:
    """When the next day of UTC begins."""
    return _midnight(now.astimezone(UTC).date() + timedelta(days=1))


def month_after(now: datetime) -> datetime:
    """When the next month of UTC begins."""
    first = now.astimezone(UTC).date().replace(day=1)
    return _midnight((first + timedelta(days=32)).replace(day=1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _sum(column: Any, *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(func.sum(column)).where(*where).scalar_subquery()


def _whole(document: Any) -> ColumnElement[int]:
    """A number in a document, of 64 bits."""
    return cast(document.as_string(), BigInteger)

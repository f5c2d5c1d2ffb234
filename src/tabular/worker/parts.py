"""Large generations in parts, so that all workers do them together and small jobs still pass.

The worker that claims such a job does none of it but splits it: a row for each part, and one
more that joins them. From then on the job runs without a worker, and its parts wait like jobs.
How it is split depends on the rows alone, and what a part writes on its place alone; so the
bytes of the whole are the same for any number of workers, and whichever of them die.

*Order.* The part with the number n of a job waits where the n-th job after it would. Of several
jobs in parts each gets its turn, small jobs come in between, and none waits for ever: what is
submitted later has a later place.

*Locks.* Whoever changes a part and its job locks the job first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, delete, func, select
from sqlalchemy.orm import Session

from tabular.infra.database.models import Job, JobPart, new_id
from tabular.worker.garbage import throw
from tabular.worker.objects import part_folder
from tabular.worker.statuses import QUEUED, SUCCEEDED

_WAITING = "waiting"  # for the other parts


def split(session: Session, job: Job, rows: Sequence[tuple[int, int]]) -> None:
    """Make the parts of a job, in place of those that an earlier attempt made.

    Args:
        session: the transaction.
        job: its row, locked.
        rows: first row and number of rows of each.
    """
    forget(session, job.id)
    join = (sum(count for _, count in rows), 0)
    job.parts = len(rows) + 1
    job.worker = None
    job.beat += 1
    session.add_all(
        JobPart(
            id=new_id("part"),
            job_id=job.id,
            job_attempt=job.attempt,
            number=number,
            place=job.seq + (number if count else 0),
            start=start,
            rows=count,
            status=QUEUED if count else _WAITING,
            max_tries=job.max_tries,
            attempt=0,
            tries=0,
            beat=0,
            progress=0.0,
            outage=0.0,
        )
        for number, (start, count) in enumerate([*rows, join])
    )


def finish(
    session: Session, job: Job, part: JobPart, result: Mapping[str, Any], now: datetime
) -> bool:
    """Record what a part made.

    Args:
        session: the transaction.
        job: its row, locked.
        part: its row, locked.
        result: what it made.
        now: the time.

    Returns:
        Whether it was the last one, and the result is that of the job.
    """
    for earlier in range(1, part.attempt):
        throw(session, part_folder(job.id, part.job_attempt, part.number, earlier), now)
    if is_join(part):
        forget(session, job.id)
        return True
    part.status, part.progress, part.result, part.error = SUCCEEDED, 1.0, dict(result), None
    part.beat += 1
    job.beat += 1
    session.flush()
    others = select(JobPart).where(JobPart.job_id == job.id, JobPart.status != SUCCEEDED)
    left = list(session.scalars(others.limit(2)))
    if len(left) == 1 and is_join(left[0]):
        left[0].status = QUEUED
    job.progress = session.scalar(select(progress(job.id))) or 0.0
    return False


def is_join(part: JobPart) -> bool:
    """Whether it makes one file of what the others made."""
    return part.rows == 0


def progress(job_id: str) -> ScalarSelect[float]:
    """How far a job in parts is."""
    mean = func.coalesce(func.avg(JobPart.progress), 0.0)
    return select(mean).where(JobPart.job_id == job_id).scalar_subquery()


def results(session: Session, job_id: str) -> list[dict[str, Any]]:
    """What the parts of a job made, in order."""
    query = (
        select(JobPart.result)
        .where(JobPart.job_id == job_id, JobPart.rows > 0)
        .order_by(JobPart.number)
    )
    return [dict(result or {}) for result in session.scalars(query)]


def forget(session: Session, job_id: str) -> None:
    """Remove the rows of a job's parts; whoever does one of them loses it."""
    session.execute(delete(JobPart).where(JobPart.job_id == job_id))

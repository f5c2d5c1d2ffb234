"""How long rows and reports are kept once their job has ended.

Rows can be generated again from their model, byte for byte, so it is enough to remember what
they were: a job that has lost its result keeps its row, with size and checksum. Objects go the
way of every deletion: they are named as garbage in the transaction that stops referring to them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, aliased

from tabular.errors import GoneError
from tabular.infra.database import Database
from tabular.infra.database.models import Evaluation, Job
from tabular.worker.garbage import throw
from tabular.worker.jobs import EVALUATE, GENERATE, QUEUED, RUNNING, SUCCEEDED
from tabular.worker.objects import job_folder

EXPIRING = (GENERATE, EVALUATE)  # what a fit makes is a model, which stays until it is deleted
BATCH = 100  # jobs a transaction


def expires_at(job: Job, retention: timedelta | None) -> datetime | None:
    """When the result of a job will be removed; None for never, and when there is none."""
    kept = job.kind in EXPIRING and job.status == SUCCEEDED and job.expired_at is None
    if retention is None or not kept or job.finished_at is None:
        return None
    return job.finished_at + retention


def require_kept(job: Job) -> None:
    """Return when the result of a job is still there.

    Raises:
        GoneError: it was removed for its age.
    """
    if job.expired_at is None:
        return
    again = (
        "POST /v1/generate with the same model, rows, seed and conditions gives the same rows"
        if job.kind == GENERATE
        else "POST /v1/evaluations with the same ids judges again"
    )
    raise GoneError(
        f"the result was removed on {job.expired_at:%Y-%m-%d}, for its age",
        where=job.id,
        hint=again,
        code="gone.expired",
    )


class Retention:
    """Removes results that are older than they may become.

    Args:
        database: where their jobs are.
        retention: how long they are kept; None for ever.
        clock: the time.
    """

    def __init__(
        self,
        database: Database,
        retention: timedelta | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._retention = retention
        self._clock = clock

    def expire(self) -> int:
        """Let go of what is too old; the garbage is emptied afterwards, by whom it suits.

        Returns:
            How many results were let go.

        Raises:
            UnavailableError: the database does not answer; call it again.
        """
        if self._retention is None:
            return 0
        done = 0
        while (found := self._expire_some(self._retention)) > 0:
            done += found
        return done

    def _expire_some(self, retention: timedelta) -> int:
        with self._database.transaction() as session:
            now = self._clock()
            due = (
                select(Job)
                .where(
                    Job.expired_at.is_(None),
                    Job.finished_at < now - retention,
                    Job.status == SUCCEEDED,
                    Job.kind.in_(EXPIRING),
                    Job.id.not_in(_judged()),
                )
                .order_by(Job.seq)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            jobs = list(session.scalars(due))
            for job in jobs:
                job.expired_at = now
                throw(session, job_folder(job.id), now)
                _forget_reports(session, job)
            return len(jobs)


def _judged() -> Select[str]:
    """Generations whose rows an evaluation that waits or runs is going to read."""
    judging = aliased(Job)
    return (
        select(Evaluation.generation_job_id)
        .join(judging, judging.evaluation_id == Evaluation.id)
        .where(judging.status.in_((QUEUED, RUNNING)))
    )


def _forget_reports(session: Session, job: Job) -> None:
    if job.kind == EVALUATE:
        session.execute(
            update(Evaluation)
            .where(Evaluation.id == job.evaluation_id)
            .values(report_key=None, page_key=None)
        )

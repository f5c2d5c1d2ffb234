"""The life of a job, as transactions on its row; every other part only follows the row.

    queued ──claim──► running ──finish──► succeeded
      ▲  │               │ ├────fail────► failed        (wrong input, or the last try)
      │  └──cancel──►    │ └──cancelled─► cancelled
      └── fail, postpone, release, lost ──┘

*Fencing.* A claim raises `attempt`. Every later write says ``WHERE attempt = mine AND status =
'running'``, so a worker that was taken for dead and wakes up again changes nothing: it gets
`LostLeaseError` and throws its work away. Safety needs no clock at all.

*Leases.* A running job raises `beat`. See `leases` for how its standing still is measured, by
clocks that cannot be set.

*Outages.* A try that ended because the store or the database did not answer says nothing about
the job. It is no try; the delay before the next one grows with the outage. So that nothing goes
round for ever, the seconds of such tries and delays are added up, and have a limit. They are
counted by the length of each try and each delay, not from one time of day to another.

*Order.* Fewest tries first, then oldest first. A job that kills its workers goes behind the
ones that have not been tried, so it never stands in their way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Update, delete, or_, select, update
from sqlalchemy.orm import Session

from tabular.errors import NotFoundError, TabularError, UnavailableError
from tabular.infra.database import Database
from tabular.infra.database.models import Evaluation, IdempotencyKey, Job, Model, new_id
from tabular.worker.garbage import throw
from tabular.worker.objects import attempt_folder, job_folder

QUEUED, RUNNING = "queued", "running"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
ENDED = (SUCCEEDED, FAILED, CANCELLED)
FIT, GENERATE, EVALUATE = "fit", "generate", "evaluate"

REMEMBERED = timedelta(days=7)
RETRY_DELAY = 2.0  # seconds before the second try; four times as long before each later one
MAX_OUTAGE_DELAY = 60.0  # seconds between tries while the store or the database is away
OUTAGE_LIMIT = 86_400.0


class LostLeaseError(Exception):
    """The attempt is not the present one any more; whatever it made does not count."""


@dataclass(frozen=True)
class Lease:
    """The right to run one job until it is lost.

    Attributes:
        job: the row as it was when it was claimed.
        attempt: the fencing token.
    """

    job: Job
    attempt: int


@dataclass(frozen=True)
class Pulse:
    """A running job and its last sign of life."""

    job_id: str
    attempt: int
    beat: int


def _utcnow() -> datetime:
    return datetime.now(UTC)


class Jobs:
    """Jobs in one database.

    Args:
        database: where.
        max_tries: how often a new job is tried before it has failed.
        retry_delay: seconds before the second try.
        outage_limit: seconds of outage after which a job has failed.
        clock: the time, for what is shown and for the delay before a retry.
    """

    def __init__(
        self,
        database: Database,
        *,
        max_tries: int,
        retry_delay: float = RETRY_DELAY,
        outage_limit: float = OUTAGE_LIMIT,
        clock: Callable[[], datetime] = _utcnow,
    ) -> None:
        self._database = database
        self._max_tries = max_tries
        self._retry_delay = retry_delay
        self._outage_limit = outage_limit
        self._clock = clock

    def submit(
        self,
        session: Session,
        kind: str,
        params: Mapping[str, Any],
        *,
        created_by: str,
        dataset_id: str | None = None,
        model_id: str | None = None,
        evaluation_id: str | None = None,
    ) -> Job:
        """Add a job to a transaction, with the rows that it is about; wake a worker afterwards.

        Args:
            session: the transaction.
            kind: `FIT`, `GENERATE` or `EVALUATE`.
            params: what the handler is given, JSON data.
            created_by: id of the key that asked.
            dataset_id, model_id, evaluation_id: what it reads or makes.
        """
        job = Job(
            id=new_id("job"),
            kind=kind,
            status=QUEUED,
            params=dict(params),
            dataset_id=dataset_id,
            model_id=model_id,
            evaluation_id=evaluation_id,
            attempt=0,
            tries=0,
            max_tries=self._max_tries,
            beat=0,
            outage=0.0,
            progress=0.0,
            cancel_requested=False,
            created_at=self._clock(),
            created_by=created_by,
        )
        session.add(job)
        session.flush()
        return job

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFoundError: no such job.
        """
        with self._database.session() as session:
            return find(session, job_id)

    def claim(self, worker: str) -> Lease | None:
        """Take the next job that is due, or None when none is.

        Args:
            worker: who takes it, for people to read.
        """
        with self._database.transaction() as session:
            now = self._clock()
            due = or_(
                Job.not_before.is_(None),
                Job.not_before <= now,
                Job.requeued_at > now,  # the clock was set back: do not wait for it to return
            )
            job = session.scalar(
                select(Job)
                .where(Job.status == QUEUED, due)
                .order_by(Job.tries, Job.seq)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if job is None:
                return None
            job.status = RUNNING
            job.attempt += 1
            job.tries += 1
            job.beat = 0
            job.progress = 0.0
            job.worker = worker
            job.started_at = now
            session.flush()
            return Lease(job, job.attempt)

    def beat(self, lease: Lease, progress: float) -> bool:
        """Say that the attempt is alive, and how far it is.

        Returns:
            Whether somebody asked for the job to be cancelled.

        Raises:
            LostLeaseError: the job was taken away or has ended.
        """
        with self._database.transaction() as session:
            self._guarded(session, lease, beat=Job.beat + 1, progress=progress)
            wanted = session.scalar(select(Job.cancel_requested).where(Job.id == lease.job.id))
            return bool(wanted)

    def finish(self, lease: Lease, result: Mapping[str, Any]) -> str:
        """Make the result visible: the job, and the model or evaluation it made, as one.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            self._guarded(
                session,
                lease,
                status=SUCCEEDED,
                progress=1.0,
                result=dict(result),
                error=None,
                finished_at=self._clock(),
            )
            _publish(session, lease.job, result)
            for earlier in range(1, lease.attempt):
                throw(session, attempt_folder(lease.job.id, earlier), self._clock())
        return SUCCEEDED

    def fail(self, lease: Lease, error: TabularError, *, retry: bool) -> str:
        """Record that the attempt failed.

        Args:
            lease: the attempt.
            error: why.
            retry: whether another try could help.

        Returns:
            The status now: ``queued`` for another try, or ``failed``.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            job = self._held(session, lease.job.id, lease.attempt)
            self._end_try(session, job, error, retry=retry)
            return job.status

    def postpone(self, lease: Lease, error: TabularError, *, spent: float) -> str:
        """Record that the store or the database did not answer; it is no try.

        Args:
            lease: the attempt.
            error: what did not answer.
            spent: seconds that the attempt took.

        Returns:
            The status now: ``queued``, or ``failed`` once the outage has lasted too long.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            job = self._held(session, lease.job.id, lease.attempt)
            job.tries -= 1
            job.outage += spent
            if job.outage >= self._outage_limit:
                job.error = _given_up(error, job.outage).as_dict()
                self._end(session, job, FAILED)
            else:
                job.error = error.as_dict()
                delay = min(MAX_OUTAGE_DELAY, max(self._retry_delay, job.outage))
                job.outage += delay
                self._requeue(session, job, delay)
            return job.status

    def cancelled(self, lease: Lease) -> str:
        """Record that the attempt was stopped because somebody asked for it.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            self._end(session, self._held(session, lease.job.id, lease.attempt), CANCELLED)
        return CANCELLED

    def release(self, lease: Lease) -> str:
        """Give a job back unharmed, as a worker does that is told to stop; it is no try.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            job = self._held(session, lease.job.id, lease.attempt)
            job.tries -= 1
            self._requeue(session, job, 0.0)
            return job.status

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: at once when it waits, at the next heartbeat when it runs.

        A job that has ended stays as it is.

        Raises:
            NotFoundError: no such job.
        """
        with self._database.transaction() as session:
            job = find(session, job_id, lock=True)
            if job.status == QUEUED:
                self._end(session, job, CANCELLED)
            elif job.status == RUNNING:
                job.cancel_requested = True
            return job

    def running(self) -> Sequence[Pulse]:
        """Every running job with its last sign of life."""
        columns = select(Job.id, Job.attempt, Job.beat).where(Job.status == RUNNING)
        with self._database.session() as session:
            return [Pulse(*row) for row in session.execute(columns)]

    def expire(self, pulse: Pulse) -> str | None:
        """Take a job away from a worker that gives no sign of life.

        Args:
            pulse: the sign it stands still at; nothing happens when there was a newer one.

        Returns:
            The status now, or None when it was not the last sign.
        """
        lost = TabularError(
            "the worker that ran it stopped answering",
            hint="see the worker's log; it may have been killed or run out of memory",
            code="job.worker-lost",
        )
        with self._database.transaction() as session:
            try:
                job = self._held(session, pulse.job_id, pulse.attempt)
            except LostLeaseError:
                return None
            if job.beat != pulse.beat:
                return None
            self._end_try(session, job, lost, retry=True)
            return job.status

    def forget_requests(self) -> None:
        """Let go of clients' names for requests that nobody repeats any more."""
        old = IdempotencyKey.created_at < self._clock() - REMEMBERED
        with self._database.transaction() as session:
            session.execute(delete(IdempotencyKey).where(old))

    def _end_try(self, session: Session, job: Job, error: TabularError, *, retry: bool) -> None:
        job.error = error.as_dict()
        if retry and job.tries < job.max_tries:
            self._requeue(session, job, self._retry_delay * 4 ** (job.tries - 1))
        else:
            self._end(session, job, FAILED)

    def _requeue(self, session: Session, job: Job, delay: float) -> None:
        """Back among those that wait, unless somebody had asked for its end."""
        job.worker = None
        job.requeued_at = self._clock()
        job.not_before = job.requeued_at + timedelta(seconds=delay)
        if job.cancel_requested:
            self._end(session, job, CANCELLED)
        else:
            job.status = QUEUED
            job.progress = 0.0

    def _end(self, session: Session, job: Job, status: str) -> None:
        """The end without a result: nothing that was written counts."""
        job.status = status
        job.finished_at = self._clock()
        throw(session, job_folder(job.id), job.finished_at)

    def _held(self, session: Session, job_id: str, attempt: int) -> Job:
        """The row, locked, while this attempt is the present one.

        Raises:
            LostLeaseError: it is not.
        """
        job = session.scalar(
            select(Job)
            .where(Job.id == job_id, Job.attempt == attempt, Job.status == RUNNING)
            .with_for_update()
        )
        if job is None:
            raise LostLeaseError(job_id)
        return job

    def _guarded(self, session: Session, lease: Lease, **values: Any) -> None:
        """Change the row if this attempt is the present one."""
        statement: Update = (
            update(Job)
            .where(Job.id == lease.job.id, Job.attempt == lease.attempt, Job.status == RUNNING)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        done = cast("CursorResult[Any]", session.execute(statement))
        if done.rowcount != 1:
            raise LostLeaseError(lease.job.id)


def find(session: Session, job_id: str, *, lock: bool = False) -> Job:
    """A job's row.

    Raises:
        NotFoundError: no such job.
    """
    query = select(Job).where(Job.id == job_id)
    job = session.scalar(query.with_for_update() if lock else query)
    if job is None:
        raise NotFoundError("no such job", where=job_id, hint="list them: GET /v1/jobs")
    return job


def _given_up(error: TabularError, seconds: float) -> UnavailableError:
    return UnavailableError(
        f"given up after {seconds / 3600:.3g} h of outage: {error.message}",
        where=error.where,
        hint="submit it again once the service is well; TABULAR_OUTAGE_LIMIT is how long it waits",
        code="unavailable.outage",
    )


def _publish(session: Session, job: Job, result: Mapping[str, Any]) -> None:
    """Let what the job was for refer to its objects."""
    if job.kind == FIT:
        session.execute(
            update(Model)
            .where(Model.id == job.model_id)
            .values(
                object_key=result["key"],
                size=result["size"],
                sha256=result["sha256"],
                details=result["details"],
            )
        )
    elif job.kind == EVALUATE:
        session.execute(
            update(Evaluation)
            .where(Evaluation.id == job.evaluation_id)
            .values(report_key=result["key"], page_key=result["page_key"])
        )

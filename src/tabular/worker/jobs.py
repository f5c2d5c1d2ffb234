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
counted by the length of each try and each delay, not from one time of day to another. A job that
only workers without room see (`scratch`) is not tried at all; its waiting is added up likewise.

*Order.* Fewest tries first, then oldest first. A job that kills its workers goes behind the
ones that have not been tried, so it never stands in their way.

*Parts.* A large generation is split, see `parts`. Each part is claimed, fenced, watched and
tried again like a job; a part that fails ends its job, and the last one finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, delete, select, update
from sqlalchemy.orm import Session

from tabular.errors import NotFoundError, TabularError
from tabular.infra import tracing
from tabular.infra.database import Database
from tabular.infra.database.models import IdempotencyKey, Job, JobPart, new_id
from tabular.worker import accounting, parts, waiting
from tabular.worker.claims import Lease, LostLeaseError, Pulse, Row, Sign
from tabular.worker.garbage import throw
from tabular.worker.objects import attempt_folder, job_folder
from tabular.worker.publishing import publish
from tabular.worker.statuses import (
    CANCELLED,
    ENDED,
    EVALUATE,
    FAILED,
    FIT,
    GENERATE,
    QUEUED,
    RUNNING,
    SUCCEEDED,
)

__all__ = [
    "CANCELLED",
    "ENDED",
    "EVALUATE",
    "FAILED",
    "FIT",
    "GENERATE",
    "QUEUED",
    "RUNNING",
    "SUCCEEDED",
    "Jobs",
    "Lease",
    "LostLeaseError",
    "Pulse",
    "Sign",
    "find",
]

REMEMBERED = timedelta(days=7)
RETRY_DELAY = 2.0  # seconds before the second try; four times as long before each later one
MAX_OUTAGE_DELAY = 60.0  # seconds between tries while the store or the database is away
OUTAGE_LIMIT = 86_400.0


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
            traceparent=tracing.traceparent(),
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
            row = self._next(session, now)
            if row is None:
                return None
            row.status = RUNNING
            row.attempt += 1
            row.tries += 1
            row.progress = 0.0
            row.beat += 1
            row.worker = worker
            row.started_at = now
            if isinstance(row, JobPart):
                job = session.scalar(select(Job).where(Job.id == row.job_id))
                if job is None or job.status != RUNNING:
                    parts.forget(session, row.job_id)  # an earlier release did the job whole
                    return None
                return Lease(job, row.attempt, row)
            row.parts = None
            session.flush()
            return Lease(row, row.attempt)

    def _next(self, session: Session, now: datetime) -> Row | None:
        """What is to be done next, locked: a job, or a part whose place is before it."""
        job = session.scalar(
            select(Job)
            .where(Job.status == QUEUED, waiting.due(Job, now))
            .order_by(Job.tries, Job.seq)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        part = session.scalar(
            select(JobPart)
            .where(JobPart.status == QUEUED, waiting.due(JobPart, now))
            .order_by(JobPart.tries, JobPart.place)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if part is None or (job and (job.tries, job.seq) <= (part.tries, part.place)):
            return job
        return part

    def split(self, lease: Lease, rows: Sequence[tuple[int, int]]) -> str:
        """Have any worker do parts of a job, instead of the one that has claimed it.

        Args:
            lease: of the job.
            rows: first row and number of rows of each part.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            job = self._held(session, lease)
            assert isinstance(job, Job)
            parts.split(session, job, rows)
        return RUNNING

    def beat(self, lease: Lease, progress: float) -> Sign:
        """Say that the attempt is alive, and how far it is.

        Raises:
            LostLeaseError: the job was taken away or has ended.
        """
        beats: dict[str, Any] = {"progress": progress}
        if lease.part is not None:
            with self._database.transaction() as session:
                self._guarded(session, lease, progress=progress)
            beats = {"progress": parts.progress(lease.job.id)}
        with self._database.transaction() as session:
            if lease.part is None:
                self._guarded(session, lease, **beats)
            else:
                _change(session, Job, Job.id == lease.job.id, Job.status == RUNNING, **beats)
            seen = select(Job.cancel_requested, Job.beat, Job.progress)
            return Sign(*session.execute(seen.where(Job.id == lease.job.id)).one())

    def finish(self, lease: Lease, result: Mapping[str, Any]) -> str:
        """Make the result visible: the job, and the model or evaluation it made, as one.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            job = self._held(session, lease)
            if isinstance(job, JobPart):
                part, job = job, find(session, job.job_id)
                if not parts.finish(session, job, part, result, self._clock()):
                    return job.status
            job.status = SUCCEEDED
            job.progress = 1.0
            job.beat += 1
            job.result = dict(result)
            job.error = None
            job.finished_at = self._clock()
            publish(session, job, result)
            accounting.finished(session, job, result, self._clock())
            kept = lease.part.job_attempt if lease.part else lease.attempt
            for earlier in range(1, kept):
                throw(session, attempt_folder(job.id, earlier), self._clock())
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
            job = self._held(session, lease)
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
            job = self._held(session, lease)
            job.tries -= 1
            delay = min(MAX_OUTAGE_DELAY, max(self._retry_delay, job.outage + spent))
            self._put_off(session, job, error, spent, delay)
            return job.status

    def neglected(self, error: TabularError, seconds: float) -> Sequence[str]:
        """Say of what nobody has taken for a while why this worker takes nothing.

        It stays due, so whoever can may take it; several who cannot count its seconds once.

        Args:
            error: what this worker lacks.
            seconds: how long something must have been due to be spoken of.

        Returns:
            The kinds of the jobs that have failed, because that has lasted too long.
        """
        failed: list[str] = []
        with self._database.session() as session:
            found = waiting.overdue(session, self._clock(), seconds)
        for table, row_id, job_id, beat in found:
            with self._database.transaction() as session:
                try:
                    row = self._lock(session, table, row_id, job_id, beat=beat, status=QUEUED)
                except LostLeaseError:
                    continue  # somebody took it
                self._put_off(session, row, error, seconds, 0.0)
                if row.status == FAILED:
                    failed.append(find(session, job_id).kind)
        return failed

    def cancelled(self, lease: Lease) -> str:
        """Record that the attempt was stopped because somebody asked for it.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            self._end(session, self._held(session, lease), CANCELLED)
        return CANCELLED

    def release(self, lease: Lease) -> str:
        """Give a job back unharmed, as a worker does that is told to stop; it is no try.

        Returns:
            The status now.

        Raises:
            LostLeaseError: nothing was changed.
        """
        with self._database.transaction() as session:
            job = self._held(session, lease)
            job.tries -= 1
            self._requeue(session, job, 0.0)
            return job.status

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: at once when it waits or was split, else at the next heartbeat.

        A job that has ended stays as it is.

        Raises:
            NotFoundError: no such job.
        """
        with self._database.transaction() as session:
            job = find(session, job_id, lock=True)
            if job.status == QUEUED or (job.status == RUNNING and job.parts):
                self._end(session, job, CANCELLED)
            elif job.status == RUNNING:
                job.cancel_requested = True
            return job

    def running(self) -> Sequence[Pulse]:
        """Every running job and part with its last sign of life; a job in parts has none."""
        found: list[Pulse] = []
        with self._database.session() as session:
            whole = select(Job.id, Job.id, Job.attempt, Job.beat).where(Job.parts.is_(None))
            pieces = select(JobPart.id, JobPart.job_id, JobPart.attempt, JobPart.beat)
            for row in session.execute(whole.where(Job.status == RUNNING)):
                found.append(Pulse(*row))
            for row in session.execute(pieces.where(JobPart.status == RUNNING)):
                found.append(Pulse(*row, table=JobPart))
        return found

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
                row = self._lock(
                    session, pulse.table, pulse.id, pulse.job_id, attempt=pulse.attempt
                )
            except LostLeaseError:
                return None
            if row.beat != pulse.beat:
                return None
            self._end_try(session, row, lost, retry=True)
            return row.status

    def refers(self, lease: Lease) -> bool:
        """Whether a result refers to what the attempt wrote."""
        with self._database.session() as session:
            found = [session.scalar(select(Job.result).where(Job.id == lease.job.id))]
            if lease.part is not None:
                own = select(JobPart.result).where(JobPart.id == lease.part.id)
                found.append(session.scalar(own))
        return f'"{lease.folder}/' in json.dumps(found)

    def forget_requests(self) -> None:
        """Let go of clients' names for requests that nobody repeats any more."""
        old = IdempotencyKey.created_at < self._clock() - REMEMBERED
        with self._database.transaction() as session:
            session.execute(delete(IdempotencyKey).where(old))

    def _end_try(self, session: Session, row: Row, error: TabularError, *, retry: bool) -> None:
        row.error = error.as_dict()
        if retry and row.tries < row.max_tries:
            self._requeue(session, row, self._retry_delay * 4 ** (row.tries - 1))
        else:
            self._end(session, row, FAILED)

    def _put_off(
        self, session: Session, row: Row, error: TabularError, spent: float, delay: float
    ) -> None:
        """Have it wait for what is no fault of its own, if that has not lasted too long."""
        row.outage += spent
        if row.outage >= self._outage_limit:
            row.error = waiting.given_up(error, row.outage).as_dict()
            self._end(session, row, FAILED)
        else:
            row.error = error.as_dict()
            row.outage += delay
            self._requeue(session, row, delay)

    def _requeue(self, session: Session, row: Row, delay: float) -> None:
        """Back among those that wait, unless somebody had asked for its end."""
        row.worker = None
        row.requeued_at = self._clock()
        row.not_before = row.requeued_at + timedelta(seconds=delay)
        if isinstance(row, Job) and row.cancel_requested:
            self._end(session, row, CANCELLED)
        else:
            row.status = QUEUED
            row.progress = 0.0
            row.beat += 1

    def _end(self, session: Session, row: Row, status: str) -> None:
        """The end without a result: nothing that was written counts. A part ends its job."""
        row.status = status
        job = row if isinstance(row, Job) else find(session, row.job_id)
        job.error = row.error
        if job.parts:
            parts.forget(session, job.id)
        job.status = status
        job.beat += 1
        job.finished_at = self._clock()
        throw(session, job_folder(job.id), job.finished_at)

    def _held(self, session: Session, lease: Lease) -> Row:
        """The row, locked, while this attempt is the present one.

        Raises:
            LostLeaseError: it is not.
        """
        row = lease.row
        return self._lock(session, type(row), row.id, lease.job.id, attempt=lease.attempt)

    def _lock(
        self,
        session: Session,
        table: type[Row],
        row_id: str,
        job_id: str,
        *,
        status: str = RUNNING,
        **now: int,
    ) -> Row:
        if table is JobPart:  # the job before its parts, as everybody locks them
            session.scalar(select(Job).where(Job.id == job_id).with_for_update())
        row: Row | None = session.scalar(
            select(cast("type[Job]", table))
            .where(table.id == row_id, table.status == status)
            .filter_by(**now)
            .with_for_update()
        )
        if row is None:
            raise LostLeaseError(row_id)
        return row

    def _guarded(self, session: Session, lease: Lease, **values: Any) -> None:
        """Change the row if this attempt is the present one."""
        table = type(lease.row)
        mine = (table.id == lease.row.id, table.attempt == lease.attempt, table.status == RUNNING)
        if not _change(session, table, *mine, **values):
            raise LostLeaseError(lease.row.id)


def _change(session: Session, table: type[Row], *which: ColumnElement[bool], **values: Any) -> bool:
    """Change a row, which is a sign of life; whether there was one."""
    statement: Update = (
        update(table)
        .where(*which)
        .values(beat=table.beat + 1, **values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


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

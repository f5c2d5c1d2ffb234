"""The loop of a worker process: one job at a time, and an eye on the jobs of the others.

The queue says that there may be work; the database says what. The loop therefore looks into
the database after every message, and also without one, so that a lost message or a queue that
is down delays a job and loses none.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tabular.errors import TabularError, UnavailableError
from tabular.infra.monitoring import Generation, Metrics, log_context
from tabular.infra.queue import Queue
from tabular.infra.storage import ObjectStore
from tabular.infra.telemetry import CONSUMER, OFF, Telemetry
from tabular.infra.websocket import Hub
from tabular.synth.partition import partition
from tabular.worker import scratch, wire
from tabular.worker.announcing import Announcer
from tabular.worker.garbage import GarbageBin
from tabular.worker.jobs import (
    CANCELLED,
    ENDED,
    FAILED,
    GENERATE,
    RUNNING,
    SUCCEEDED,
    Jobs,
    Lease,
    LostLeaseError,
)
from tabular.worker.leases import Watch
from tabular.worker.outages import Outages, Subject
from tabular.worker.presence import Presence
from tabular.worker.process import ChildProcess
from tabular.worker.retention import Retention
from tabular.worker.wire import Task

_LOG = logging.getLogger(__name__)

POLL = 2.0  # seconds between looks into the database while no message comes
MAX_BEAT = 1.0  # seconds between heartbeats at most; a request to cancel is heard that often
GRACE = 8.0  # seconds a job may still take after SIGTERM; container runtimes kill after 10
CLEAN_EVERY = 60.0
SWEEP_EVERY = 3600.0
TIMEOUT_HINT = "ask for less, or raise TABULAR_JOB_TIMEOUT if it is slow and does not hang"

PART_ROWS = 1 << 22
MOST_CALLED = 32  # messages to other workers when a job is split

LEFT = 10.0  # seconds that a job lies only when no worker is free; a free one looks every `POLL`
_LAST_PAUSE = 0.2  # seconds between looks at the database once the worker is told to end
_DATABASE, _QUEUE, _STORE = Subject("the database"), Subject("the queue"), Subject("the store")
_WORK = Subject("what a job needs")
_WORKER = Subject("this worker", "takes no jobs", "takes jobs again")


class _CancelledError(Exception):
    """Somebody asked for the job to be cancelled."""


class _StoppingError(Exception):
    """The worker is to end and the job did not finish in time."""


@dataclass(frozen=True)
class Parts:
    """What a worker stands on.

    Attributes:
        jobs: the life of jobs.
        find_task: looks up what a claimed job is about.
        child: does the work.
        queue: wakes up.
        hub: takes live progress.
        store: where attempts write.
        garbage: removes what is not needed.
        retention: lets go of results that are too old.
        metrics: of this process.
        check: returns once the database has the schema that this release needs.
        telemetry: records traces.
        presence: tells that this worker is there.
    """

    jobs: Jobs
    find_task: Callable[[Lease], Task]
    child: ChildProcess
    queue: Queue
    hub: Hub
    store: ObjectStore
    garbage: GarbageBin
    retention: Retention
    metrics: Metrics
    check: Callable[[], object]
    telemetry: Telemetry = OFF
    presence: Presence | None = None


class Runner:
    """One worker.

    Args:
        parts: what it stands on.
        lease: seconds without a heartbeat after which a job counts as lost.
        name: shown as the job's worker.
        poll: seconds between looks into the database.
        grace: seconds that a job may still take once `stop` was called.
        limit: seconds that one try of a job or part may take.
        part_rows: rows of a part; jobs of more are split.
        alive: called by the loop again and again, whatever a job does: a sign of life.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        lease: float,
        name: str | None = None,
        poll: float = POLL,
        grace: float = GRACE,
        limit: float = float("inf"),
        part_rows: int = PART_ROWS,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts = parts
        self._watch = Watch(lease)
        self._beat_every = min(lease / 4, MAX_BEAT)
        self._watch_every = max(lease / 4, 0.2)
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._poll = poll
        self._grace = grace
        self._limit = limit
        self._part_rows = part_rows
        self._alive = alive
        self._outages = Outages()
        self._checked = False
        self._stopping = threading.Event()
        self._deadline = float("inf")
        self._due: dict[str, float] = {}

    def stop(self) -> None:
        """Take no more jobs; finish the present one within the grace, or give it back."""
        self._deadline = min(self._deadline, time.monotonic() + self._grace)
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop` is called."""
        _LOG.info("worker %s is ready", self._name)
        try:
            self._parts.child.warm()
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._parts.child.close()
            self._take_leave()
            self._parts.telemetry.close()
        _LOG.info("worker %s ends", self._name)

    def _take_leave(self) -> None:
        if self._parts.presence is None:
            return
        try:
            self._parts.presence.gone()
        except UnavailableError as error:
            _LOG.warning("still listed as there for a while: %s", error.message)

    def _give_sign(self) -> None:
        if self._parts.presence is not None:
            self._parts.presence.here()

    def _turn(self) -> None:
        self._alive()
        try:
            if not self._checked:
                self._parts.check()
                self._checked = True
            room = self._has_room()
            self._watch_others()
            while room and not self._stopping.is_set() and self._run_next():
                self._watch_others()
                room = self._has_room()
            self._clean()
        except UnavailableError as error:
            self._stopping.wait(self._met(_DATABASE, error))
            return
        self._outages.over(_DATABASE)
        if room:
            self._await_message()
        else:  # a message is for somebody who can do something
            self._stopping.wait(min(self._poll, self._watch_every))

    def _has_room(self) -> bool:
        """Give a sign of being there for jobs, or say why not: in the log, and to the jobs."""
        lacking = scratch.lack()
        if lacking is None:
            self._outages.over(_WORKER)
            self._give_sign()
            return True
        self._met(_WORKER, lacking)
        if self._is_due("neglected", LEFT):
            self._take_leave()
            for kind in self._parts.jobs.neglected(lacking, LEFT):
                self._parts.metrics.job_finished(kind, FAILED)
        return False

    def _met(self, what: Subject, error: TabularError) -> float:
        """Count and log an outage; seconds to leave it alone, in which no lease is lost."""
        self._parts.metrics.error(error.code)
        return min(self._outages.met(what, error), self._watch_every)

    def _await_message(self) -> None:
        """Sleep until there may be work. What a message says is in the database too."""
        try:
            message = self._parts.queue.receive(min(self._poll, self._watch_every))
        except UnavailableError as error:
            self._met(_QUEUE, error)
            self._stopping.wait(self._poll)  # the database is looked into meanwhile
            return
        self._outages.over(_QUEUE)
        if message is not None:
            message.ack()

    def _run_next(self) -> bool:
        """Claim and run one job; False when none is due."""
        lease = self._parts.jobs.claim(self._name)
        if lease is None:
            return False
        job = lease.job
        with (
            log_context(job_id=job.id),
            self._parts.telemetry.span(f"job {job.kind}", CONSUMER, job.traceparent) as span,
            self._parts.metrics.job(job.kind),
        ):
            span.attributes = {"tabular.job_id": job.id, "tabular.attempt": lease.attempt}
            row, part = lease.row, lease.part
            what = (
                job.kind if part is None else f"part {part.number} of {job.parts} of a {job.kind}"
            )
            _LOG.info("%s job, try %d of %d", what, row.tries, row.max_tries)
            status = self._run(lease)
            span.attributes["tabular.status"] = status
            span.error = None if status in (SUCCEEDED, CANCELLED, RUNNING) else status
            _LOG.info("%s job %s", what, status)
        if status in ENDED:
            self._parts.metrics.job_finished(job.kind, status)
        return True

    def _run(self, lease: Lease) -> str:
        """Run one attempt to its end; the status of the job then."""
        try:
            if pieces := self._pieces(lease):
                status = self._settle(lease, lambda: self._parts.jobs.split(lease, pieces))
                self._wake(lease.job.id, len(pieces))
                return status
            return self._attempt(lease)
        except LostLeaseError:
            _LOG.warning("the job was taken away; what this attempt made is thrown away")
            self._drop(lease)
            return "lost"

    def _attempt(self, lease: Lease) -> str:
        jobs = self._parts.jobs
        begun = time.monotonic()
        try:
            result = self._work(lease)
        except _CancelledError:
            return self._settle(lease, lambda: jobs.cancelled(lease))
        except _StoppingError:
            return self._settle(lease, lambda: jobs.release(lease))
        except TabularError as error:
            if error.code == scratch.FULL and (lacking := scratch.lack()):
                spent = time.monotonic() - begun
                return self._settle(lease, lambda: jobs.postpone(lease, lacking, spent=spent))
            if wire.is_outage(error):
                return self._postpone(lease, error, time.monotonic() - begun)
            _LOG.warning("attempt %d failed: %s", lease.attempt, error)
            self._parts.metrics.error(error.code)
            retry = not wire.is_final(error)
            return self._settle(lease, partial(jobs.fail, lease, error, retry=retry))
        self._outages.over(_WORK)
        return self._settle(lease, lambda: jobs.finish(lease, result))

    def _pieces(self, lease: Lease) -> list[tuple[int, int]]:
        """The parts of a job that is to be split; none for any other."""
        if lease.part is not None or lease.job.kind != GENERATE:
            return []
        pieces = partition(lease.job.params.get("rows", 0), self._part_rows)
        return pieces if len(pieces) > 1 else []

    def _wake(self, job_id: str, workers: int) -> None:
        """Call others to help; without a word they come by themselves, a little later."""
        try:
            for _ in range(min(workers - 1, MOST_CALLED)):
                self._parts.queue.send(job_id)
        except UnavailableError as error:
            self._met(_QUEUE, error)

    def _postpone(self, lease: Lease, error: TabularError, spent: float) -> str:
        """Give a job back that met an outage; the next one would only meet it too."""
        pause = self._met(_WORK, error)
        postpone = partial(self._parts.jobs.postpone, lease, error, spent=spent)
        status = self._settle(lease, postpone)
        self._stopping.wait(pause)
        return status

    def _work(self, lease: Lease) -> dict[str, Any]:
        """Do the job in the child while the heart beats."""
        task = self._parts.find_task(lease)
        if lease.job.kind != GENERATE:
            return self._converse(lease, task, None)
        with self._parts.metrics.generation() as generation:
            return self._converse(lease, task, generation)

    def _converse(self, lease: Lease, task: Task, generation: Generation | None) -> dict[str, Any]:
        progress = 0.0
        announcer = Announcer(self._parts.hub, lease)

        def on_progress(fraction: float, rows: int) -> None:
            nonlocal progress
            progress = fraction
            if generation is not None and rows:
                generation.rows(rows)
            announcer.made(fraction)

        def tick() -> None:
            self._alive()
            if time.monotonic() > self._deadline:
                raise _StoppingError
            self._beat(lease, progress, announcer)

        announcer.begun()
        return self._parts.child.run(
            task,
            on_progress=on_progress,
            tick=tick,
            interval=self._beat_every,
            limit=self._limit,
            limit_hint=TIMEOUT_HINT,
        )

    def _beat(self, lease: Lease, progress: float, announcer: Announcer) -> None:
        try:
            sign = self._parts.jobs.beat(lease, progress)
            if sign.cancel:
                raise _CancelledError
            announcer.alive(sign)
            self._give_sign()
            self._watch_others()
            self._outages.over(_DATABASE)
        except UnavailableError as error:
            # The work goes on: if the lease is lost meanwhile, the end of it will say so.
            self._met(_DATABASE, error)

    def _settle(self, lease: Lease, record: Callable[[], str]) -> str:
        """Record the end of an attempt, however long the database is away.

        The result is whole and only its record is missing, so this waits. It ends when the
        worker is told to; the job is then run again.
        """
        while True:
            self._alive()
            try:
                status = record()
            except UnavailableError as error:
                if not self._stopping.wait(self._met(_DATABASE, error)):
                    continue
                if time.monotonic() > self._deadline:
                    raise LostLeaseError(lease.job.id) from error
                time.sleep(_LAST_PAUSE)
                continue
            self._outages.over(_DATABASE)
            Announcer(self._parts.hub, lease).ended(status)
            return status

    def _drop(self, lease: Lease) -> None:
        """Remove what a lost attempt wrote, if nothing refers to it.

        Something does when the attempt was recorded and the answer that said so got lost.
        """
        try:
            if self._parts.jobs.refers(lease):
                return
            for info in self._parts.store.list(lease.folder):
                self._parts.store.delete(info.key)
        except TabularError as error:
            _LOG.warning("objects of a lost attempt stay: %s", error.message)

    def _watch_others(self) -> None:
        """Give jobs back whose worker is lost; every worker does it for all."""
        if not self._is_due("watch", self._watch_every):
            return
        for pulse in self._watch.lost(self._parts.jobs.running()):
            status = self._parts.jobs.expire(pulse)
            if status is not None:
                _LOG.warning("job %s lost its worker and is %s", pulse.job_id, status)
            if status in ENDED:
                self._parts.metrics.job_finished("lost", status)

    def _clean(self) -> None:
        """Remove what is not needed. Only between jobs: it may take longer than a heartbeat."""
        if self._is_due("clean", CLEAN_EVERY):
            self._parts.retention.expire()
            self._alive()
            self._parts.garbage.empty()
            self._alive()
            self._parts.jobs.forget_requests()
        if self._is_due("sweep", SWEEP_EVERY):
            try:
                self._parts.store.sweep(each=self._alive)
            except UnavailableError as error:
                self._met(_STORE, error)
            else:
                self._outages.over(_STORE)

    def _is_due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True

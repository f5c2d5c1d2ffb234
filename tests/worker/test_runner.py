"""A worker whose surroundings fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tabular.errors import IntegrityError, TableError, TabularError, UnavailableError
from tabular.infra.database import Database
from tabular.infra.monitoring import Metrics
from tabular.infra.queue import open_queue
from tabular.infra.storage import open_store
from tabular.infra.websocket import MemoryHub
from tabular.worker.garbage import GarbageBin
from tabular.worker.jobs import GENERATE, Jobs
from tabular.worker.process import ChildProcess
from tabular.worker.retention import Retention
from tabular.worker.runner import Parts, Runner

RESULT = {"key": "k", "size": 1, "sha256": "0" * 64, "format": "csv", "rows": 1}


class Work(ChildProcess):
    """Work that a test decides on, in place of the child's."""

    def __init__(self, *steps: Callable[[Callable[[], None]], dict[str, Any]]) -> None:
        super().__init__("memory://x")
        self._steps = list(steps)
        self.begun = 0

    def warm(self) -> None: ...

    def run(self, task: Any, *, tick: Callable[[], None] = lambda: None, **_: Any) -> Any:
        step = self._steps[min(self.begun, len(self._steps) - 1)]
        self.begun += 1
        return step(tick)


class BrokenQueue:
    where = "broken://"

    def send(self, id: str) -> None:
        raise UnavailableError("no queue")

    def receive(self, timeout: float) -> None:
        raise UnavailableError("no queue")

    def ping(self) -> None:
        raise UnavailableError("no queue")

    def close(self) -> None: ...


def raising(error: TabularError) -> Callable[[Callable[[], None]], dict[str, Any]]:
    def step(tick: Callable[[], None]) -> dict[str, Any]:
        raise error

    return step


def good(tick: Callable[[], None]) -> dict[str, Any]:
    return RESULT


class Bench:
    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database, max_tries=3, retry_delay=0.01, outage_limit=0.5)
        self.store = open_store(f"file://{folder}/objects")
        self.queue: Any = open_queue(f"filesystem://{folder}/queue")

    def submit(self) -> str:
        with self.database.transaction() as session:
            return self.jobs.submit(session, GENERATE, {}, created_by="me").id

    def runner(self, work: Work, *, grace: float = 8.0) -> Runner:
        parts = Parts(
            jobs=self.jobs,
            find_task=lambda lease: {},
            child=work,
            queue=self.queue,
            hub=MemoryHub(),
            store=self.store,
            garbage=GarbageBin(self.database, self.store),
            retention=Retention(self.database, None),
            metrics=Metrics(provider="p", region="r"),
            check=lambda: None,
        )
        return Runner(parts, lease=1.0, poll=0.05, grace=grace)

    def ended(self, job_id: str) -> Any:
        deadline = time.monotonic() + 30
        while (job := self.jobs.get(job_id)).status not in ("succeeded", "failed", "cancelled"):
            assert time.monotonic() < deadline, job.status
            time.sleep(0.02)
        return job

    def run(self, runner: Runner, job_id: str) -> Any:
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            return self.ended(job_id)
        finally:
            runner.stop()
            thread.join(timeout=20)
            assert not thread.is_alive()


@pytest.fixture
def bench(tmp_path: Path, database: Database) -> Bench:
    return Bench(tmp_path, database)


def test_a_job_is_found_without_a_message(bench: Bench) -> None:
    job = bench.run(bench.runner(Work(good)), bench.submit())
    assert (job.status, job.result) == ("succeeded", RESULT)


def test_a_queue_that_is_down_loses_no_job(bench: Bench) -> None:
    bench.queue = BrokenQueue()
    assert bench.run(bench.runner(Work(good)), bench.submit()).status == "succeeded"


AWAY = UnavailableError("the store is away")


def test_an_outage_takes_no_try_away(bench: Bench) -> None:
    damaged = raising(IntegrityError("damaged"))
    work = Work(raising(AWAY), damaged, damaged, good)
    job = bench.run(bench.runner(work), bench.submit())
    assert (job.status, job.attempt, job.tries) == ("succeeded", 4, 3)


def test_an_outage_that_lasts_ends_the_job_with_the_reason(bench: Bench) -> None:
    job_id = bench.submit()
    job = bench.run(bench.runner(Work(raising(AWAY))), job_id)
    assert (job.status, job.error["code"]) == ("failed", "unavailable.outage")
    assert "the store is away" in job.error["message"]
    assert job.attempt > 3


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("the model is damaged"),
        UnavailableError("no space is left", code="unavailable.disk-full"),
        UnavailableError("it ended with exit code 7", code="unavailable.child"),
        TabularError("it ended by SIGSEGV", code="job.crashed"),
    ],
)
def test_what_may_be_the_jobs_own_doing_is_tried_three_times(
    bench: Bench, error: TabularError
) -> None:
    work = Work(raising(error))
    failed = bench.run(bench.runner(work), bench.submit())
    assert (failed.status, failed.error["message"]) == ("failed", error.message)
    assert work.begun == 3


@pytest.mark.parametrize(
    "error",
    [
        TableError("no table", where="t.csv:7", hint="mend it"),
        TabularError("not done after 5 s", hint="ask for less", code="job.timeout"),
    ],
)
def test_what_another_try_cannot_mend_ends_the_job(bench: Bench, error: TabularError) -> None:
    work = Work(raising(error))
    failed = bench.run(bench.runner(work), bench.submit())
    assert failed.error == error.as_dict()
    assert work.begun == 1


def test_a_worker_that_slept_through_its_lease_throws_its_work_away(bench: Bench) -> None:
    job_id = bench.submit()

    def sleeper(tick: Callable[[], None]) -> dict[str, Any]:
        bench.store.put(f"jobs/{job_id}/1/rows.csv", b"late")
        (pulse,) = bench.jobs.running()
        assert bench.jobs.expire(pulse) == "queued"
        return {**RESULT, "key": f"jobs/{job_id}/1/rows.csv"}

    job = bench.run(bench.runner(Work(sleeper, good)), job_id)
    assert (job.status, job.attempt, job.result["key"]) == ("succeeded", 2, "k")
    assert list(bench.store.list()) == []


def test_a_job_that_beats_is_not_lost_however_long_it_takes(bench: Bench) -> None:
    def slow(tick: Callable[[], None]) -> dict[str, Any]:
        end = time.monotonic() + 3.0  # three leases
        while time.monotonic() < end:
            tick()
            time.sleep(0.1)
        return RESULT

    other = bench.runner(Work(good))
    thread = threading.Thread(target=other.run)
    job_id = bench.submit()
    runner = bench.runner(Work(slow))
    timer = threading.Timer(0.5, thread.start)
    timer.start()
    try:
        job = bench.run(runner, job_id)
        assert (job.status, job.attempt) == ("succeeded", 1)
    finally:
        timer.join()
        other.stop()
        thread.join(timeout=20)


def test_a_worker_that_is_stopped_gives_its_job_back(bench: Bench) -> None:
    job_id = bench.submit()
    runner = bench.runner(Work(good), grace=0.1)

    def endless(tick: Callable[[], None]) -> dict[str, Any]:
        runner.stop()
        while True:
            tick()
            time.sleep(0.05)

    runner = bench.runner(Work(endless), grace=0.1)
    runner.run()
    job = bench.jobs.get(job_id)
    assert (job.status, job.tries) == ("queued", 0)

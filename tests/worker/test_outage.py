"""Real workers whose child hangs, who are frozen themselves, or whose store or database is away."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.platform import Processes, environment, finished, fitted, submit, wait_for
from tests.testbed.ports import free_port
from tests.testbed.postgres import postgres_server
from tests.worker.test_failover import until
from tests.worker.test_kill import client_of, in_the_middle, keys_of

LONG = 10_000_000  # rows; takes some seconds


@contextlib.contextmanager
def started(folder: Path, database_url: str | None = None, **more: str) -> Iterator[Processes]:
    more["TABULAR_PART_ROWS"] = str(1 << 30)  # whole jobs; see test_parts for the others
    processes = Processes(folder, environment(folder, database_url, **more))
    processes.run("tabular.api", "migrate")
    try:
        processes.api()
        yield processes
    finally:
        processes.close()


def generate(client: httpx.Client, model: str, rows: int) -> str:
    body = {"model_id": model, "rows": rows, "seed": 1, "format": "parquet"}
    return str(submit(client, "/v1/generate", body)["id"])


def child_of(pid: int) -> psutil.Process:
    (child,) = psutil.Process(pid).children()
    return child


@contextlib.contextmanager
def store_away(folder: Path) -> Iterator[None]:
    """The disk of the store answers every call with an error."""
    objects, aside = folder / "objects", folder / "aside"
    objects.rename(aside)
    objects.symlink_to(objects)
    try:
        yield
    finally:
        objects.unlink()
        aside.rename(objects)


@pytest.mark.slow
def test_a_job_that_hangs_ends_with_the_reason(database_url: str, tmp_path: Path) -> None:
    more = {"TABULAR_JOB_TIMEOUT": "4", "TABULAR_JOB_LEASE": "2"}
    with started(tmp_path, database_url, **more) as processes, client_of(processes) as client:
        worker, other = processes.worker(), None
        _, model = fitted(client)
        job = generate(client, model, LONG)
        wait_for(client, job, lambda job: job["status"] == "running" and job["progress"] > 0)
        hung = child_of(worker.pid)
        hung.suspend()
        other = processes.worker()  # sees its heart beat, and leaves it alone
        until(lambda: processes.log.count("is ready") == 2)
        ended = finished(client, job, timeout=30)
        assert (ended["status"], ended["attempt"]) == ("failed", 1)
        assert ended["error"]["code"] == "job.timeout"
        assert ended["error"]["message"] == "not done after 4 s"
        assert "TABULAR_JOB_TIMEOUT" in ended["error"]["hint"]
        assert not hung.is_running()
        assert keys_of(tmp_path, job) == []
        other.send_signal(signal.SIGTERM)
        assert other.wait(timeout=20) == 0
        assert finished(client, generate(client, model, 10))["status"] == "succeeded"


@pytest.mark.slow
def test_a_frozen_worker_loses_its_job_and_goes_on_afterwards(
    database_url: str, tmp_path: Path
) -> None:
    with (
        started(tmp_path, database_url, TABULAR_JOB_LEASE="2") as processes,
        client_of(processes) as client,
    ):
        frozen = processes.worker()
        _, model = fitted(client)
        job = generate(client, model, LONG)
        wait_for(client, job, in_the_middle)
        child = child_of(frozen.pid)
        os.kill(frozen.pid, signal.SIGSTOP)
        child.suspend()
        other = processes.worker()
        done = finished(client, job, timeout=120)
        assert (done["status"], done["attempt"]) == ("succeeded", 2)
        os.kill(frozen.pid, signal.SIGCONT)
        child.resume()
        other.send_signal(signal.SIGTERM)
        assert other.wait(timeout=20) == 0
        again = generate(client, model, LONG)
        same = finished(client, again, timeout=120)  # by the one that was frozen
        assert same["result"]["sha256"] == done["result"]["sha256"]
        assert keys_of(tmp_path, job) == [f"jobs/{job}/2/rows.parquet"]
        assert "the job was taken away" in processes.log


@pytest.mark.slow
def test_a_store_that_is_away_takes_no_try(tmp_path: Path) -> None:
    with (
        started(tmp_path, TABULAR_JOB_MAX_ATTEMPTS="1", TABULAR_JOB_LEASE="2") as processes,
        client_of(processes) as client,
    ):
        worker = processes.worker()
        _, model = fitted(client)
        with store_away(tmp_path):
            job = generate(client, model, 10)
            waiting = wait_for(
                client, job, lambda job: job["attempt"] >= 2 and job["status"] == "queued"
            )
            assert waiting["error"]["code"] == "unavailable"
            assert waiting["error"]["where"] is None
        assert finished(client, job)["status"] == "succeeded"
        assert worker.poll() is None
        assert processes.log.count("what a job needs does not answer") == 1
        assert processes.log.count("what a job needs answers again") == 1


@pytest.mark.slow
def test_an_outage_has_a_limit(tmp_path: Path) -> None:
    with (
        started(tmp_path, TABULAR_OUTAGE_LIMIT="5", TABULAR_JOB_LEASE="2") as processes,
        client_of(processes) as client,
    ):
        processes.worker()
        _, model = fitted(client)
        with store_away(tmp_path):
            ended = finished(client, generate(client, model, 10))
        assert (ended["status"], ended["error"]["code"]) == ("failed", "unavailable.outage")
        assert ended["error"]["where"] is None
        assert "TABULAR_OUTAGE_LIMIT" in ended["error"]["hint"]


@pytest.mark.slow
def test_a_database_that_goes_and_comes_loses_no_job(tmp_path: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres_server(port=port))
        url = server.create_database("away")
        more = {"TABULAR_JOB_LEASE": "4", "TABULAR_JOB_MAX_ATTEMPTS": "1"}
        processes = stack.enter_context(started(tmp_path, url, **more))
        client = stack.enter_context(client_of(processes))
        workers = [processes.worker(), processes.worker()]
        _, model = fitted(client)
        jobs = [generate(client, model, LONG), *(generate(client, model, 1000) for _ in range(5))]
        wait_for(client, jobs[0], in_the_middle)
        with server.away():
            time.sleep(8)  # two leases; the work itself ends meanwhile
            assert [worker.poll() for worker in workers] == [None, None]
        done = [finished(client, job, timeout=120) for job in jobs]
        assert {job["status"] for job in done} == {"succeeded"}, done
        assert {job["attempt"] for job in done} == {1}
        assert 1 <= processes.log.count("the database does not answer, it is tried again") <= 2
        assert 1 <= processes.log.count("the database answers again") <= 2


def test_a_store_whose_folder_vanished_is_away_and_not_empty(tmp_path: Path) -> None:
    more = {"TABULAR_JOB_MAX_ATTEMPTS": "1", "TABULAR_JOB_LEASE": "2"}
    with started(tmp_path, **more) as processes, client_of(processes) as client:
        processes.worker()
        _, model = fitted(client)
        (tmp_path / "objects").rename(tmp_path / "aside")
        job = generate(client, model, 10)
        waiting = wait_for(client, job, lambda job: job["error"] is not None)
        assert (waiting["status"], waiting["error"]["code"]) == ("queued", "unavailable")
        (tmp_path / "aside").rename(tmp_path / "objects")
        assert finished(client, job)["status"] == "succeeded"

"""A full disk under the files of tasks is the machine's trouble, unless the job itself fills it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tabular.errors import TableError, UnavailableError
from tabular.infra.database import Database
from tabular.worker import scratch
from tabular.worker.jobs import Jobs
from tests.platform import Processes, environment, finished, fitted, submit, upload, wait_for
from tests.testbed import disk
from tests.testbed.ports import free_port
from tests.worker.test_failover import until
from tests.worker.test_kill import client_of
from tests.worker.test_runner import Bench, Work, good

FULL = "unavailable.disk-full"
PAUSES, RESUMES = "this worker takes no jobs: the disk is full", "this worker takes jobs again"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes 8 MB."""
    with disk.small_disk(tmp_path / "small", "8m") as folder:
        yield folder


@contextlib.contextmanager
def started(folder: Path, **more: str) -> Iterator[Processes]:
    """A platform whose jobs have one try, unless it is said otherwise."""
    one = Processes(folder, environment(folder, **{"TABULAR_JOB_MAX_ATTEMPTS": "1", **more}))
    try:
        one.run("tabular.api", "migrate")
        one.api()
        yield one
    finally:
        one.close()


def generate(client: httpx.Client, model: str) -> str:
    return str(submit(client, "/v1/generate", {"model_id": model, "rows": 10})["id"])


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("size", ["8m", "8m,nr_inodes=30"], ids=["blocks", "names"])
def test_jobs_wait_for_room_and_requests_are_told(tmp_path: Path, size: str) -> None:
    with (
        disk.small_disk(tmp_path / "small", size) as folder,
        started(tmp_path, TMPDIR=str(folder)) as one,
    ):
        worker = one.worker()
        with client_of(one) as client:
            _tried(client, folder, by_name="inodes" in size)
        assert worker.poll() is None
        assert "Traceback" not in one.log
        assert one.log.count(PAUSES) == one.log.count(RESUMES) == 1


def _tried(client: httpx.Client, folder: Path, *, by_name: bool) -> None:
    dataset, model = fitted(client, rows=200)
    fillers = _names(folder) if by_name else [disk.fill(folder)]
    jobs = [
        submit(client, "/v1/models", {"dataset_id": dataset})["id"],
        generate(client, model),
    ]
    for job in jobs:
        waiting = wait_for(client, job, lambda state: state["error"] is not None)
        assert (waiting["status"], waiting["error"]["code"]) == ("queued", FULL)
        assert str(folder) in waiting["error"]["message"]
        assert "TMPDIR" in waiting["error"]["hint"]
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["workers"]["status"] == "degraded"
    rows = {"model_id": model, "rows": 10}
    refused = client.post("/v1/generate", json={**rows, "inline": True})
    assert (refused.status_code, refused.json()["code"]) == (503, FULL), refused.text
    for filler in fillers:
        filler.unlink()
    assert [finished(client, job)["status"] for job in jobs] == ["succeeded", "succeeded"]
    until(lambda: workers(client) == 1)
    assert client.post("/v1/generate", json={**rows, "inline": True}).status_code == 200
    assert upload(client, b"a\n1\n2\n")


def workers(client: httpx.Client) -> int:
    """How many are there for jobs, as a scrape tells."""
    found = re.search(r"^tabular_workers{.*} (.*)$", client.get("/metrics").text, re.MULTILINE)
    assert found
    return int(float(found[1]))


def _names(folder: Path) -> list[Path]:
    made: list[Path] = []
    while True:
        made.append(folder / f"filler{len(made)}")
        try:
            made[-1].touch()
        except OSError:
            return made[:-1]


@pytest.mark.root
@pytest.mark.slow
def test_a_worker_with_room_does_the_jobs_of_one_without(tmp_path: Path, small: Path) -> None:
    with started(tmp_path) as one, client_of(one) as client:
        disk.fill(small)
        full = one.worker(TMPDIR=str(small))  # started without room: it takes no other folder
        until(lambda: PAUSES in one.log)
        one.worker()
        _, model = fitted(client)
        jobs = [generate(client, model) for _ in range(10)]
        done = [finished(client, job) for job in jobs]
        until(lambda: workers(client) == 1)
        assert {(job["status"], job["attempt"]) for job in done} == {("succeeded", 1)}
        assert one.log.count(PAUSES) == 1
        assert RESUMES not in one.log
        assert full.poll() is None


@pytest.mark.root
@pytest.mark.slow
def test_a_job_that_fills_an_empty_disk_itself_fails_after_its_tries(tmp_path: Path) -> None:
    with (  # smaller than a model, which a worker copies before it draws from it
        disk.small_disk(tmp_path / "small", "16k") as tiny,
        started(tmp_path, TABULAR_JOB_MAX_ATTEMPTS="2") as one,
        client_of(one) as client,
    ):
        able = one.worker()
        _, model = fitted(client)
        able.terminate()
        able.wait()
        worker = one.worker(TMPDIR=str(tiny))
        ended = finished(client, generate(client, model))
        assert (ended["status"], ended["error"]["code"], ended["attempt"]) == ("failed", FULL, 2)
        assert str(tiny) in ended["error"]["message"]
        assert "the task itself took all there was" in ended["error"]["hint"]
        assert PAUSES not in one.log
        assert worker.poll() is None
        assert list(tiny.iterdir()) == []


@pytest.mark.root
@pytest.mark.slow
def test_the_patience_with_a_full_disk_has_a_limit(tmp_path: Path, small: Path) -> None:
    with started(tmp_path, TABULAR_OUTAGE_LIMIT="15") as one, client_of(one) as client:
        able = one.worker()
        _, model = fitted(client)
        able.terminate()
        able.wait()
        disk.fill(small)
        port = free_port()
        one.worker(TMPDIR=str(small), TABULAR_METRICS_PORT=str(port))
        job = generate(client, model)
        waiting = wait_for(client, job, lambda state: state["error"] is not None)
        assert (waiting["status"], waiting["error"]["code"]) == ("queued", FULL)
        ended = finished(client, job)
        assert (ended["status"], ended["attempt"]) == ("failed", 0)
        assert ended["error"]["code"] == "unavailable.outage"
        assert f"KiB are left in {small} on" in ended["error"]["message"]
        assert "TMPDIR" in ended["error"]["hint"]
        assert "TABULAR_OUTAGE_LIMIT" in ended["error"]["hint"]
        assert one.log.count(PAUSES) == 1
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert re.search(r'^tabular_errors_total{kind="unavailable.disk-full",', told, re.MULTILINE)
        assert re.search(
            r'^tabular_jobs_finished_total{.*status="failed"} 1.0$', told, re.MULTILINE
        )


@pytest.mark.root
def test_a_disk_that_others_fill_meanwhile_takes_no_try(
    tmp_path: Path, small: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(small))
    bench = Bench(tmp_path, database)
    bench.jobs = Jobs(database, max_tries=1, retry_delay=0.01)
    fillers: list[Path] = []

    def unlucky(tick: Callable[[], None]) -> dict[str, Any]:
        fillers.append(disk.fill(small))
        threading.Timer(1.0, fillers[-1].unlink).start()
        full = scratch.no_room(OSError(28, "No space left on device"))
        assert full is not None
        raise full

    job = bench.run(bench.runner(Work(unlucky, unlucky, good)), bench.submit())
    assert (job.status, job.tries, job.attempt) == ("succeeded", 1, 3)


def test_only_a_full_disk_is_one() -> None:
    assert scratch.no_room(OSError(28, "No space left on device")) is not None
    assert scratch.no_room(OSError(5, "Input/output error")) is None
    written = TableError("cannot be written")
    written.__cause__ = OSError(28, "No space left on device")
    assert isinstance(scratch.no_room(written), UnavailableError)
    assert scratch.no_room(TableError("no table")) is None

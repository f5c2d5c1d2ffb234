"""kill -9 of real processes: nothing accepted is lost, nothing is half, nothing is twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tabular.infra.storage import open_store
from tests.platform import (
    Processes,
    environment,
    finished,
    fitted,
    submit,
    table,
    upload,
    wait_for,
)

ROWS = 10_000_000  # takes some seconds, so that there is a middle to be killed in


@contextlib.contextmanager
def prepared(folder: Path, database_url: str | None = None) -> Iterator[Processes]:
    more = {"TABULAR_JOB_LEASE": "2", "TABULAR_JOB_MAX_ATTEMPTS": "2"}
    more["TABULAR_PART_ROWS"] = str(1 << 30)  # whole jobs; see test_parts for the others
    started = Processes(folder, environment(folder, database_url, **more))
    started.run("tabular.api", "migrate")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with prepared(tmp_path) as started:
        yield started


@pytest.fixture
def on_each(database_url: str, tmp_path: Path) -> Iterator[Processes]:
    with prepared(tmp_path, database_url) as started:
        yield started


@contextlib.contextmanager
def client_of(processes: Processes) -> Iterator[httpx.Client]:
    key = processes.run("tabular.api", "create-key", "--name", "test").strip()
    with httpx.Client(
        base_url=processes.url, headers={"Authorization": f"Bearer {key}"}, timeout=30
    ) as client:
        yield client


def in_the_middle(job: dict[str, Any]) -> bool:
    return job["status"] == "running" and 0.05 < job["progress"] < 0.95


def keys_of(tmp_path: Path, job_id: str) -> list[str]:
    store = open_store(f"file://{tmp_path}/objects")
    return [info.key for info in store.list(f"jobs/{job_id}")]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_job(on_each: Processes, tmp_path: Path) -> None:
    processes = on_each
    processes.api()
    first = processes.worker()
    with client_of(processes) as client:
        _, model = fitted(client)
        body = {"model_id": model, "rows": ROWS, "seed": 3, "format": "parquet"}
        job = submit(client, "/v1/generate", body)
        wait_for(client, job["id"], in_the_middle)
        children = psutil.Process(first.pid).children()
        first.kill()
        first.wait()
        assert client.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
        assert client.get(f"/v1/jobs/{job['id']}/result").status_code == 409
        assert keys_of(tmp_path, job["id"]) == []
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []  # no orphan goes on writing

        processes.worker()
        done = finished(client, job["id"], timeout=120)
        assert (done["status"], done["attempt"]) == ("succeeded", 2), done
        assert keys_of(tmp_path, job["id"]) == [f"jobs/{job['id']}/2/rows.parquet"]
        rows = client.get(done["result"]["url"]).content
        assert hashlib.sha256(rows).hexdigest() == done["result"]["sha256"]
        again = finished(client, submit(client, "/v1/generate", body)["id"], timeout=120)
        assert again["result"]["sha256"] == done["result"]["sha256"]


def test_a_killed_child_is_another_try_and_not_the_end_of_the_worker(
    processes: Processes, tmp_path: Path
) -> None:
    processes.api()
    worker = processes.worker()
    with client_of(processes) as client:
        _, model = fitted(client)
        job = submit(client, "/v1/generate", {"model_id": model, "rows": ROWS})
        for attempt in (1, 2):  # a poison job: whoever runs it dies
            wait_for(
                client, job["id"], lambda job, n=attempt: job["attempt"] == n and in_the_middle(job)
            )
            (child,) = psutil.Process(worker.pid).children()
            child.send_signal(signal.SIGKILL)
            if attempt == 1:
                good = submit(client, "/v1/generate", {"model_id": model, "rows": 10})
                assert finished(client, good["id"])["status"] == "succeeded"
                assert client.get(f"/v1/jobs/{job['id']}").json()["status"] != "failed"
        ended = finished(client, job["id"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "job.crashed")
        assert "SIGKILL" in ended["error"]["message"]
        assert keys_of(tmp_path, job["id"]) == []
        assert worker.poll() is None
        good = submit(client, "/v1/generate", {"model_id": model, "rows": 10})
        assert finished(client, good["id"])["status"] == "succeeded"


def test_two_workers_share_jobs_and_run_none_twice(processes: Processes, tmp_path: Path) -> None:
    processes.api()
    processes.worker()
    with client_of(processes) as client:
        _, model = fitted(client)
        processes.worker()
        body = {"model_id": model, "rows": 30_000}
        ids = [submit(client, "/v1/generate", {**body, "seed": i})["id"] for i in range(12)]
        done = [finished(client, job_id) for job_id in ids]
        assert {job["status"] for job in done} == {"succeeded"}
        assert {job["attempt"] for job in done} == {1}
        for job_id in ids:
            assert keys_of(tmp_path, job_id) == [f"jobs/{job_id}/1/rows.csv"]
        assert len({job["result"]["sha256"] for job in done}) == len(ids)


@pytest.mark.slow
def test_sigterm_gives_a_long_job_back_unharmed(processes: Processes) -> None:
    processes.api()
    worker = processes.worker()
    with client_of(processes) as client:
        _, model = fitted(client)
        job = submit(client, "/v1/generate", {"model_id": model, "rows": 200_000_000})
        wait_for(client, job["id"], lambda job: job["progress"] > 0)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0
        assert client.get(f"/v1/jobs/{job['id']}").json()["status"] == "queued"
        assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"


def test_a_running_job_is_cancelled_within_seconds(processes: Processes, tmp_path: Path) -> None:
    processes.api()
    processes.worker()
    with client_of(processes) as client:
        _, model = fitted(client)
        job = submit(client, "/v1/generate", {"model_id": model, "rows": 200_000_000})
        wait_for(client, job["id"], lambda job: job["progress"] > 0)
        begun = time.monotonic()
        assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["cancel_requested"] is True
        assert finished(client, job["id"])["status"] == "cancelled"
        assert time.monotonic() - begun < 5
        assert keys_of(tmp_path, job["id"]) == []


def test_an_api_killed_after_its_answer_has_lost_no_job(processes: Processes) -> None:
    api = processes.api()
    with client_of(processes) as client:
        dataset = upload(client, table(500))
        ids = [submit(client, "/v1/models", {"dataset_id": dataset})["id"] for _ in range(5)]
        api.kill()
        api.wait()
        with pytest.raises(httpx.TransportError):
            client.get("/health")
        processes.worker()
        processes.api()
        assert [finished(client, job_id)["status"] for job_id in ids] == ["succeeded"] * 5


def test_an_api_killed_during_an_upload_leaves_no_dataset(
    processes: Processes, tmp_path: Path
) -> None:
    api = processes.api()
    with client_of(processes) as client:
        arrived = threading.Event()

        def slowly() -> Iterator[bytes]:
            yield b"a\n" + b"1\n" * 4_000_000
            arrived.set()
            time.sleep(1)
            yield b"2\n" * 4_000_000
            os.kill(api.pid, signal.SIGKILL)
            yield b"3\n" * 4_000_000

        with pytest.raises(httpx.TransportError):
            client.post("/v1/datasets", content=slowly(), headers={"Content-Type": "text/csv"})
        assert arrived.is_set()
        api.wait()
        processes.api()
        assert client.get("/v1/datasets").json()["items"] == []
        assert list(open_store(f"file://{tmp_path}/objects").list("datasets")) == []
        assert upload(client, table(10))


def test_two_apis_share_the_port_and_a_stranger_does_not(
    processes: Processes, tmp_path: Path
) -> None:
    import socket

    processes.share()
    first, second = processes.api(), processes.api()
    pids = {httpx.get(f"{processes.url}/health").json()["pid"] for _ in range(60)}
    assert pids == {first.pid, second.pid}
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=15) == 0
    assert {httpx.get(f"{processes.url}/health").json()["pid"] for _ in range(10)} == {second.pid}

    other = tmp_path / "other"
    other.mkdir()
    stranger = Processes(other, environment(tmp_path))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", stranger.port))
        listener.listen()
        failed = stranger.api(wait=False)
        assert failed.wait(timeout=15) == 1
    assert f"127.0.0.1:{stranger.port}: cannot listen" in stranger.log
    assert "hint:" in stranger.log
    assert "Traceback" not in stranger.log

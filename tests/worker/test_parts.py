"""Large generations in parts: on each database, and by processes that are killed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import select

from tabular.errors import TableError, UnavailableError
from tabular.infra.database import Database
from tabular.infra.database.models import Garbage, Job, JobPart
from tabular.infra.storage import open_store
from tabular.worker.jobs import GENERATE, Jobs, Lease, LostLeaseError
from tabular.worker.leases import Watch
from tests.platform import Processes, environment, finished, fitted, submit, wait_for

PARTS = [(0, 10), (10, 10), (20, 5)]


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, max_tries=2, retry_delay=0.0, outage_limit=3600.0)


def new(jobs: Jobs, database: Database) -> str:
    with database.transaction() as session:
        return jobs.submit(session, GENERATE, {"rows": 25, "format": "csv"}, created_by="me").id


def claim(jobs: Jobs, worker: str = "worker") -> Lease:
    lease = jobs.claim(worker)
    assert lease is not None
    return lease


def divided(jobs: Jobs, database: Database) -> str:
    job_id = new(jobs, database)
    assert jobs.split(claim(jobs), PARTS) == "running"
    return job_id


def made(lease: Lease) -> dict[str, Any]:
    return {"key": f"{lease.folder}/rows.csv", "size": 3, "head": 1, "sha256": "0" * 64}


def joined(lease: Lease) -> dict[str, Any]:
    return {"pieces": [["k", 0, 3]], "size": 3, "sha256": "0" * 64, "format": "csv", "rows": 25}


def rows_of(database: Database) -> list[JobPart]:
    with database.session() as session:
        return list(session.scalars(select(JobPart).order_by(JobPart.number)))


def garbage(database: Database) -> set[str]:
    with database.session() as session:
        return set(session.scalars(select(Garbage.prefix)))


def test_parts_are_done_by_several_and_joined_at_the_end(jobs: Jobs, database: Database) -> None:
    job_id = divided(jobs, database)
    leases = [claim(jobs, name) for name in "abc"]
    assert jobs.claim("d") is None  # nothing to join yet
    assert [lease.part.start for lease in leases if lease.part] == [0, 10, 20]
    folder = f"jobs/{job_id}/1"
    assert [lease.folder for lease in leases] == [f"{folder}/{n}-1" for n in range(3)]
    beats = [jobs.get(job_id).beat]
    for number, lease in enumerate(leases):
        sign = jobs.beat(lease, 0.5)
        assert sign.progress == pytest.approx((number + 0.5) / 4)
        assert jobs.finish(lease, made(lease)) == "running"
        beats += [sign.beat, jobs.get(job_id).beat]
    assert beats == sorted(set(beats))
    last = claim(jobs)
    assert last.part is not None
    assert last.part.rows == 0
    assert jobs.claim("d") is None
    assert jobs.finish(last, joined(last)) == "succeeded"
    job = jobs.get(job_id)
    assert (job.status, job.progress, job.result) == ("succeeded", 1.0, joined(last))
    assert job.beat > max(beats)
    assert rows_of(database) == []
    assert garbage(database) == set()
    assert jobs.running() == []


def test_only_a_lost_part_is_done_again(jobs: Jobs, database: Database) -> None:
    job_id = divided(jobs, database)
    first, second = claim(jobs), claim(jobs)
    now = [0.0]
    watch = Watch(10.0, clock=lambda: now[0])
    watch.lost(jobs.running())
    assert len(jobs.running()) == 2  # the job itself has no worker to lose
    for _ in range(4):
        now[0] += 4.0
        jobs.beat(second, 0.1)
        lost = watch.lost(jobs.running())
    (pulse,) = lost
    assert (pulse.job_id, jobs.expire(pulse)) == (job_id, "queued")
    for late in (lambda: jobs.beat(first, 0.5), lambda: jobs.finish(first, made(first))):
        with pytest.raises(LostLeaseError):
            late()
    third = claim(jobs)  # those that were not tried come first
    again = claim(jobs)
    assert again.part is not None
    assert (again.part.number, again.attempt) == (0, 2)
    for lease in (third, second, again):
        jobs.finish(lease, made(lease))
    assert jobs.finish(claim(jobs), {**RESULT}) == "succeeded"
    assert garbage(database) == {f"jobs/{job_id}/1/0-1"}
    assert jobs.get(job_id).attempt == 1


RESULT = {"pieces": [], "size": 0, "sha256": "0" * 64, "format": "csv", "rows": 25}


def test_a_part_that_kills_its_workers_ends_the_job(jobs: Jobs, database: Database) -> None:
    job_id = divided(jobs, database)
    error = TableError("poison")
    poison = claim(jobs)
    assert jobs.fail(poison, error, retry=True) == "queued"
    others = [claim(jobs), claim(jobs)]
    jobs.finish(others[0], made(others[0]))
    again = claim(jobs)
    assert again.part is not None and poison.part is not None
    assert again.part.id == poison.part.id
    assert jobs.fail(again, error, retry=True) == "failed"
    job = jobs.get(job_id)
    assert (job.status, job.error and job.error["message"]) == ("failed", "poison")
    with pytest.raises(LostLeaseError):
        jobs.finish(others[1], made(others[1]))
    assert garbage(database) == {f"jobs/{job_id}"}
    assert (jobs.claim("w"), rows_of(database)) == (None, [])


def test_a_job_in_parts_is_cancelled_at_once(jobs: Jobs, database: Database) -> None:
    job_id = divided(jobs, database)
    lease = claim(jobs)
    assert jobs.cancel(job_id).status == "cancelled"
    with pytest.raises(LostLeaseError):
        jobs.beat(lease, 0.5)
    assert not jobs.refers(lease)
    assert (jobs.claim("w"), rows_of(database)) == (None, [])
    assert garbage(database) == {f"jobs/{job_id}"}


def test_outages_and_stops_take_no_try_from_a_part(jobs: Jobs, database: Database) -> None:
    job_id = divided(jobs, database)
    for _ in range(3):
        lease = claim(jobs)
        assert jobs.release(lease) == "queued"
    lease = claim(jobs)
    assert lease.row.tries == 1
    assert jobs.postpone(lease, UnavailableError("away"), spent=1.0) == "queued"
    lease = claim(jobs)
    ended = jobs.postpone(lease, UnavailableError("away"), spent=4000.0)
    assert (ended, jobs.get(job_id).status) == ("failed", "failed")


def test_small_jobs_pass_between_the_parts_and_parts_between_small_jobs(
    jobs: Jobs, database: Database
) -> None:
    big = divided(jobs, database)
    small = [new(jobs, database) for _ in range(4)]
    order = []
    for _ in range(7):
        lease = claim(jobs)
        order.append("part" if lease.part else small.index(lease.job.id))
    # The n-th part waits where the n-th job after its own would.
    assert order == ["part", 0, "part", 1, "part", 2, 3]
    assert jobs.get(big).status == "running"


def test_what_was_recorded_is_not_thrown_away(jobs: Jobs, database: Database) -> None:
    divided(jobs, database)
    lease = claim(jobs)
    assert not jobs.refers(lease)
    jobs.finish(lease, made(lease))
    with pytest.raises(LostLeaseError):  # the answer to the first call got lost
        jobs.finish(lease, made(lease))
    assert jobs.refers(lease)


def test_parts_of_a_job_that_an_older_worker_did_whole_are_forgotten(
    jobs: Jobs, database: Database
) -> None:
    job_id = divided(jobs, database)
    with database.transaction() as session:
        job = session.scalar(select(Job).where(Job.id == job_id))
        assert job is not None
        job.status = "succeeded"
    assert jobs.claim("w") is None
    assert rows_of(database) == []


# --- processes -------------------------------------------------------------------------------

ROWS = 6 * (1 << 18) + 99


@contextmanager
def running(folder: Path, url: str | None, **more: str) -> Iterator[Processes]:
    env = environment(folder, url, TABULAR_JOB_LEASE="2", TABULAR_PART_ROWS="262144", **more)
    started = Processes(folder, env)
    started.run("tabular.api", "migrate")
    try:
        yield started
    finally:
        started.close()


@contextmanager
def client_of(processes: Processes) -> Iterator[httpx.Client]:
    key = processes.run("tabular.api", "create-key", "--name", "test").strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=processes.url, headers=headers, timeout=30) as client:
        yield client


def inside(job: dict[str, Any]) -> bool:
    return job["status"] == "running" and 0.2 < job["progress"] < 0.8


@pytest.mark.slow
def test_same_bytes_by_one_worker_by_three_and_undivided(database_url: str, tmp_path: Path) -> None:
    """In the middle one worker is killed; its parts alone are done again."""
    with running(tmp_path, database_url) as processes:
        processes.api()
        one = processes.worker(TABULAR_PART_ROWS=str(1 << 30))
        with client_of(processes) as client:
            dataset, model = fitted(client)
            formats = ("csv", "jsonl", "parquet")
            body = {"model_id": model, "rows": ROWS, "seed": 3}
            whole = {}
            for kind in formats:
                job = submit(client, "/v1/generate", {**body, "format": kind})
                whole[kind] = finished(client, job["id"], 120)["result"]
            one.terminate()
            one.wait(20)
            workers = [processes.worker() for _ in range(3)]
            for kind in formats:
                job = submit(client, "/v1/generate", {**body, "format": kind})
                if kind == "jsonl":
                    wait_for(client, job["id"], inside)
                    children = psutil.Process(workers[0].pid).children()
                    workers[0].kill()
                    workers[0].wait()
                    psutil.wait_procs(children, timeout=10)
                done = finished(client, job["id"], 120)
                assert done["status"] == "succeeded", done
                assert done["result"]["sha256"] == whole[kind]["sha256"]
                assert done["attempt"] == 1
                check_download(client, done)
            page = client.get("/v1/jobs").json()["items"]
            assert {job["kind"] for job in page} == {"fit", "generate"}
            check_evaluation(client, dataset, done)
            gone = client.delete(f"/v1/jobs/{page[0]['id']}")
            assert gone.status_code in (204, 409)


def check_download(client: httpx.Client, done: dict[str, Any]) -> None:
    """One file, whole and in ranges across the borders of its parts."""
    url, size = done["result"]["url"], done["result"]["size"]
    answer = client.get(url)
    raw = answer.content
    assert (len(raw), answer.headers["content-length"]) == (size, str(size))
    assert hashlib.sha256(raw).hexdigest() == done["result"]["sha256"]
    step = size // 7
    for start in (0, step - 5, 3 * step, size - 10):
        wanted = {"Range": f"bytes={start}-{start + step}"}
        part = client.get(url, headers=wanted)
        assert part.status_code == 206
        assert part.content == raw[start : start + step + 1]
    assert client.get(url, headers={"Range": "bytes=-9"}).content == raw[-9:]
    assert client.get(url, headers={"Range": f"bytes={size}-"}).status_code == 416
    if done["result"]["format"] == "parquet":
        assert parquet.ParquetFile(io.BytesIO(raw)).metadata.num_rows == ROWS
        assert isinstance(parquet.read_table(io.BytesIO(raw)), pa.Table)


def check_evaluation(client: httpx.Client, dataset: str, done: dict[str, Any]) -> None:
    body = {"dataset_id": dataset, "job_id": done["id"]}
    judged = finished(client, submit(client, "/v1/evaluations", body)["id"], 120)
    assert judged["status"] == "succeeded", judged


def test_cancelled_and_deleted_parts_leave_no_object(tmp_path: Path) -> None:
    with running(tmp_path, None) as processes:
        processes.api()
        processes.worker()
        with client_of(processes) as client:
            _, model = fitted(client)
            body = {"model_id": model, "rows": 20 * ROWS}
            job = submit(client, "/v1/generate", body)
            wait_for(client, job["id"], lambda job: job["progress"] > 0)
            assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
            small = submit(client, "/v1/generate", {**body, "rows": ROWS})
            done = finished(client, small["id"])
            assert done["status"] == "succeeded", done
            store = open_store(f"file://{tmp_path}/objects")
            assert len(list(store.list(f"jobs/{small['id']}"))) == 7
            assert client.delete(f"/v1/jobs/{small['id']}").status_code == 204
            assert list(store.list(f"jobs/{small['id']}")) == []


def test_a_damaged_part_never_arrives_as_a_whole_file(tmp_path: Path) -> None:
    with running(tmp_path, None) as processes:
        processes.api()
        processes.worker()
        with client_of(processes) as client:
            _, model = fitted(client)
            job = submit(client, "/v1/generate", {"model_id": model, "rows": ROWS})
            done = finished(client, job["id"])
            (blob,) = (
                path
                for path in (tmp_path / "objects").rglob("*")
                if "/3-1/" in str(path) and path.is_file() and path.stat().st_size > 100_000
            )
            raw = bytearray(blob.read_bytes())
            raw[len(raw) // 2] ^= 1
            blob.chmod(0o644)
            blob.write_bytes(raw)
            with pytest.raises(httpx.RemoteProtocolError):
                client.get(done["result"]["url"])

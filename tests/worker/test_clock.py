"""Workers whose wall clock is set back or forward while jobs wait, are delayed and run."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from tests.platform import finished, fitted, submit, wait_for
from tests.testbed import parts
from tests.worker.test_kill import ROWS, client_of, in_the_middle, keys_of
from tests.worker.test_outage import generate, started, store_away

pytestmark = [pytest.mark.debian, pytest.mark.slow]

QUICK = {"TABULAR_JOB_MAX_ATTEMPTS": "1", "TABULAR_JOB_LEASE": "2"}
STEPS = ("-1h", "+1d")
BY_ORDER = {"-1h": "+1d", "+1d": "-1h"}

# libfaketime answers EINVAL when a sleep until a monotonic moment, which `time.sleep` is, begins
# after that moment. So Python sleeps another way where the library is.
SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""


class Clock:
    """The wall clock of some processes, set while they run. Their monotonic clock stays right."""

    def __init__(self, file: Path) -> None:
        program = parts.debian("faketime", package="faketime")
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            parts.missing(f"{program} is there and its library is not")
        self._file = file
        self.set("+0")
        beside = file.with_name(f"{file.name}-python")
        beside.mkdir()
        (beside / "sitecustomize.py").write_text(SLEEP)
        self.env = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": os.pathsep.join([str(beside), os.environ.get("PYTHONPATH", "")]),
        }

    def set(self, offset: str) -> None:
        """Set it, such as to ``-1h``."""
        self._file.write_text(f"{offset}\n")


def all_once(client: httpx.Client, folder: Path, jobs: list[str]) -> None:
    """Every job succeeded, and was run to its end once: one result, of the last attempt."""
    for job_id in jobs:
        job = finished(client, job_id, timeout=120)
        assert job["status"] == "succeeded", job
        assert keys_of(folder, job_id) == [f"jobs/{job_id}/{job['attempt']}/rows.parquet"]


@pytest.mark.parametrize("offset", STEPS)
def test_jobs_that_run_and_wait_while_the_clock_is_set(
    database_url: str, tmp_path: Path, offset: str
) -> None:
    first, second = Clock(tmp_path / "first"), Clock(tmp_path / "second")
    with started(tmp_path, database_url, **QUICK) as processes, client_of(processes) as client:
        processes.worker(**first.env)
        _, model = fitted(client)
        running = generate(client, model, ROWS)
        wait_for(client, running, in_the_middle)
        first.set(offset)  # of who runs it
        processes.worker(**second.env)  # watches it meanwhile
        wait_for(client, running, lambda job: job["progress"] > 0.5 or job["status"] != "running")
        second.set(BY_ORDER[offset])
        waiting = [generate(client, model, 1000) for _ in range(6)]
        all_once(client, tmp_path, [running, *waiting])
        attempts = {client.get(f"/v1/jobs/{job}").json()["attempt"] for job in [running, *waiting]}
        assert attempts == {1}
        assert "lost its worker" not in processes.log


@pytest.mark.parametrize("offset", STEPS)
def test_jobs_that_are_delayed_while_the_clock_is_set(
    database_url: str, tmp_path: Path, offset: str
) -> None:
    clock = Clock(tmp_path / "clock")
    with (
        started(tmp_path, database_url, **QUICK) as processes,
        client_of(processes) as client,
    ):
        processes.worker(**clock.env)
        _, model = fitted(client)
        with store_away(tmp_path):
            jobs = [generate(client, model, 100) for _ in range(3)]
            for job_id in jobs:
                wait_for(
                    client, job_id, lambda job: job["attempt"] > 1 and job["status"] == "queued"
                )
            clock.set(offset)
        all_once(client, tmp_path, jobs)
        begun = client.get(f"/v1/jobs/{jobs[0]}").json()
        ahead = begun["started_at"] > begun["created_at"]
        assert ahead == (offset == "+1d")  # its clock was set indeed


@pytest.mark.parametrize("offset", STEPS)
def test_a_worker_killed_while_the_clock_of_its_watcher_is_set(
    database_url: str, tmp_path: Path, offset: str
) -> None:
    clock = Clock(tmp_path / "clock")
    with (
        started(tmp_path, database_url, TABULAR_JOB_LEASE="2") as processes,
        client_of(processes) as client,
    ):
        victim = processes.worker()
        _, model = fitted(client)
        job = str(submit(client, "/v1/generate", {"model_id": model, "rows": 3_000_000})["id"])
        wait_for(client, job, lambda job: job["progress"] > 0.05)
        processes.worker(**clock.env)
        clock.set(offset)
        victim.kill()
        victim.wait()
        done = finished(client, job, timeout=60)
        assert (done["status"], done["attempt"]) == ("succeeded", 2)

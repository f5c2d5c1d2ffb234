"""Backups of a platform that works: processes, PostgreSQL, S3, jobs whole and in parts.

The moment of a backup is then in the middle of everything. What it says was done must be there
with its bytes, and what ran must run again, in a place of another kind.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tabular.infra.config import Settings, load_settings
from tabular.infra.database import Database
from tabular.infra.database.models import Job, JobPart
from tabular.infra.storage import open_store
from tabular.transfer.backup import Backup
from tabular.transfer.drill import check
from tabular.transfer.manifest import Manifest
from tabular.transfer.place import Place, create_place
from tabular.transfer.restore import Restored, restore_into
from tests.platform import (
    CSV,
    ENDED,
    SECRET,
    Platform,
    Processes,
    environment,
    finished,
    fitted,
    platform,
    table,
)
from tests.testbed.s3 import S3
from tests.transfer.conftest import PARTS, PHRASE

BACKUPS = 3
LARGE, SMALL = 3_000_000, 2_000  # rows; the first is twelve parts


class Load:
    """Clients that submit, download, cancel and delete until they are told to stop."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.parts_done = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """At work for the time of the block."""
        threads = [
            threading.Thread(target=self._until_stopped, args=(work,))
            for work in (self._in_parts, self._small, self._datasets)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _until_stopped(self, work: Callable[[int], None]) -> None:
        number = 0
        try:
            while not self._stop.is_set():
                number += 1
                work(number)
        except httpx.HTTPError as error:
            self.failures.append(repr(error))

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """An answer that is no error; a machine that is too busy (503) is asked again."""
        for _ in range(120):
            answer = self._client.request(method, path, **more)
            if answer.status_code != 503:
                break
            time.sleep(0.5)
        return answer.raise_for_status()

    def _job(self, rows: int, seed: int) -> str:
        asked = {"model_id": self._model, "rows": rows, "seed": seed, "format": "parquet"}
        return str(self._ask("POST", "/v1/generate", json=asked).json()["job"]["id"])

    def _ended(self, job: str) -> str:
        while not self._stop.wait(0.1):
            status = str(self._ask("GET", f"/v1/jobs/{job}").json()["status"])
            if status in ENDED:
                return status
        return "stopped"

    def _in_parts(self, number: int) -> None:
        job = self._job(LARGE, number)
        if number % 3 == 2:
            self._stop.wait(1.0)
            self._ask("POST", f"/v1/jobs/{job}/cancel")
        if self._ended(job) == "succeeded":
            self.parts_done.set()

    def _small(self, number: int) -> None:
        job = self._job(SMALL, number)
        if self._ended(job) == "succeeded" and number % 2:
            self._ask("DELETE", f"/v1/jobs/{job}")

    def _datasets(self, number: int) -> None:
        data, headers = table(50 + number % 100), {"Content-Type": CSV}
        made = self._ask("POST", "/v1/datasets?name=t.csv", content=data, headers=headers)
        self._stop.wait(0.1)
        if number % 4:
            self._ask("DELETE", f"/v1/datasets/{made.json()['id']}")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_backups_while_processes_work_on_postgresql_and_s3_are_whole(
    s3: S3,
    bucket_url: str,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    env = environment(tmp_path, postgres_url, TABULAR_STORAGE_URL=bucket_url, **PARTS)
    settings = load_settings(env)
    place = create_place(open_store(bucket_url.replace("/test-", "/backups-")), PHRASE, SECRET)
    processes = Processes(tmp_path, env)
    processes.run("tabular.api", "migrate")
    key = processes.run("tabular.api", "create-key", "--name", "test").strip()
    try:
        processes.api()
        for _ in range(2):
            processes.worker()
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=processes.url, headers=headers, timeout=60) as client:
            _, model = fitted(client, 300)
            load = Load(client, model)
            with load.running():
                assert load.parts_done.wait(60), processes.log
                made = [backed_up(settings, place) for _ in range(BACKUPS)]
        assert load.failures == []
        assert "unexpected" not in processes.log
    finally:
        processes.close()
    for backup in made:
        assert check(place, backup, restore=True)["ok"]
    manifest, _ = place.read(made[-1])
    goes_on(place, manifest, tmp_path / "new", key)


def backed_up(settings: Settings, place: Place) -> str:
    """A backup whose moment is in the middle of a job in parts."""
    database = Database(settings.database_url)
    try:
        wait_for_parts(database)
        return Backup(settings, place).run().id
    finally:
        database.close()


def wait_for_parts(database: Database) -> None:
    """Return when one or two parts of a job are done, and all others are not."""
    for _ in range(600):
        with database.session() as session:
            parts = session.execute(select(JobPart.job_id, JobPart.status)).all()
        done = Counter(job for job, status in parts if status == "succeeded")
        if any(1 <= done[job] <= 2 for job, _ in parts):
            return
        time.sleep(0.05)
    raise AssertionError("no job in parts runs")


def goes_on(place: Place, manifest: Manifest, folder: Path, key: str) -> None:
    """Restored to SQLite and files, all rows are the ones that were made, and jobs end."""
    url, store = f"sqlite:///{folder}/tabular.db", open_store(f"{folder.as_uri()}/objects")
    done = restore_into(place, manifest, url, store)
    with platform(folder, **PARTS) as one:
        one.client.headers["Authorization"] = f"Bearer {key}"
        results = rows_of(one)
        assert any("pieces" in result for result in results.values())
        assert any("key" in result for result in results.values())
        for job, result in results.items():
            rows = one.client.get(f"/v1/jobs/{job}/result").content
            assert hashlib.sha256(rows).hexdigest() == result["sha256"]
        runs_again(one, done)


def rows_of(one: Platform) -> dict[str, dict[str, Any]]:
    """The results of generations that succeeded, by job."""
    query = select(Job.id, Job.result).where(Job.kind == "generate", Job.status == "succeeded")
    with one.service.database.session() as session:
        return {job: result for job, result in session.execute(query) if result is not None}


def runs_again(one: Platform, done: Restored) -> None:
    """What ran at the moment of the backup waits, and ends well."""
    with one.service.database.session() as session:
        waiting = list(session.scalars(select(Job.id).where(Job.status == "queued")))
    assert len(waiting) >= done.requeued > 0
    with one.worker():
        for job in waiting:
            ended = finished(one.client, job, 90)
            assert ended["status"] == "succeeded", ended

"""A disk that is full, really: a small file system in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.platform import (
    Processes,
    environment,
    finished,
    fitted,
    platform,
    submit,
    upload,
)
from tests.testbed import disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes 12 MB."""
    with disk.small_disk(tmp_path / "small", "12m") as folder:
        yield folder


@pytest.mark.root
def test_a_full_disk_refuses_fails_and_goes_on(small_disk: Path, tmp_path: Path) -> None:
    storage = f"file://{small_disk}/objects"
    more = {"TABULAR_STORAGE_URL": storage, "TABULAR_JOB_MAX_ATTEMPTS": "1"}
    with platform(tmp_path, **more) as one, one.worker():
        client = one.client
        _, model = fitted(client, rows=200)
        refused = client.post(
            "/v1/datasets",
            content=b"a\n" + b"123456789\n" * 2_000_000,
            headers={"Content-Type": "text/csv"},
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable.disk-full")
        assert len(client.get("/v1/datasets").json()["items"]) == 1

        job = submit(client, "/v1/generate", {"model_id": model, "rows": 5_000_000})
        ended = finished(client, job["id"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "unavailable.disk-full")
        assert ended["error"]["where"] is None
        one.service.garbage.empty()
        assert not any(job["id"] in info.key for info in one.service.store.list())

        assert upload(client, b"a\n1\n2\n")
        good = finished(
            client, submit(client, "/v1/generate", {"model_id": model, "rows": 9})["id"]
        )
        assert good["status"] == "succeeded"


@pytest.mark.root
def test_processes_on_a_full_disk_answer_and_come_back(tmp_path: Path) -> None:
    with disk.small_disk(tmp_path / "small", "6m") as folder:
        shared = folder / "metrics"
        shared.mkdir()
        env = environment(folder, PROMETHEUS_MULTIPROC_DIR=str(shared))
        one = Processes(tmp_path, env)
        one.run("tabular.api", "migrate")
        key = one.run("tabular.api", "create-key", "--name", "x", "--scopes", "admin").strip()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
        client = httpx.Client(base_url=one.url, headers=headers, timeout=30)
        try:
            process = one.api()
            assert client.post("/v1/datasets", content=b"a\n1\n2\n").status_code == 201
            filler = disk.fill(folder)
            for _ in range(20):
                for path in ("/health", "/metrics", "/v1/datasets", "/v1/jobs", "/nowhere"):
                    assert client.get(path).status_code < 500 or path.startswith("/v1"), path
                refused = client.post("/v1/datasets", content=b"a\n1\n2\n")
                assert refused.status_code == 503, refused.text
                assert refused.headers["content-type"] == "application/problem+json"
            assert client.get("/ready").json()["checks"]["storage"]["status"] == "failed"
            assert process.poll() is None

            process.kill()
            process.wait()
            again = one.api()  # it starts without room, too
            assert client.get("/metrics").status_code == 200
            assert client.post("/v1/datasets", content=b"a\n1\n2\n").status_code == 503
            filler.unlink()
            assert client.post("/v1/datasets", content=b"a\n1\n2\n").status_code == 201
            time.sleep(1.1)  # the answer of /ready counts that long
            assert client.get("/ready").status_code == 200
            assert 'route="/v1/datasets",status="201"' in client.get("/metrics").text
            assert again.poll() is None
        finally:
            client.close()
            one.close()

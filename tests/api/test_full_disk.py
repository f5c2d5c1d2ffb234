"""A disk that is full, really: a small file system in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform import finished, fitted, platform, submit, upload
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

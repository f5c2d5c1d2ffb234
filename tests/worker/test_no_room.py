"""A full disk under the files of tasks is no fault of the job, and passes."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tabular.errors import TableError, UnavailableError
from tabular.worker import scratch
from tests.platform import Processes, environment, finished, fitted, submit, upload, wait_for
from tests.testbed import disk
from tests.worker.test_kill import client_of

FULL = "unavailable.disk-full"


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("size", ["8m", "8m,nr_inodes=30"], ids=["blocks", "names"])
def test_tasks_wait_for_room_and_requests_are_told(tmp_path: Path, size: str) -> None:
    with disk.small_disk(tmp_path / "small", size) as folder:
        one = Processes(tmp_path, environment(tmp_path, TMPDIR=str(folder)))
        try:
            one.run("tabular.api", "migrate")
            api, worker = one.api(), one.worker()
            with client_of(one) as client:
                _tried(client, folder, by_name="inodes" in size)
            assert api.poll() is worker.poll() is None
            assert "Traceback" not in one.log
        finally:
            one.close()


def _tried(client: httpx.Client, folder: Path, *, by_name: bool) -> None:
    dataset, model = fitted(client, rows=200)
    fillers = _names(folder) if by_name else [disk.fill(folder)]
    rows = {"model_id": model, "rows": 10}
    jobs = [
        submit(client, "/v1/models", {"dataset_id": dataset})["id"],
        submit(client, "/v1/generate", rows)["id"],
    ]
    for job in jobs:
        waiting = wait_for(client, job, lambda state: state["error"] is not None)
        assert (waiting["status"], waiting["error"]["code"]) == ("queued", FULL)
    refused = client.post("/v1/generate", json={**rows, "inline": True})
    assert (refused.status_code, refused.json()["code"]) == (503, FULL), refused.text
    for filler in fillers:
        filler.unlink()
    assert [finished(client, job)["status"] for job in jobs] == ["succeeded", "succeeded"]
    assert client.post("/v1/generate", json={**rows, "inline": True}).status_code == 200
    assert upload(client, b"a\n1\n2\n")


def _names(folder: Path) -> list[Path]:
    made: list[Path] = []
    while True:
        made.append(folder / f"filler{len(made)}")
        try:
            made[-1].touch()
        except OSError:
            return made[:-1]


def test_only_a_full_disk_is_one() -> None:
    assert scratch.no_room(OSError(28, "No space left on device")) is not None
    assert scratch.no_room(OSError(5, "Input/output error")) is None
    written = TableError("cannot be written")
    written.__cause__ = OSError(28, "No space left on device")
    assert isinstance(scratch.no_room(written), UnavailableError)
    assert scratch.no_room(TableError("no table")) is None

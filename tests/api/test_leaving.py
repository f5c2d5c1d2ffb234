"""Clients of a real server that leave in the middle, or make words up: nothing stays of them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.platform import Processes, environment, fitted


class Served(NamedTuple):
    processes: Processes
    client: httpx.Client
    key: str
    scratch: Path

    def send(
        self, head: str, body: bytes = b"", kind: str = "application/json", more: int = 0
    ) -> socket.socket:
        """A request over a connection that is the caller's to break; `more` bytes never come."""
        lines = [f"{head} HTTP/1.1", "Host: test", f"Authorization: Bearer {self.key}"]
        if body:
            lines += [f"Content-Type: {kind}", f"Content-Length: {len(body) + more}"]
        connection = socket.create_connection(("127.0.0.1", self.processes.port), timeout=30)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return connection


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("leaving")
    scratch = folder / "scratch"
    scratch.mkdir()
    more = {"TABULAR_INLINE_ROWS": "1000000"}
    processes = Processes(folder, {**environment(folder, **more), "TMPDIR": str(scratch)})
    try:
        processes.run("tabular.api", "migrate")
        key = processes.run("tabular.api", "create-key", "--name", "test").strip()
        processes.api()
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=processes.url, headers=headers, timeout=30) as client:
            yield Served(processes, client, key, scratch)
    finally:
        processes.close()


def answered(served: Served, status: int, path: str) -> bool:
    """Whether the server has come to the end of such a request."""
    lines = [json.loads(line) for line in served.processes.log.splitlines() if line[:1] == "{"]
    return any(line.get("status") == status and line.get("path") == path for line in lines)


def until_answered(served: Served, status: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while not answered(served, status, path):
        assert time.monotonic() < deadline, served.processes.log
        time.sleep(0.05)


def test_rows_that_nobody_waits_for_any_more_are_gone(served: Served) -> None:
    served.processes.worker()
    _, model = fitted(served.client, rows=200)
    body = json.dumps({"model_id": model, "rows": 300_000, "inline": True}).encode()
    connection = served.send("POST /v1/generate", body)
    deadline = time.monotonic() + 30
    while not list(served.scratch.glob("tabular-inline-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    connection.close()
    # The next one waits for the child that works for the one that left.
    after = {"model_id": model, "rows": 10, "inline": True}
    assert served.client.post("/v1/generate", json=after).status_code == 200
    until_answered(served, 200, "/v1/generate")
    deadline = time.monotonic() + 30
    while list(served.scratch.glob("tabular-*")):
        assert time.monotonic() < deadline, list(served.scratch.rglob("*"))
        time.sleep(0.05)


def test_a_form_that_ends_in_the_middle_is_no_failure_of_ours(served: Served) -> None:
    head = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\na,b\r\n'
    kind = "multipart/form-data; boundary=xx"
    connection = served.send("POST /v1/datasets", head, kind, more=10_000)
    connection.close()
    until_answered(served, 422, "/v1/datasets")


def test_methods_that_nobody_knows_are_counted_as_one(served: Served) -> None:
    for number in range(3):
        with served.send(f"MADEUP{number} /health") as connection:
            assert b" 405 " in connection.recv(64)
    metrics = served.client.get("/metrics").text
    assert "MADEUP" not in metrics
    assert 'method="other"' in metrics

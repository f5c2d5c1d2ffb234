"""Uploads that stand still, dribble, or are too many of one key."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tabular.api.app import create_app
from tabular.api.pacing import Pace, Slots
from tabular.api.serve import listen
from tabular.api.service import open_service
from tests.platform import Platform, platform
from tests.testbed.ports import free_port

PACE = Pace(idle=0.5, grace=0.7, least=200.0)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Platform, int]]:
    """A real server of an impatient platform, where a key has two places."""
    with platform(tmp_path) as one:
        service = replace(open_service(one.settings), pace=PACE, upload_slots=Slots(2))
        port = free_port()
        app = create_app(one.settings, service=service)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        with listen("127.0.0.1", port) as listener:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                yield one, port
            finally:
                server.should_exit = True
                thread.join()


def begun(one: Platform, port: int, body: bytes, kind: str = "text/csv") -> socket.socket:
    """An upload that says it has 10,000 bytes."""
    lines = (
        "POST /v1/datasets?name=t.csv HTTP/1.1",
        "Host: test",
        f"Authorization: Bearer {one.key}",
        f"Content-Type: {kind}",
        "Content-Length: 10000",
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """What comes until the server closes the connection."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("kind", ["text/csv", "multipart/form-data; boundary=x"])
def test_an_upload_that_stands_still_is_ended(served: tuple[Platform, int], kind: str) -> None:
    one, port = served
    with begun(one, port, b"a\n1\n" if kind == "text/csv" else b"--x\r\n", kind) as connection:
        status, problem = answer(connection)
    assert (status, problem["code"]) == (408, "input.timeout")
    assert "no byte came for 0.5 seconds" in problem["detail"]
    assert one.client.get("/v1/datasets").json()["items"] == []
    assert list(one.service.store.list()) == []


def test_an_upload_that_dribbles_is_ended(served: tuple[Platform, int]) -> None:
    one, port = served
    with begun(one, port, b"a\n") as connection:
        for _ in range(6):
            connection.sendall(b"1\n")
            time.sleep(0.2)
        status, problem = answer(connection)
    assert (status, problem["code"]) == (408, "input.timeout")
    assert "200 bytes a second" in problem["detail"]


def test_one_key_has_so_many_uploads_at_once(served: tuple[Platform, int]) -> None:
    one, port = served
    whole = b"a\n" + b"1\n" * 4999
    with ExitStack() as at_once:
        idle = [at_once.enter_context(begun(one, port, b"a\n")) for _ in range(2)]
        time.sleep(0.2)
        third = at_once.enter_context(begun(one, port, whole))
        head = third.recv(65536)
        assert head.split()[1] == b"429"
        assert b"retry-after" in head.lower()
        assert [answer(connection)[0] for connection in idle] == [408, 408]
    with begun(one, port, whole) as connection:
        assert connection.recv(65536).split()[1] == b"201"

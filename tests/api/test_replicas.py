"""Live progress from several replicas: resumed elsewhere, with slow clients, with no broker."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.platform import Processes, environment, fitted, submit, wait_for
from tests.testbed.ports import free_port
from tests.testbed.valkey import valkey_server

ROWS = 30_000_000


@dataclass
class Replicas:
    """Two API processes on ports of their own, one worker, one Valkey."""

    first: Processes
    second: Processes
    key: str
    client: httpx.Client
    model: str

    def job(self, rows: int = ROWS) -> str:
        body = {"model_id": self.model, "rows": rows}
        return str(submit(self.client, "/v1/generate", body)["id"])

    def end(self, job_id: str) -> None:
        self.client.post(f"/v1/jobs/{job_id}/cancel")

    def connect(self, replica: Processes, job_id: str, query: str = "") -> ClientConnection:
        url = replica.url.replace("http", "ws")
        headers = {"Authorization": f"Bearer {self.key}"}
        return connect(f"{url}/v1/jobs/{job_id}/progress{query}", additional_headers=headers)


@contextlib.contextmanager
def replicas(folder: Path, cache_url: str, **more: str) -> Iterator[Replicas]:
    settings = {"TABULAR_WEBSOCKET_PATIENCE": "1", **more}
    env = environment(folder, TABULAR_CACHE_URL=cache_url, **settings)
    first, second = Processes(folder, env), Processes(folder, env)
    first.run("tabular.api", "migrate")
    key = first.run("tabular.api", "create-key", "--name", "test").strip()
    try:
        first.worker()
        first.api()
        second.api()
        with httpx.Client(
            base_url=second.url, headers={"Authorization": f"Bearer {key}"}, timeout=30
        ) as client:
            _, model = fitted(client)
            yield Replicas(first, second, key, client, model)
    finally:
        first.close()
        second.close()


def url_of(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    with valkey_server(folder) as valkey, replicas(folder, url_of(valkey.port)) as opened:
        yield opened


def heard(connection: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Every message up to the end, and the code of the end."""
    found = []
    try:
        while True:
            found.append(json.loads(connection.recv(timeout=60)))
    except ConnectionClosed as end:
        assert end.rcvd is not None, found
        return found, end.rcvd.code


@pytest.mark.parametrize(
    ("signal", "parts"),
    [
        ("kill", str(1 << 30)),
        ("terminate", "262144"),
        pytest.param("terminate", str(1 << 30), marks=pytest.mark.exhaustive),
        pytest.param("kill", "262144", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.slow
def test_who_loses_a_replica_goes_on_at_another(
    tmp_path: Path, valkey_url: str, signal: str, parts: str
) -> None:
    """Nothing older is repeated, numbers grow across replicas, the end arrives."""
    with replicas(tmp_path, valkey_url, TABULAR_PART_ROWS=parts) as pair:
        job = pair.job(9_000_000)
        connection = pair.connect(pair.first, job)
        states = [json.loads(connection.recv(timeout=30))]
        while states[-1]["progress"] < 0.2:
            states.append(json.loads(connection.recv(timeout=30)))
        getattr(pair.first._started[-1], signal)()  # the API; the worker began before it
        with contextlib.suppress(ConnectionClosed):
            while True:
                states.append(json.loads(connection.recv(timeout=30)))
        if signal == "terminate":
            assert connection.close_code in (1001, 1012)
        query = f"?last_event_id={states[-1]['event_id']}"
        rest, code = heard(pair.connect(pair.second, job, query))
        assert code == 1000
        numbers = [state["event_id"] for state in states + rest]
        assert numbers == sorted(set(numbers))
        progress = [state["progress"] for state in states + rest]
        assert progress == sorted(progress)
        assert (rest[-1]["status"], rest[-1]["progress"]) == ("succeeded", 1.0)
        again, _ = heard(pair.connect(pair.second, job, f"?last_event_id={numbers[-1]}"))
        assert again == rest[-1:]  # the final state always comes


def test_two_replicas_tell_the_same(pair: Replicas) -> None:
    job = pair.job(6_000_000)
    one, other = pair.connect(pair.first, job), pair.connect(pair.second, job)
    first, second = heard(one)[0], heard(other)[0]
    assert first[-1] == second[-1]
    told = {state["event_id"]: state for state in first}
    shared = [state for state in second if state["event_id"] in told]
    assert len(shared) > 2
    assert all(told[state["event_id"]] == state for state in shared)


@pytest.mark.parametrize("wrong", ["x", "-1", "", "9" * 40])
def test_a_number_that_is_none_is_refused_before_the_handshake(pair: Replicas, wrong: str) -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused:
        pair.connect(pair.first, "job_" + "0" * 20, f"?last_event_id={wrong}")
    assert refused.value.response.status_code == 422


def deaf(pair: Replicas, job: str) -> socket.socket:
    """A client that shakes hands and then reads nothing, as a frozen one does."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", pair.first.port))
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET /v1/jobs/{job}/progress HTTP/1.1\r\nHost: 127.0.0.1:{pair.first.port}\r\n"
        f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {pair.key}\r\n\r\n".encode()
    )
    return client


def subscribers(pair: Replicas, job: str, url: str) -> int:
    with redis.Redis.from_url(url) as client:
        ((_, count),) = client.pubsub_numsub(f"tabular:progress:{job}")
        return int(count)


@pytest.mark.slow
def test_a_client_that_reads_nothing_is_given_up_and_costs_no_memory(
    tmp_path: Path, valkey_url: str
) -> None:
    with replicas(tmp_path, valkey_url, TABULAR_WEBSOCKET_PATIENCE="4") as pair:
        job = pair.job(200_000_000)
        wait_for(pair.client, job, lambda job: job["status"] == "running")
        api = psutil.Process(pair.first._started[-1].pid)
        client = deaf(pair, job)
        deadline = time.monotonic() + 20
        while not subscribers(pair, job, valkey_url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        before = api.memory_info().rss
        event = {"id": job, "status": "running", "progress": 0.5, "filling": "x" * 60_000}
        with redis.Redis.from_url(valkey_url) as broker:
            for number in range(400):  # 24 MB
                raw = json.dumps({**event, "event_id": 10**9 + number})
                broker.publish(f"tabular:progress:{job}", raw)
        while subscribers(pair, job, valkey_url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert api.memory_info().rss - before < 16 * 1024 * 1024
        assert "unexpected" not in pair.first.log
        client.close()
        pair.end(job)


def test_a_slow_client_gets_the_newest_state_and_not_all(pair: Replicas, valkey_url: str) -> None:
    job = pair.job(200_000_000)
    wait_for(pair.client, job, lambda job: job["status"] == "running")
    cache = pair.first._env["TABULAR_CACHE_URL"]
    with pair.connect(pair.first, job) as connection, redis.Redis.from_url(cache) as broker:
        connection.recv(timeout=10)
        event = {"id": job, "status": "running", "filling": "x" * 60_000}
        count = 500
        for number in range(count):
            state = {**event, "progress": number / count, "event_id": 10**9 + number}
            broker.publish(f"tabular:progress:{job}", json.dumps(state))
        seen = []
        while not seen or seen[-1]["event_id"] < 10**9 + count - 1:
            seen.append(json.loads(connection.recv(timeout=10)))
        numbers = [state["event_id"] for state in seen]
        assert numbers == sorted(set(numbers))
        pair.end(job)


def test_a_client_that_answers_no_ping_is_closed(pair: Replicas) -> None:
    job = pair.job(200_000_000)
    client = deaf(pair, job)
    client.settimeout(15)
    raw = b""
    while chunk := client.recv(4096):  # it reads, and answers nothing
        raw += chunk
    assert b"101 Switching" in raw
    assert (1011).to_bytes(2, "big") in raw
    pair.end(job)


@pytest.mark.slow
def test_without_a_broker_the_database_tells(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "valkey"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(valkey_server(folder, port=port))
        with replicas(tmp_path, url_of(port)) as pair:
            job = pair.job(6_000_000)
            with pair.connect(pair.first, job) as connection:
                states = [json.loads(connection.recv(timeout=30))]
                stack.close()
                rest, code = heard(connection)
            numbers = [state["event_id"] for state in states + rest]
            assert numbers == sorted(set(numbers))
            assert (rest[-1]["status"], code) == ("succeeded", 1000)

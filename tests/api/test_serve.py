"""The API and a worker as real processes, over real sockets, with a shared cache and queue."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tabular.api.serve import listen
from tests.platform import Processes, environment, finished, fitted, submit
from tests.testbed.ports import free_port


@pytest.fixture
def processes(tmp_path: Path, valkey_url: str) -> Iterator[Processes]:
    env = environment(
        tmp_path,
        TABULAR_CACHE_URL=valkey_url,
        TABULAR_QUEUE_URL=valkey_url,
        TABULAR_CLIENT_RATE_LIMIT="20/hour",
    )
    started = Processes(tmp_path, env)
    started.run("tabular.api", "migrate")
    yield started
    started.close()


def test_progress_limits_and_logs_over_real_sockets(processes: Processes, tmp_path: Path) -> None:
    processes.share()
    processes.api()
    processes.api()
    processes.worker()
    issued = json.loads(processes.run("tabular.api", "create-key", "--name", "t", "--json"))
    key = issued["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=processes.url, headers=bearer, timeout=30) as client:
        _, model = fitted(client, rows=500)
        job = submit(client, "/v1/generate", {"model_id": model, "rows": 2_000_000})
        url = f"{processes.url.replace('http', 'ws')}/v1/jobs/{job['id']}/progress"
        with connect(url, additional_headers=bearer) as live:
            seen = [json.loads(message) for message in live]
        assert seen[-1]["status"] == "succeeded"
        progress = [state["progress"] for state in seen]
        assert progress == sorted(progress)
        assert len(set(progress)) > 2  # it came while the job ran
        with connect(url, subprotocols=["tabular.progress.v1", f"tabular.bearer.{key}"]) as browser:  # type: ignore[list-item]
            assert browser.subprotocol == "tabular.progress.v1"
        with pytest.raises(InvalidStatus) as refused:
            connect(url)
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["code"] == "access.unauthenticated"
        assert finished(client, job["id"])["status"] == "succeeded"

    # One limit for both processes, however the kernel spreads the connections; one was used.
    statuses = []
    for _ in range(25):
        with httpx.Client(headers={"Authorization": "Bearer wrong"}) as fresh:
            statuses.append(fresh.get(f"{processes.url}/v1/jobs").status_code)
    assert statuses == [401] * 19 + [429] * 6

    log = processes.log
    assert issued["id"] in log
    assert key not in log
    assert key.rpartition(".")[2] not in log
    for line in log.splitlines():
        json.loads(line)


def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", free_port()) as listener:
        # asyncio turns Nagle's algorithm off only for sockets that are named as TCP.
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.slow
def test_a_connection_outlives_the_pauses_of_a_load_balancer(processes: Processes) -> None:
    processes.api()
    kept = http.client.HTTPConnection(processes.url.removeprefix("http://"), timeout=10)
    for pause in (0, 7):  # seconds; by itself the server would end it after five
        time.sleep(pause)
        kept.request("GET", "/health")
        answer = kept.getresponse()
        assert (answer.status, answer.read()[:1]) == (200, b"{")
    kept.close()

"""Rate limits of four real API processes on one Valkey, HTTP and websockets together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tabular.infra.breaker import PATIENCE, PAUSE
from tests.platform import Processes, environment
from tests.testbed.ports import free_port
from tests.testbed.valkey import valkey_server

PROCESSES = 4
NOBODY = "job_" + "0" * 20


@contextlib.contextmanager
def four(folder: Path, **more: str) -> Iterator[tuple[Processes, str]]:
    """Four API processes that share a port, and a key."""
    processes = Processes(folder, environment(folder, **more))
    try:
        processes.run("tabular.api", "migrate")
        key = json.loads(processes.run("tabular.api", "create-key", "--name", "a", "--json"))["key"]
        processes.share()
        for _ in range(PROCESSES):
            processes.api(wait=False)
        seen: set[int] = set()
        deadline = time.monotonic() + 60
        while len(seen) < PROCESSES:
            assert time.monotonic() < deadline, processes.log
            with contextlib.suppress(httpx.TransportError):
                seen.add(httpx.get(f"{processes.url}/health").json()["pid"])
        yield processes, key
    finally:
        processes.close()


def at_once(threads: int, each: int, ask: Callable[[], int]) -> list[int]:
    """Statuses of `threads` times `each` requests that begin together."""
    found: list[int] = []
    begin = threading.Barrier(threads)

    def run() -> None:
        begin.wait()
        found.extend(ask() for _ in range(each))

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return found


def handshake(processes: Processes, key: str) -> int:
    """The status that a websocket's handshake is refused with: there is no such job."""
    url = f"ws://127.0.0.1:{processes.port}/v1/jobs/{NOBODY}/progress"
    with pytest.raises(InvalidStatus) as caught:
        connect(url, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None)
    return int(caught.value.response.status_code)


@pytest.mark.slow
def test_exactly_the_limit_passes_four_processes(tmp_path: Path, valkey_url: str) -> None:
    with four(tmp_path, TABULAR_CACHE_URL=valkey_url, TABULAR_RATE_LIMIT="100/hour") as (api, key):
        headers = {"Authorization": f"Bearer {key}"}
        turn = iter(range(10_000))

        def ask() -> int:
            if next(turn) % 4 == 0:
                return handshake(api, key)
            return httpx.get(f"{api.url}/v1/whoami", headers=headers).status_code

        found = at_once(8, 30, ask)
        assert sorted(set(found)) == [200, 404, 429]
        assert len([status for status in found if status != 429]) == 100
        refused = httpx.get(f"{api.url}/v1/whoami", headers=headers)
        assert refused.json()["code"] == "access.rate-limited"
        assert refused.headers["RateLimit-Policy"] == '"per-hour";q=100;w=3600'
        assert refused.headers["RateLimit"].startswith('"per-hour";r=0;t=')
        assert 3500 < int(refused.headers["Retry-After"]) <= 3600


@pytest.mark.slow
def test_no_window_of_any_beginning_has_more(tmp_path: Path, valkey_url: str) -> None:
    limit, period, lasts = 40, 1.0, 3.5
    rules = {"TABULAR_CACHE_URL": valkey_url, "TABULAR_RATE_LIMIT": f"{limit}/second"}
    with four(tmp_path, **rules) as (api, key):
        passed: list[tuple[float, float]] = []
        begun = time.monotonic()
        clients = threading.local()

        def ask() -> int:
            if not hasattr(clients, "own"):
                clients.own = httpx.Client(headers={"Authorization": f"Bearer {key}"})
            while time.monotonic() - begun < lasts:
                sent = time.monotonic()
                status = clients.own.get(f"{api.url}/v1/whoami").status_code
                if status == 200:
                    passed.append((sent, time.monotonic()))
            clients.own.close()
            return 0

        at_once(8, 1, ask)
        for start, _ in passed:
            # What was sent and answered within a period was decided within it.
            within = [1 for sent, answered in passed if start <= sent and answered < start + period]
            assert len(within) <= limit
        assert len(passed) >= 3 * limit, "the window gives back what has left it"


@pytest.mark.slow
def test_a_forged_header_of_a_stranger_changes_nothing(tmp_path: Path, valkey_url: str) -> None:
    more = {"TABULAR_CACHE_URL": valkey_url, "TABULAR_CLIENT_RATE_LIMIT": "5/hour"}
    with four(tmp_path, **more) as (api, _):
        turn = iter(range(100))

        def ask() -> int:
            forged = {"X-Forwarded-For": f"203.0.113.{next(turn)}", "Authorization": "Bearer x"}
            return httpx.get(f"{api.url}/v1/whoami", headers=forged).status_code

        found = at_once(4, 5, ask)
        assert (found.count(401), found.count(429)) == (5, 15)


@pytest.mark.slow
def test_behind_a_trusted_proxy_each_network_has_its_own(tmp_path: Path, valkey_url: str) -> None:
    more = {
        "TABULAR_CACHE_URL": valkey_url,
        "TABULAR_CLIENT_RATE_LIMIT": "3/hour",
        "TABULAR_TRUSTED_PROXIES": "127.0.0.1",
    }
    with four(tmp_path, **more) as (api, _):

        def ask(address: str) -> int:
            forwarded = {"X-Forwarded-For": f"6.6.6.6, {address}"}
            return httpx.get(f"{api.url}/v1/whoami", headers=forwarded).status_code

        one = [ask(f"2001:db8:1:1::{host:x}") for host in range(5)]
        assert one == [401, 401, 401, 429, 429], "one /64 is one client"
        assert ask("2001:db8:1:2::1") == 401
        assert [ask("203.0.113.1") for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize(("on_failure", "answer"), [("open", 200), ("closed", 503)])
@pytest.mark.slow
def test_a_store_that_is_killed_is_as_documented_and_no_crash(
    tmp_path: Path, on_failure: str, answer: int
) -> None:
    folder = tmp_path / "valkey"
    folder.mkdir()
    port = free_port()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(valkey_server(folder, port=port))
        more = {"TABULAR_CACHE_URL": server.url(), "TABULAR_RATE_LIMIT": "10/hour"}
        more["TABULAR_RATE_LIMIT_ON_FAILURE"] = on_failure
        api, key = stack.enter_context(four(tmp_path, **more))

        def ask() -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.get(f"{api.url}/v1/whoami", headers=headers).status_code

        assert ask() == 200
        os.kill(server.pid, signal.SIGKILL)
        assert set(at_once(4, 10, ask)) == {answer}
        again = tmp_path / "again"
        again.mkdir()
        stack.enter_context(valkey_server(again, port=port))
        time.sleep(PAUSE)
        assert at_once(4, 10, ask).count(200) == 10


@pytest.mark.slow
def test_a_store_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "valkey"
    folder.mkdir()
    with (
        valkey_server(folder) as server,
        four(tmp_path, TABULAR_CACHE_URL=server.url()) as (api, key),
        httpx.Client(limits=httpx.Limits(max_connections=100)) as client,
    ):
        headers = {"Authorization": f"Bearer {key}"}
        seconds: list[float] = []

        def look() -> int:
            sent = time.monotonic()
            status = client.get(f"{api.url}/health").status_code
            seconds.append(time.monotonic() - sent)
            return status

        def ask() -> int:
            return client.get(f"{api.url}/v1/whoami", headers=headers, timeout=30).status_code

        assert set(at_once(8, 4, ask)) == {200}
        os.kill(server.pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            turn = iter(range(10_000))
            found = at_once(60, 2, lambda: look() if next(turn) % 3 == 0 else ask())
            assert set(found) == {200}, "open is the default"
            assert time.monotonic() - begun < 5 * PATIENCE
            assert sorted(seconds)[len(seconds) // 2] < PATIENCE, (
                "what asks no store waits for none"
            )
        finally:
            os.kill(server.pid, signal.SIGCONT)

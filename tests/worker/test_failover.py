"""A database server that is killed and started again under load: no accepted job is lost."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from tests.platform import Processes, environment, finished, fitted
from tests.testbed.mariadb import MariaDB, mariadb_home, mariadb_server
from tests.testbed.ports import free_port
from tests.testbed.postgres import Postgres, postgres_home, postgres_server

AWAY = 3.0  # seconds without a server
Server = Callable[[], AbstractContextManager[Postgres | MariaDB]]


@contextlib.contextmanager
def _postgres() -> Iterator[Server]:
    port = free_port()
    with postgres_home() as home:
        yield lambda: postgres_server(home=home, port=port)


@contextlib.contextmanager
def _mariadb() -> Iterator[Server]:
    port = free_port()
    with mariadb_home() as home:
        yield lambda: mariadb_server(home, port=port)


@pytest.fixture(params=[_postgres, pytest.param(_mariadb, marks=pytest.mark.debian)])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A way to start the server again on what it had committed."""
    with request.param() as start:
        yield start


@dataclass
class Load:
    """Clients that submit until they are told to stop, and what they were answered."""

    client: httpx.Client
    body: dict[str, object]
    accepted: list[str] = field(default_factory=list)
    refused: list[httpx.Response] = field(default_factory=list)
    others: list[object] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def submit(self) -> None:
        """Submit small jobs one after the other."""
        while not self.stopping.is_set():
            try:
                answer = self.client.post("/v1/generate", json=self.body)
            except httpx.HTTPError as error:
                self.others.append(error)
                continue
            if answer.status_code == 202:
                self.accepted.append(answer.json()["job"]["id"])
            elif answer.status_code == 503:
                self.refused.append(answer)
            else:
                self.others.append((answer.status_code, answer.text))
            time.sleep(0.1)


def kill(pid: int) -> None:
    """End a server and what it started, as the loss of its machine does."""
    process = psutil.Process(pid)
    children = process.children(recursive=True)
    process.send_signal(signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)
    psutil.wait_procs([process, *children], timeout=10)


@pytest.mark.slow
def test_a_database_killed_under_load_loses_no_accepted_job(server: Server, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        running = first.enter_context(server())
        url = running.create_database("failover")
        more = {"TABULAR_JOB_LEASE": "2", "TABULAR_INLINE_ROWS": "0"}
        processes = Processes(tmp_path, environment(tmp_path, url, **more))
        stack.callback(processes.close)
        processes.run("tabular.api", "migrate")
        api, worker = processes.api(), processes.worker()
        key = processes.run("tabular.api", "create-key", "--name", "test").strip()
        headers = {"Authorization": f"Bearer {key}"}
        client = stack.enter_context(
            httpx.Client(base_url=processes.url, headers=headers, timeout=30)
        )
        _, model = fitted(client)
        load = Load(client, {"model_id": model, "rows": 2000, "format": "csv"})
        threads = [threading.Thread(target=load.submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(load.accepted) >= 5)
        kill(running.pid)
        before = len(load.accepted)
        until(lambda: len(load.refused) >= 5)
        assert client.get("/ready").status_code == 503
        time.sleep(AWAY)
        first.close()
        stack.enter_context(server())
        until(lambda: len(load.accepted) >= before + 5)
        load.stopping.set()
        for thread in threads:
            thread.join()
        until(lambda: client.get("/ready").status_code == 200)
        ends = [finished(client, job, timeout=120)["status"] for job in load.accepted]
        assert ends == ["succeeded"] * len(ends)
        assert len(set(load.accepted)) == len(load.accepted)
        assert load.others == []
        for answer in load.refused:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["code"].startswith("unavailable")
        assert (api.poll(), worker.poll()) == (None, None), "neither was started again"


def until(reached: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)

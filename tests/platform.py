"""The platform in a test: real application and worker, in this process or as processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from tabular.api.app import create_app
from tabular.api.serve import listen
from tabular.api.service import Service, open_service
from tabular.infra.config import Settings, load_settings
from tabular.infra.database import Database, migrate
from tabular.worker.assembly import build_runner
from tests.testbed.ports import free_port
from tests.testbed.process import stop

SECRET = "nJ7w2Kq9sX4vB6mZ1cR8tY3hD5pL0fGa"
ENDED = ("succeeded", "failed", "cancelled")
CSV = "text/csv"


def environment(folder: Path, database_url: str | None = None, **more: str) -> dict[str, str]:
    """The variables of a platform that lives in a folder."""
    return {
        "TABULAR_SECRET_KEY": SECRET,
        "TABULAR_DATABASE_URL": database_url or f"sqlite:///{folder}/tabular.db",
        "TABULAR_STORAGE_URL": f"file://{folder}/objects",
        "TABULAR_QUEUE_URL": f"filesystem://{folder}/queue",
        "TABULAR_CLIENT_RATE_LIMIT": "10000/minute",
        "TABULAR_RATE_LIMIT": "100000/minute",
        **more,
    }


@dataclass
class Platform:
    """The application in this process."""

    settings: Settings
    service: Service
    client: TestClient
    key: str

    def issue(self, *scopes: str) -> dict[str, str]:
        """Headers with a new key of these scopes."""
        return {"Authorization": f"Bearer {self.service.keys.issue('test', scopes).key}"}

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """A worker in a thread; its child is a process as ever."""
        runner = build_runner(self.settings)
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            yield
        finally:
            runner.stop()
            thread.join(timeout=30)


@contextlib.contextmanager
def platform(folder: Path, database_url: str | None = None, **more: str) -> Iterator[Platform]:
    """A platform with an administrator's key, whose client sends it."""
    settings = load_settings(environment(folder, database_url, **more))
    database = Database(settings.database_url)
    migrate(database)
    database.close()
    service = open_service(settings)
    key = service.keys.issue("admin", ["admin"]).key
    with TestClient(
        create_app(settings, service=service),
        raise_server_exceptions=False,
        headers={"Authorization": f"Bearer {key}"},
    ) as client:
        yield Platform(settings, service, client, key)


def upload(client: httpx.Client, data: bytes, name: str = "table.csv", kind: str = CSV) -> str:
    """A dataset's id."""
    answer = client.post(
        "/v1/datasets", params={"name": name}, content=data, headers={"Content-Type": kind}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def submit(client: httpx.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A job that was accepted."""
    answer = client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json()["job"])


def finished(client: httpx.Client, job_id: str, timeout: float = 60.0) -> dict[str, Any]:
    """A job once it has ended."""
    return wait_for(client, job_id, lambda job: job["status"] in ENDED, timeout)


def wait_for(
    client: httpx.Client, job_id: str, reached: Any, timeout: float = 60.0
) -> dict[str, Any]:
    """A job once it is as wanted."""
    deadline = time.monotonic() + timeout
    while True:
        job = dict(client.get(f"/v1/jobs/{job_id}").json())
        if reached(job):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def table(rows: int) -> bytes:
    """A CSV file that can be synthesized."""
    lines = ["size,colour,price"]
    colours = ("red", "green", "blue")
    lines += [f"{i * 37 % 101},{colours[i * i % 3]},{i * 7 % 53 + 0.5}" for i in range(rows)]
    return "\n".join(lines).encode() + b"\n"


def fitted(client: httpx.Client, rows: int = 2000) -> tuple[str, str]:
    """Ids of a dataset and of a model that has learned from it; a worker must run."""
    dataset = upload(client, table(rows))
    job = finished(client, submit(client, "/v1/models", {"dataset_id": dataset})["id"])
    assert job["status"] == "succeeded", job
    return dataset, str(job["model_id"])


class Processes:
    """API and workers as the processes that a deployment starts.

    Args:
        folder: where it lives; logs too.
        env: its variables.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._env = {**os.environ, **env, "TABULAR_PORT": str(self.port)}
        self._started: list[subprocess.Popen[bytes]] = []
        self._shared: socket.socket | None = None

    def run(self, *arguments: str) -> str:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env=self._env,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def share(self) -> None:
        """Have all API processes inherit one listening socket, as a supervisor does."""
        self._shared = listen("127.0.0.1", self.port)

    def api(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start an API process, and wait until it answers."""
        given = ["--fd", str(self._shared.fileno())] if self._shared else []
        process = self._start("tabular.api", "serve", *given)
        deadline = time.monotonic() + 30
        while wait:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health").json()["pid"] == process.pid:
                    break
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return process

    def worker(self, **more: str) -> subprocess.Popen[bytes]:
        """Start a worker, with more variables of its own."""
        return self._start("tabular.worker", **more)

    @property
    def log(self) -> str:
        """What all processes wrote."""
        return (self._folder / "processes.log").read_text()

    def close(self) -> None:
        """End what was started."""
        for process in self._started:
            stop(process, signal.SIGTERM)
        if self._shared:
            self._shared.close()

    def _start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        with (self._folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**self._env, **more},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._shared.fileno()] if self._shared else [],
            )
        self._started.append(process)
        return process

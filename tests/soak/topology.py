"""What is soaked: API processes, workers and their servers, each of which can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil

from tabular.infra.database import Database
from tabular.infra.storage import ObjectStore, open_store
from tests.platform import Processes, environment
from tests.testbed.faults import FaultProxy, faults_before
from tests.testbed.ports import free_port
from tests.testbed.postgres import postgres_home, postgres_server
from tests.testbed.s3 import BUCKET, S3, seaweed_s3
from tests.testbed.valkey import valkey_server

APIS, WORKERS = 3, 3
Start = Callable[[], AbstractContextManager[object]]


class Server:
    """A server that is started again at its place with its data."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._stack = ExitStack()
        self.running = self._stack.enter_context(start())

    def kill(self) -> None:
        """End it and what it started, as the loss of its machine does."""
        pid = getattr(self.running, "pid")  # noqa: B009 - of three kinds of servers
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    def restart(self) -> None:
        """Start it again."""
        self._stack.close()
        self._stack = ExitStack()
        self.running = self._stack.enter_context(self._start())

    def close(self) -> None:
        """End it."""
        self._stack.close()


class Topology:
    """All of it, running.

    Attributes:
        servers: by name: postgresql, valkey, s3.
        apis, workers: processes that run, or ran until they were killed.
        proxy: stands before the store.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        home = stack.enter_context(postgres_home())
        postgres_port, valkey_port = free_port(), free_port()
        # Servers end with the thread that started them, so that thread has to outlive the loop.
        self._thread = stack.enter_context(ThreadPoolExecutor(1))
        self.servers = {
            "postgresql": Server(lambda: postgres_server(home=home, port=postgres_port)),
            "valkey": Server(lambda: valkey_server(_folder(folder, "valkey"), port=valkey_port)),
        }
        first = Server(lambda: seaweed_s3(_folder(folder, "s3"), ports=self._s3_ports))
        self.servers["s3"] = first
        for server in self.servers.values():
            stack.callback(server.close)
        store = first.running
        assert isinstance(store, S3)
        self._s3_ports = store.ports
        store.create_bucket(BUCKET)
        self.proxy: FaultProxy = stack.enter_context(faults_before(store.endpoint))
        os.environ.update(store.environ)
        self.database_url = self._create_database()
        self.storage_url = f"s3://{BUCKET}/soak?endpoint={self.proxy.endpoint}"
        env = environment(
            folder,
            self.database_url,
            TABULAR_STORAGE_URL=self.storage_url,
            TABULAR_CACHE_URL=f"redis://127.0.0.1:{valkey_port}/0",
            TABULAR_QUEUE_URL=f"redis://127.0.0.1:{valkey_port}/1",
            TABULAR_JOB_LEASE="4",
            TABULAR_JOB_MAX_ATTEMPTS="6",
            TABULAR_PART_ROWS="262144",
        )
        self.processes = Processes(folder, env)
        stack.callback(self.processes.close)
        self.processes.run("tabular.api", "migrate")
        self.key = self.processes.run("tabular.api", "create-key", "--name", "soak").strip()
        self.processes.share()
        self.apis = [self.processes.api() for _ in range(APIS)]
        self.workers = [self.processes.worker() for _ in range(WORKERS)]

    _s3_ports: tuple[int, ...] = ()

    def _create_database(self) -> str:
        server = self.servers["postgresql"].running
        url: str = server.create_database("soak")  # type: ignore[attr-defined]
        return url

    async def off_loop(self, step: Callable[[], None]) -> None:
        """Do something to a server beside the event loop."""
        await asyncio.get_running_loop().run_in_executor(self._thread, step)

    def again(self, kind: str, process: subprocess.Popen[bytes]) -> None:
        """Start an API process or worker in the place of one that was killed."""
        fleet = self.apis if kind == "api" else self.workers
        started = self.processes.api(wait=False) if kind == "api" else self.processes.worker()
        fleet[fleet.index(process)] = started

    def memory(self) -> dict[str, int]:
        """The largest resident set of each kind of process, in bytes."""
        return {
            "api": max(_resident(process) for process in self.apis),
            "worker": max(_resident(process) for process in self.workers),
        }

    @contextlib.contextmanager
    def inside(self) -> Iterator[tuple[Database, ObjectStore]]:
        """Its database and store, beside the service."""
        database = Database(self.database_url)
        try:
            yield database, open_store(self.storage_url)
        finally:
            database.close()


@contextlib.contextmanager
def topology(folder: Path) -> Iterator[Topology]:
    """All of it for the time of the block."""
    with ExitStack() as stack:
        yield Topology(folder, stack)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop a process in its tracks."""
    process.send_signal(signal.SIGSTOP)


def thaw(process: subprocess.Popen[bytes]) -> None:
    """Let it go on."""
    process.send_signal(signal.SIGCONT)


def _resident(process: subprocess.Popen[bytes]) -> int:
    try:
        return int(psutil.Process(process.pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir(exist_ok=True)
    return folder

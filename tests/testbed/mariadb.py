"""A MariaDB server from Debian's `mariadb-server`, in a folder of its own, on 127.0.0.1 only.

MariaDB refuses to run as root, so as root it runs as `nobody`. What a transaction committed
survives `kill -9` of the server here (it is with the operating system), as in production.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

USER, PASSWORD = "tabular", "p@ss/w#rd"
_QUOTED = "p%40ss%2Fw%23rd"
_OPTIONS = (
    *("--skip-name-resolve", "--skip-log-bin", "--skip-networking=0", "--bind-address=127.0.0.1"),
    *("--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M"),
    *("--innodb-log-file-size=16M", "--max-connections=120", "--performance-schema=OFF"),
)


@dataclass(frozen=True)
class MariaDB:
    """A running server; its user has a password that needs quoting, and may do everything."""

    port: int
    pid: int
    socket: Path

    def url(self, database: str, *, host: str = "127.0.0.1") -> str:
        """SQLAlchemy URL of a database."""
        return f"mysql+pymysql://{USER}:{_QUOTED}@{host}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database, with the defaults of the server, and return its URL."""
        self.sql(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def sql(self, statement: str) -> str:
        """Run a statement with MariaDB's own client."""
        client = parts.debian("mariadb", package="mariadb-client")
        done = subprocess.run(
            [client, "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", "-e", statement],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{statement}: {done.stderr}")
        return done.stdout


@contextlib.contextmanager
def mariadb_home() -> Iterator[Path]:
    """A folder for a server whose data are to outlive it."""
    home = Path(tempfile.mkdtemp(prefix="tabular-maria-", dir="/tmp"))  # a socket's path is short
    try:
        if os.geteuid() == 0:
            shutil.chown(home, "nobody")
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def mariadb_server(
    home: Path,
    *,
    port: int | None = None,
    tls: tuple[Path, Path] | None = None,
    copied: bool = True,
) -> Iterator[MariaDB]:
    """Run the server of a home, with the data that are there, for the time of the block.

    Args:
        home: from `mariadb_home`.
        port: of 127.0.0.1; a free one by default.
        tls: certificate and key; TLS is then offered beside the plain protocol.
        copied: the server reads copies of the two, which its user may read; else themselves.
    """
    server = parts.debian("mariadbd", package="mariadb-server")
    user = "nobody" if os.geteuid() == 0 else None
    port = free_port() if port is None else port
    fresh = not (home / "data").exists()
    if fresh:
        _initialise(home, user)
    command: list[str | Path] = [server, "--no-defaults", f"--datadir={home / 'data'}"]
    command += [f"--port={port}", f"--socket={home / 's'}", f"--pid-file={home / 'pid'}", *_OPTIONS]
    if tls is not None:
        certificate, key = (_readable(file, home) if copied else file for file in tls)
        command += [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    with running(command, log=home / "server.log", user=user) as process:
        wait_for_port(port)
        found = MariaDB(port=port, pid=process.pid, socket=home / "s")
        if fresh:
            _grant(found)
        yield found


def _initialise(home: Path, user: str | None) -> None:
    installer = parts.debian("mariadb-install-db", package="mariadb-server")
    done = subprocess.run(
        [
            *(installer, "--no-defaults", f"--datadir={home / 'data'}", "--skip-test-db"),
            *("--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"),
        ],
        capture_output=True,
        text=True,
        user=user,
        cwd=home,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"mariadb-install-db failed: {done.stdout}{done.stderr}")


def _grant(server: MariaDB) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            server.sql(f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            break
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    server.sql(f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1'")


def _readable(source: Path, home: Path) -> Path:
    """A copy that the server's user can read."""
    copy = home / source.name
    shutil.copyfile(source, copy)
    if os.geteuid() == 0:
        shutil.chown(copy, "nobody")
    return copy

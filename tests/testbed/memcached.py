"""A Memcached server from Debian's `memcached`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running


@dataclass(frozen=True)
class Memcached:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its URL."""
        return f"memcached://127.0.0.1:{self.port}"


@contextlib.contextmanager
def memcached_server(folder: Path, *, port: int | None = None) -> Iterator[Memcached]:
    """Run a server for the time of the block."""
    program = parts.debian("memcached", package="memcached")
    port = free_port() if port is None else port
    command: list[str | Path] = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "64"]
    if os.geteuid() == 0:
        command += ["-u", "nobody"]
    with running(command, log=folder / "memcached.log") as process:
        wait_for_port(port)
        yield Memcached(port=port, pid=process.pid)

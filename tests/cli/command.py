"""Running our command the way a user does: a process of its own, a home of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("inferloop-tabular")


@dataclass(frozen=True)
class Answer:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(
    *arguments: str,
    home: Path,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    timeout: float = 240,
    stdin: str = "",
) -> Answer:
    """Run a command with HOME at `home` and nothing of this process's own environment."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env={**environment, **(extra or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        input=stdin,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def on_terminal(columns: int, *arguments: str, home: Path, timeout: float = 60) -> str:
    """What a command of exit code 0 shows on a terminal so wide."""
    shown, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    client = subprocess.Popen(
        [COMMAND, *arguments],
        env={**environment, "TERM": "xterm", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    parts = []
    while part := _read(shown):
        parts.append(part)
    os.close(shown)
    _, said = client.communicate(timeout=timeout)
    assert client.returncode == 0, said
    return b"".join(parts).decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """The next bytes; none when nobody writes any more."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""

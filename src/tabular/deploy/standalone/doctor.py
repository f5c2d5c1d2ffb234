"""What a deploy on this machine needs, looked at without touching anything."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tabular.deploy.provider import Check
from tabular.deploy.standalone import cache, postgres
from tabular.deploy.standalone.container_steps import find_commands
from tabular.deploy.standalone.layout import Home
from tabular.errors import PreflightError

LEAST_DISK = 2 * 1024**3
LEAST_FILES = 1024
OLDEST_PYTHON = (3, 11)


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def checks(home: Home, runtime: str | None) -> Iterator[Check]:
    """One finding after the other.

    Args:
        home: where a deployment would live.
        runtime: with ``container`` a working container engine is needed.
    """
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check(
        "python", sys.version_info >= OLDEST_PYTHON, version, "install Python 3.11 or newer"
    )
    for name, folder in (("state folder", home.state), ("data folder", home.data)):
        place = existing(folder)
        yield Check(
            name,
            os.access(place, os.W_OK | os.X_OK) and place.is_dir() and _is_writable(place),
            str(folder),
            f"make {place} writable, or choose another place with --home",
        )
    free = shutil.disk_usage(existing(home.data)).free
    yield Check("disk", free >= LEAST_DISK, f"{free / 1024**3:.1f} GiB free", "free at least 2 GiB")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Check(
        "open files", files >= LEAST_FILES, f"limit {files}", f"ulimit -n {LEAST_FILES} or more"
    )
    yield from _optional()
    if runtime == "container":
        yield _container_engine()
        return
    tools = [tool for tool in ("podman", "docker") if shutil.which(tool)]
    detail = ", ".join(tools) + " on the PATH" if tools else "neither podman nor docker"
    yield Check("container engine", True, f"{detail}; only for --runtime container")


def _container_engine() -> Check:
    try:
        found = find_commands()
    except PreflightError as error:
        return Check("container engine", False, error.message, error.hint or "")
    return Check("container engine", True, " and ".join(" ".join(v) for v in found.values()))


def _is_writable(folder: Path) -> bool:
    """Ask the mount as well: root may write everywhere but on a read-only one."""
    return not os.statvfs(folder).f_flag & os.ST_RDONLY


def _optional() -> Iterator[Check]:
    """Parts that only some deployments need: their absence is told and is no failure."""
    for name, lack in (("postgresql", postgres.missing()), ("cache", cache.missing())):
        detail = "installed" if lack is None else f"not available: {lack}; only if the spec asks"
        yield Check(name, True, detail)

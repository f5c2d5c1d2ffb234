"""What a deploy on this machine needs, tried out; nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tabular.deploy.files import existing
from tabular.deploy.provider import Check
from tabular.deploy.standalone import cache, postgres
from tabular.deploy.standalone.compose import DEFAULT_PORT
from tabular.deploy.standalone.container_steps import find_commands
from tabular.deploy.standalone.layout import Home
from tabular.deploy.standalone.ports import LOCALHOST, free_port, holder, is_free
from tabular.deploy.standalone.requests import read_state
from tabular.errors import EngineError, PreflightError

LEAST_DISK = 2 * 1024**3
LEAST_NODES = 10_000
LEAST_FILES = 1024
OLDEST_PYTHON = (3, 11)


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
    for name, folder, below in (
        ("state folder", home.state, home.state / "deployments"),
        ("data folder", home.data, home.data / "data"),
    ):
        yield _folder(name, folder, below)
    yield from _room(home)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Check(
        "open files", files >= LEAST_FILES, f"limit {files}", f"ulimit -n {LEAST_FILES} or more"
    )
    size, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = "no limit" if size == resource.RLIM_INFINITY else f"limit {size // 1024**2} MiB"
    unlimited = size in (resource.RLIM_INFINITY, -1) or size >= LEAST_DISK
    yield Check("file size", unlimited, limit, "ulimit -f unlimited")
    yield _ports()
    yield from _optional()
    if runtime == "container":
        yield _container_engine()
        yield _container_port(home)
        return
    tools = [tool for tool in ("podman", "docker") if shutil.which(tool)]
    detail = ", ".join(tools) + " on the PATH" if tools else "neither podman nor docker"
    yield Check("container engine", True, f"{detail}; only for --runtime container")


def _folder(name: str, folder: Path, below: Path) -> Check:
    """Try where a deployment would be made, and look at the places where some are already."""
    try:
        place = existing(below)
        _try_out(place)
        for known in (below, *(below.iterdir() if below.is_dir() else ())):
            if known.is_dir() and not os.access(known, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(0, "this user may not write there", str(known))
    except OSError as error:
        where = error.filename or folder
        return Check(
            name,
            False,
            f"{folder}: {where}: {error.strerror or error}",
            f"make it a folder that this user may write (`ls -ld {existing_folder(folder)}`; "
            "what sudo made belongs to root: chown it), or choose another place with --home",
        )
    return Check(name, True, str(folder))


def existing_folder(path: Path) -> Path:
    """The nearest part of a path that can be looked at, whatever its name or its rights."""
    try:
        return existing(path)
    except OSError:
        return Path(path.anchor)


def _try_out(place: Path) -> None:
    """Do there what a deployment does: folders, private files, locks, a FIFO.

    Raises:
        OSError: one of these cannot be done.
    """
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as name:
        trial = Path(name, "trial")
        descriptor = os.open(trial, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, b"x" * 4096)
            os.fsync(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)
        if mode != 0o600:
            text = f"files there have mode {mode:04o} whatever is asked: secrets would be open"
            raise OSError(0, text, str(place))
        os.mkfifo(trial.with_name("fifo"), 0o600)


def _room(home: Home) -> Iterator[Check]:
    for name, folder in (("disk", home.data), ("state disk", home.state)):
        try:
            place = existing(folder)
            status = os.statvfs(place)
        except OSError as error:
            yield Check(name, False, f"{folder}: {error}", "choose another place with --home")
            continue
        if name == "state disk" and place.stat().st_dev == existing(home.data).stat().st_dev:
            continue
        free = status.f_bavail * status.f_frsize
        detail = f"{free / 1024**3:.1f} GiB free in {place}"
        yield Check(name, free >= LEAST_DISK, detail, "free at least 2 GiB")
        if status.f_files and status.f_favail < LEAST_NODES:
            hint = "remove files: this file system has no room for many more, however small"
            yield Check(f"{name} files", False, f"room for {status.f_favail} files", hint)


def _ports() -> Check:
    hint = f"give this machine a loopback interface that listens on {LOCALHOST} (`ip addr`)"
    try:
        port = free_port()
    except OSError as error:
        return Check("ports", False, f"{LOCALHOST}: {error.strerror or error}", hint)
    return Check("ports", is_free(port), f"{LOCALHOST} has free ports, such as {port}", hint)


def _container_engine() -> Check:
    try:
        found = find_commands()
    except PreflightError as error:
        return Check("container engine", False, error.message, error.hint or "")
    return Check("container engine", True, " and ".join(" ".join(v) for v in found.values()))


def _container_port(home: Home) -> Check:
    """The port that containers take unless the spec names one; a deployment of ours may hold it."""
    name = f"port {DEFAULT_PORT}"
    if is_free(DEFAULT_PORT):
        return Check(name, True, "free")
    with contextlib.suppress(PreflightError):  # of a home that is none, which is told above
        for target in home.targets():
            record = read_state(home.of(target))
            if record and record.history and record.ports.get("api") == DEFAULT_PORT:
                return Check(name, True, f"held by {target.id}")
    hint = "stop that process, or name another by overrides.standalone.port"
    return Check(name, False, f"in use by {holder(DEFAULT_PORT)}", hint)


def _optional() -> Iterator[Check]:
    """Parts that only some deployments need: absence is told and no failure, a broken one is."""
    for name, extra in (("postgresql", postgres.EXTRA), ("cache", cache.EXTRA)):
        lack = extra.missing(find_spec)
        if lack is not None:
            yield Check(name, True, f"not available: {lack}; only if the spec asks", extra.hint)
            continue
        try:
            wrong = postgres.trouble() if extra is postgres.EXTRA else None
        except EngineError as error:
            wrong = error.message
        as_whom = f", runs as {postgres.USER}" if os.geteuid() == 0 else ""
        detail = "installed" + (as_whom if extra is postgres.EXTRA else "")
        yield Check(name, wrong is None, wrong or detail, postgres.BY_HAND if wrong else "")

"""Files that are whole or absent, whatever is killed and whenever.

The supervisor may die by kill -9 between any two instructions. Each fact it needs afterwards is
written here: beside its place, flushed to the disk, renamed; and read back with its version.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tabular.deploy.files import storage_error, write_bytes
from tabular.deploy.standalone.identity import birth
from tabular.errors import EngineError

VERSION = 1
RESERVE = 256 * 1024
T = TypeVar("T")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Put a versioned document in place."""
    text = json.dumps({"version": VERSION, **document}, sort_keys=True, indent=1)
    write_bytes(path, text.encode() + b"\n")


def reserve(path: Path) -> None:
    """Take up room on the disk, unless it is taken already; removing the file gives it back.

    What goes wrong for want of room has to be taken back and told, and that needs room itself.

    Raises:
        PreflightError: there is not that much.
    """
    if not path.exists():
        # Random: a file system that compresses would keep no room for zeros.
        write_bytes(path, os.urandom(RESERVE))


def require_room(folder: Path) -> None:
    """Refuse where a small file cannot be written; leaves nothing behind.

    Raises:
        PreflightError: the disk is full, read-only, or not ours.
    """
    trial = folder / f"trial-{secrets.token_hex(4)}"
    write_bytes(trial, b"\0" * 4096)
    trial.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove half-written files below a folder whose writer was killed."""
    for left in folder.rglob(".*.new"):
        writer = left.name.split(".")[-2]
        if left.is_file() and writer.isdecimal() and birth(int(writer)) is None:
            left.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """SHA-256 of a file in hex; "" where it is gone."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def read_json(path: Path) -> dict[str, Any] | None:
    """A versioned document, None if it is not there.

    Raises:
        EngineError: not ours, or of a newer version.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        document = json.loads(text)
        version = document.pop("version")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    if version != VERSION:
        raise EngineError(
            f"this file has format {version}; this program reads format {VERSION}",
            where=str(path),
            hint="use the release of inferloop-tabular that wrote it, or a newer one",
            code="engine.state-version",
        )
    return dict(document)


def read_as(path: Path, build: Callable[[dict[str, Any]], T]) -> T | None:
    """A versioned document as what it describes, None if it is not there.

    Raises:
        EngineError: not ours, damaged, or of a newer version.
    """
    document = read_json(path)
    if document is None:
        return None
    try:
        return build(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> EngineError:
    return EngineError(
        "this file of the deployment is damaged",
        where=str(path),
        hint="restore it from a backup, or end the processes and remove the folder by hand",
        code="engine.state-damaged",
    )


def lock(path: Path, *, timeout: float = 0.0) -> int | None:
    """Take an exclusive lock that dies with its process.

    Args:
        path: the lock file.
        timeout: seconds to try; waiting is by the monotonic clock.

    Returns:
        A descriptor to close when done; None if another process holds the lock.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            if _still_there(descriptor, path):
                return descriptor
            # The folder was removed between open and lock: this lock guards nothing.
            os.close(descriptor)
            continue
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.02)


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def held(path: Path, *, timeout: float) -> Iterator[bool]:
    """Hold a lock for a block; yields False where it could not be had in time."""
    descriptor = lock(path, timeout=timeout)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


class LineLog:
    """Append-only JSON lines of which a half-written last line is dropped on opening."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.records = list(read_lines(path))
        self._end = sum(len(_encode(record)) for record in self.records)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and flush it to the disk."""
        line = _encode(record)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, self._end)
                if os.pwrite(descriptor, line, self._end) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error(error, self._path) from error
        self.records.append(dict(record))
        self._end += len(line)


def _encode(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """All whole lines of a file of JSON lines; none if it is not there."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.split(b"\n")[:-1]:
        yield json.loads(line)


def follow_lines(
    path: Path, *, idle: Callable[[], None], interval: float = 0.05
) -> Iterator[dict[str, Any]]:
    """Whole JSON lines as they are written; the caller stops reading at the one it waits for.

    The file is held open, so its last lines are seen even if it is removed meanwhile.

    Args:
        path: a file that is there already.
        idle: called whenever there is nothing new; raises to give up.
        interval: seconds between two looks.
    """
    with path.open("rb") as stream:
        rest = b""
        while True:
            chunk = stream.read()
            if not chunk:
                idle()
                time.sleep(interval)
                continue
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

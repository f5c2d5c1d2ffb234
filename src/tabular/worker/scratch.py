"""Folders for files that live as long as one task, on this machine's own disk.

*Whose fault a full disk is.* When a task finds no room, its files are removed, and then the disk
is looked at again. If it is still full, others have filled it. That is the machine's trouble:
the next job would meet it too, so the worker takes none until there is room, and the try does
not count. If there is room again, it was the task that took all of it. It would do so again,
which brings others on that disk into trouble each time, so the try counts, and after the last
one the job has failed. Nothing can go round between the two: a worker that takes a job had room
before it, by the same measure.

*How full is full.* A disk that has less left than 64 MiB and than a twentieth of it (or of its
names, where their number is fixed). Up to there a job that needs more than is left counts as too
large, which is told at once and can be mended: the other error would be to fill a disk every
minute for a day. A user's own quota is not seen by this, so what it stops counts as a try. Workers
of one machine share its room: of two jobs that fill it together, each counts as too large.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tabular.errors import UnavailableError

FULL = "unavailable.disk-full"
LEAST = 64 << 20  # bytes
LEAST_NAMES = 64  # of files; a task makes a handful
SHARE = 20

_PREFIX = "tabular-task-"
INLINE = "tabular-inline-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_HINT = "make room there, or name a larger folder in TMPDIR"


def place() -> str:
    """Where the folders are made: what TMPDIR names, else the system's own.

    `tempfile.gettempdir` passes by a disk that is full just then, for the next best folder
    and for as long as the process lives, and finds none at all when they share a disk.
    """
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    for folder in (*named, "/tmp", "/var/tmp"):  # noqa: S108 - as tempfile does
        if folder and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return str(Path(folder).absolute())
    return str(Path.cwd())


def lack() -> UnavailableError | None:
    """What to say while the disk is full; None while there is room."""
    folder = place()
    disk = os.statvfs(folder)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    names = disk.f_favail >= min(LEAST_NAMES, disk.f_files // SHARE)
    if free >= min(LEAST, size // SHARE) and names:
        return None
    what = f"{free >> 10} KiB are left" if names else "no more files can be made"
    return UnavailableError(
        f"the disk is full: {what} in {folder} on {socket.gethostname()}, for the files of a task",
        hint=_HINT,
        code=FULL,
    )


def make(prefix: str = _PREFIX) -> str:
    """A new folder that only this user can look into.

    Args:
        prefix: of its name, which says what it is for: of a task, or `INLINE`.

    Raises:
        UnavailableError: the disk is full.
    """
    try:
        return tempfile.mkdtemp(prefix=prefix, dir=place())
    except OSError as error:
        if (full := no_room(error)) is None:
            raise
        raise full from error


def remove(folder: str) -> None:
    """Remove one that `make` made, and nothing else; both ends of a pipe may try."""
    if Path(folder).name.startswith((_PREFIX, INLINE)):
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def made(prefix: str) -> Iterator[Path]:
    """A new folder for the time of the block.

    Args:
        prefix: as for `make`.

    Raises:
        UnavailableError: the disk is full.
    """
    folder = make(prefix)
    try:
        yield Path(folder)
    finally:
        remove(folder)


def no_room(error: BaseException) -> UnavailableError | None:
    """What to say of an error that came of a full disk; None of any other.

    Whoever writes a file for a user blames the file, and rightly so. Here nobody chose it, and
    there may be room for it at the next try.
    """
    cause = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(cause, OSError) or cause.errno not in _FULL:
        return None
    return UnavailableError(
        f"the disk is full: no room was left in {place()} for the files of a task",
        hint=f"{_HINT}; if there is room by now, the task itself took all there was",
        code=FULL,
    )

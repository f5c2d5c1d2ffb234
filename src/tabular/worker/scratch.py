"""Folders for files that live as long as one task, on this machine's own disk."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tabular.errors import UnavailableError

_PREFIX = "tabular-task-"
INLINE = "tabular-inline-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def make(prefix: str = _PREFIX) -> str:
    """A new folder that only this user can look into.

    Args:
        prefix: of its name, which says what it is for: of a task, or `INLINE`.

    Raises:
        UnavailableError: the disk is full.
    """
    try:
        return tempfile.mkdtemp(prefix=prefix)
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
        "the disk for the files of a task is full",
        hint="make room in the folder for temporary files, or name a larger one in TMPDIR",
        code="unavailable.disk-full",
    )

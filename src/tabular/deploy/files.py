"""Files that are whole or absent, whatever is killed and whenever."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from tabular.errors import PreflightError


def write_bytes(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file in place at once and for good.

    Raises:
        PreflightError: the disk is full, read-only, or not ours.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        # A disk that has become read-only refuses this too: the first refusal is the reason.
        with contextlib.suppress(OSError):
            beside.unlink()
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> PreflightError:
    """A file system's refusal in words: full, read-only, not permitted.

    Args:
        error: what the system said.
        path: what was to be written.
    """
    room = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        folder = existing(path.parent)
        room = f" ({shutil.disk_usage(folder).free // 1024} KiB free in {folder} by now)"
    return PreflightError(
        # Named in the sentence: it goes through journals, which keep sentences.
        f"cannot write {path}: {error.strerror or error}{room}",
        hint="free some space (`inferloop-tabular doctor` says how much is needed), make the "
        "folder writable, or choose another with --home",
        code="engine.storage",
    )


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there; a dangling link is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path

"""Files that are whole or absent, whatever is killed and whenever."""

from __future__ import annotations

import os
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
        beside.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> PreflightError:
    """A file system's refusal in words: full, read-only, not permitted.

    Args:
        error: what the system said.
        path: what was to be written.
    """
    return PreflightError(
        f"cannot write {error.filename or path}: {error.strerror or error}",
        where=str(path),
        hint="free some space, make the folder writable, or choose another with --home",
        code="engine.storage",
    )

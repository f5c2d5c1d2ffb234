"""The folder in which a bundle grows: what is in it under its name is whole, whatever was killed.

Files of images are named by their digest, so what an earlier run brought is not brought again. What
is on its way lies apart, and goes on from where it stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabular.deploy.files import existing
from tabular.errors import BusyError, IntegrityError, PreflightError, TabularError

from .contents import Blob

_PARTS = ".parts"
_JOURNAL = ".journal.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Store:
    """A bundle that is not whole yet. Safe to use from several threads, not from two processes.

    Args:
        root: its folder; made where it is not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parts = root / _PARTS
        self.parts.mkdir(parents=True, exist_ok=True)

    @classmethod
    @contextlib.contextmanager
    def at(cls, root: Path) -> Iterator[Store]:
        """The store of a folder, for one process at a time.

        Raises:
            BusyError: another one makes the same bundle.
            PreflightError: the disk is full, read-only, or not ours.
        """
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _lock(descriptor, root)
                yield cls(root)
            finally:
                os.close(descriptor)

    def has(self, blob: Blob) -> bool:
        """Whether a file of an image is there."""
        path = self.root / blob.path
        return path.is_file() and path.stat().st_size == blob.size

    def lacks(self, blob: Blob) -> int:
        """Bytes of it that still have to come."""
        if self.has(blob):
            return 0
        part = self.part(blob)
        return blob.size - min(part.stat().st_size, blob.size) if part.is_file() else blob.size

    def part(self, blob: Blob) -> Path:
        """Where a file of an image lies until it is whole."""
        return self.parts / blob.sha256

    def adopt(self, blob: Blob, where: str) -> None:
        """Give a part its name, once it is what it shall be.

        Raises:
            IntegrityError: it is something else; it is gone then.
        """
        part = self.part(blob)
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if (part.stat().st_size, found) != (blob.size, blob.sha256):
            part.unlink()
            raise IntegrityError(
                f"what came does not have the digest {blob.digest}",
                where=where,
                hint="run the same command again; if it stays so, the image is damaged there",
            )
        self.place(part, blob.path)

    def place(self, source: Path, name: str) -> None:
        """Move a file into the bundle.

        It may still be in memory alone: all is read once more before the bundle gets its name.
        """
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)

    def put(self, name: str, content: bytes) -> None:
        """Write a small file of the bundle."""
        beside = self.parts / name.replace("/", "-")
        beside.write_bytes(content)
        self.place(beside, name)

    def noted(self) -> dict[str, Any]:
        """What earlier runs wrote down; nothing, where a power cut left half of it."""
        try:
            return dict(json.loads((self.root / _JOURNAL).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    def note(self, key: str, value: Any) -> None:
        """Write something down for a later run."""
        said = {**self.noted(), key: value}
        self.put(_JOURNAL, json.dumps(said, sort_keys=True).encode())

    def clear(self, wanted: frozenset[str]) -> None:
        """Remove what is no file of the bundle: earlier wishes, parts, the journal."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            name = path.relative_to(self.root).as_posix()
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # what is in use is not empty
                    path.rmdir()
            elif name not in wanted:
                path.unlink()

    def require(self, needed: int) -> None:
        """Look whether the disk takes what is still to come.

        Args:
            needed: bytes.

        Raises:
            PreflightError: it does not; says how much is missing.
        """
        free = shutil.disk_usage(self.root).free
        if needed > free:
            raise PreflightError(
                f"the disk lacks {megabytes(needed - free)}: {megabytes(needed)} are still "
                f"needed, and {megabytes(free)} are free",
                where=str(existing(self.root)),
                hint="free some space and run the same command again: it goes on where it is; "
                "or name another disk with --output. A folder needs half of what a .tar needs",
                code="engine.storage",
            )


def megabytes(size: int) -> str:
    """A number of bytes for people, rounded up."""
    return f"{-(-size // 100_000) / 10:.1f} MB"


@contextlib.contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn what a file system says into a sentence.

    Raises:
        PreflightError: the disk is full, read-only, or not ours.
    """
    try:
        yield
    except TabularError:
        raise
    except OSError as error:
        full = error.errno in _FULL
        free = f"; {megabytes(shutil.disk_usage(existing(place)).free)} are free" if full else ""
        raise PreflightError(
            f"the bundle cannot be written: {error.strerror or error}{free}",
            where=str(place),
            hint="free some space and run the same command again: it goes on where it is"
            if full
            else "make the folder writable, or name another one with --output",
            code="engine.storage",
        ) from error


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(
            "another command makes this bundle",
            where=str(root),
            hint="wait for it, or name another --output",
        ) from None

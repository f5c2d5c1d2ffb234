"""The embedded driver: blobs are files below one folder, durable when a call returns.

Written against the file system directly, not through an object-store library, because the
guarantees needed here are the file system's: an exclusive create, an atomic rename or link, and
fsync of file and folder, so that an accepted upload survives a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from tabular.errors import UnavailableError
from tabular.infra.storage.backend import BlobExistsError

_CHUNK = 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}
# The folder holds what a service keeps, or backups.
_ELSEWHERE = "name a larger disk: by TABULAR_STORAGE_URL for a service, by --to for a backup"
_HINTS = {
    errno.ENOSPC: f"free some space there, or {_ELSEWHERE}",
    errno.EDQUOT: f"raise the quota there, or {_ELSEWHERE}",
    errno.EACCES: "give the service's user the right to write there",
    errno.EROFS: "mount it writable, or point TABULAR_STORAGE_URL elsewhere",
}


class FileBackend:
    """Blobs as files. Several processes may share the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def where(self) -> str:
        """The folder as a URL."""
        return self._root.as_uri()

    def check_place(self) -> None:
        """A folder that vanished, with its mount for instance, is not one without objects.

        Raises:
            UnavailableError: it is not there.
        """
        if not self._root.is_dir():
            raise UnavailableError(
                "the store cannot read: its folder is not there",
                where=self.where,
                hint="mount it again, or correct TABULAR_STORAGE_URL",
            )

    def write(self, name: str, blocks: Iterator[bytes]) -> None:
        """Stream a new file and sync it; a failure removes it."""
        path = self._path(name)
        try:
            with self._explained("write"):
                descriptor = self._create(path)
        except FileExistsError as error:
            raise UnavailableError("two writes chose the same blob name", where=name) from error
        done = False
        try:
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
                start = 0
                for block in blocks:
                    with self._explained("write"):
                        _write_all(file.fileno(), block)
                        _start_writing_out(file.fileno(), start, len(block))
                    start += len(block)
                with self._explained("write"):
                    os.fsync(file.fileno())
            done = True
        finally:
            if not done:
                self.delete(name)

    def commit(self, name: str, data: bytes, *, create: bool) -> None:
        """Write beside the name, then link (create) or rename (replace) it into place."""
        path = self._path(name)
        scratch = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
        with self._explained("write"):
            try:
                with open(self._create(scratch), "wb") as file:  # noqa: PTH123 - a descriptor
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if create:
                    os.link(scratch, path)
                else:
                    scratch.replace(path)
                _sync_folder(path.parent)
            except FileExistsError:
                raise BlobExistsError(name) from None
            finally:
                scratch.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """The whole file, or None."""
        with self._explained("read"):
            try:
                return self._path(name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def stream(self, name: str) -> Iterator[bytes] | None:
        """The file in chunks of 1 MiB; stays readable when it is deleted meanwhile."""
        with self._explained("read"):
            try:
                file = self._path(name).open("rb", buffering=0)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return self._chunks(file)

    def _chunks(self, file: io.FileIO) -> Iterator[bytes]:
        with file:
            while True:
                with self._explained("read"):
                    chunk = file.read(_CHUNK)
                if not chunk:
                    return
                yield chunk

    def read_range(self, name: str, start: int, length: int) -> bytes | None:
        """Part of the file; shorter at its end."""
        with self._explained("read"):
            try:
                with self._path(name).open("rb", buffering=0) as file:
                    return os.pread(file.fileno(), length, start)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def names(self, folder: str) -> Iterator[tuple[str, float]]:
        """Every file below the folder with its age."""
        now = time.time()
        with self._explained("list"):
            for place, _, files in os.walk(self._root / folder, onerror=_raise_unless_gone):
                for file in files:
                    path = Path(place, file)
                    try:
                        age = now - path.stat().st_mtime
                    except FileNotFoundError:
                        continue
                    yield path.relative_to(self._root).as_posix(), age

    def delete(self, name: str) -> None:
        """Remove the file and the folders it leaves empty."""
        path = self._path(name)
        with self._explained("delete"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            for folder in path.parents:
                if folder == self._root:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break  # not empty: somebody else's objects live there

    def ping(self) -> None:
        """Write, sync and remove a small file."""
        path = self._root / f".ping@{secrets.token_hex(8)}"
        with self._explained("write"):
            try:
                with open(self._create(path), "wb") as file:  # noqa: PTH123 - a descriptor
                    file.write(b"ping")
            finally:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._root / name

    def _create(self, path: Path) -> int:
        """Create a private file; its folder may be pruned by a delete at any moment."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        for _ in range(10):
            with contextlib.suppress(FileNotFoundError):
                self._make_folder(path.parent)
                return os.open(path, flags, 0o600)
        raise FileNotFoundError(errno.ENOENT, "the folder keeps vanishing", str(path))

    def _make_folder(self, folder: Path) -> None:
        """Create a folder and sync each new entry, so that a power cut keeps the path."""
        if folder.is_dir():
            return
        if folder != folder.parent:
            self._make_folder(folder.parent)
        try:
            folder.mkdir(exist_ok=True, mode=0o700)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
        _sync_folder(folder.parent)

    @contextlib.contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        """Turn an error of the file system into the tree's, keeping 'exists' for the caller."""
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            number = error.errno or 0
            reason = "the disk is full" if number in _FULL else (error.strerror or str(error))
            raise UnavailableError(
                f"the store cannot {action}: {reason}",
                where=self.where,
                hint=_HINTS.get(number),
                code="unavailable.disk-full" if number in _FULL else None,
            ) from error


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _start_writing_out(descriptor: int, start: int, length: int) -> None:
    """Let the disk work while the next block is hashed, so that the fsync at the end finds
    little left to do; Linux begins to write out a range that it is told not to keep.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error

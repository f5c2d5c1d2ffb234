"""A bundle that is read: a folder and a tar file look the same from here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tabular.errors import IntegrityError, NotFoundError, PreflightError

from . import archive
from .contents import (
    CONTENTS,
    SUMS,
    Contents,
    digest_of,
    sums_from_bytes,
)

_PIECE = 1024 * 1024
_MAX_SMALL = 64 * 1024 * 1024  # bytes of a file that is read at once


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle.

    Attributes:
        path: of the folder or file.
        files: by name, which file has it, from which byte on, and how many.
        strange: names of what is neither a file nor a folder.
        damage: what is wrong with the archive itself; "" if nothing is.
    """

    path: Path
    files: dict[str, tuple[Path, int, int]]
    strange: tuple[str, ...] = ()
    damage: str = ""

    @classmethod
    def open(cls, path: Path) -> Opened:
        """Look at what is there.

        Raises:
            NotFoundError: there is nothing.
            PreflightError: it cannot be read.
        """
        try:
            return _folder(path) if path.is_dir() else _archive(path)
        except FileNotFoundError as error:
            raise NotFoundError("there is no bundle", where=str(path)) from error
        except OSError as error:
            raise PreflightError(
                f"the bundle cannot be read: {error.strerror or error}", where=str(path)
            ) from error

    def pieces(self, name: str, start: int = 0) -> Iterator[bytes]:
        """A file from some byte on.

        Raises:
            IntegrityError: it is not there, or shorter than it was.
        """
        if name not in self.files:
            raise IntegrityError(f"{name} is missing", where=str(self.path))
        path, offset, size = self.files[name]
        with path.open("rb", buffering=0) as file:
            file.seek(offset + start)
            rest = size - start
            while rest > 0:
                piece = file.read(min(_PIECE, rest))
                if not piece:
                    raise IntegrityError(f"{name} ends early", where=str(self.path))
                rest -= len(piece)
                yield piece

    def read(self, name: str) -> bytes:
        """A whole small file.

        Raises:
            IntegrityError: it is not there, or far too long.
        """
        if name in self.files and self.files[name][2] > _MAX_SMALL:
            raise IntegrityError(f"{name} has {self.files[name][2]} bytes", where=str(self.path))
        return b"".join(self.pieces(name))

    def sha256(self, name: str) -> str:
        """SHA-256 of a file, in hex."""
        found = hashlib.sha256()
        for piece in self.pieces(name):
            found.update(piece)
        return found.hexdigest()

    @property
    def digest(self) -> str:
        """The bundle's own."""
        return digest_of(self.read(SUMS))

    def sums(self) -> dict[str, str]:
        """What each file's SHA-256 has to be.

        Raises:
            IntegrityError: the list is damaged, or there is none.
        """
        return sums_from_bytes(self.read(SUMS), str(self.path))

    def contents(self) -> Contents:
        """What it says of itself.

        Raises:
            IntegrityError: that is damaged, or not there.
            RefusedError: of a newer format.
        """
        return Contents.from_bytes(self.read(CONTENTS), str(self.path))


def _folder(root: Path) -> Opened:
    files, strange = {}, []
    for folder, folders, names in os.walk(root):
        for name in (*names, *folders):
            path = Path(folder, name)
            said = path.relative_to(root).as_posix()
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                strange.append(said)
            elif path.is_file():
                files[said] = (path, 0, path.stat().st_size)
    return Opened(root, files, tuple(sorted(strange)))


def _archive(path: Path) -> Opened:
    files: dict[str, tuple[Path, int, int]] = {}
    length = path.stat().st_size
    with path.open("rb") as file:
        try:
            for member in archive.members(file, length):
                if member.name in files:
                    twice = f"{archive.printable(member.name)} is in it twice"
                    return Opened(path, files, damage=twice)
                files[member.name] = (path, member.offset, member.size)
        except IntegrityError as error:
            return Opened(path, files, damage=error.message)
    return Opened(path, files)

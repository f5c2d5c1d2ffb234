"""A bundle as one tar file: written the same each time, and read so that no byte of it is free.

Tar has room that readers pass over: padding, owners, times. A bundle's has one right form, so a
changed byte is found wherever it is, in a header as in a file.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tabular.errors import IntegrityError

TIME = 315_532_800  # 1980-01-01, before which some archive formats can say no time
_BLOCK = tarfile.BLOCKSIZE
_END = b"\0" * 2 * _BLOCK
_LONG = tarfile.GNUTYPE_LONGNAME
_MAX_NAME = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    Attributes:
        name: its path.
        offset: of its first byte in the archive.
        size: bytes.
    """

    name: str
    offset: int
    size: int


def printable(name: str) -> str:
    """A name that others gave, as text that moves no cursor and ends no line."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()


def header(name: str, size: int) -> bytes:
    """What stands before a file."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, TIME
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def padding(size: int) -> bytes:
    """What stands after a file."""
    return b"\0" * (-size % _BLOCK)


def length(files: Iterable[tuple[str, int]]) -> int:
    """Bytes of an archive of files, by name and size."""
    return sum(len(header(name, size)) + size + -size % _BLOCK for name, size in files) + len(_END)


def write(archive: BinaryIO, files: Iterable[tuple[str, int, Iterable[bytes]]]) -> None:
    """Write an archive.

    Args:
        archive: where to.
        files: name, size and content of each.

    Raises:
        IntegrityError: a file changes meanwhile.
    """
    for name, size, content in files:
        archive.write(header(name, size))
        written = 0
        for piece in content:
            archive.write(piece)
            written += len(piece)
        if written != size:
            raise IntegrityError(f"it changes while it is read: {written} bytes", where=name)
        archive.write(padding(size))
    archive.write(_END)


def members(archive: BinaryIO, length: int) -> Iterator[Member]:
    """The files of an archive, and all between them looked at.

    Args:
        archive: at its beginning.
        length: bytes of it.

    Raises:
        IntegrityError: something is not as `write` writes it; says where.
    """
    at, before = 0, "its beginning"
    while True:
        block = archive.read(_BLOCK)
        if block == _END[:_BLOCK]:
            break
        found, head = _member(archive, block)
        if found is None or head != header(*found):
            raise IntegrityError(f"the archive is damaged at byte {at}, after {before}")
        name, size = found
        offset = at + len(head)
        if offset + size > length:
            raise IntegrityError(f"the archive ends within {printable(name)}")
        yield Member(name, offset, size)
        archive.seek(offset + size)
        if archive.read(-size % _BLOCK) != padding(size):
            raise IntegrityError(f"the archive is damaged right after {printable(name)}")
        at, before = offset + size + (-size % _BLOCK), printable(name)
    if archive.read(_BLOCK + 1) != _END[_BLOCK:]:
        raise IntegrityError(f"the archive is damaged at its end, after {before}")


def _member(archive: BinaryIO, block: bytes) -> tuple[tuple[str, int] | None, bytes]:
    """Name and size of the next file, None if they cannot be read; and the bytes that say so."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if info.type != _LONG:
            return (info.name, info.size), block
        if not 0 < info.size <= _MAX_NAME:
            return None, block
        text = archive.read(info.size + -info.size % _BLOCK)
        last = archive.read(_BLOCK)
        name = text.rstrip(b"\0").decode()
        return (name, tarfile.TarInfo.frombuf(last, "utf-8", "strict").size), block + text + last
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError):
        return None, block

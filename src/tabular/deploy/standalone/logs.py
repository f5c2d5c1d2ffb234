"""Logs of the processes: kept small, and read back line by line."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tabular.deploy.provider import LogLine
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.logtimes import time_of

LARGEST = 16 * 1024 * 1024
_INTERVAL = 0.2


def _moved_aside(file: Path) -> Path:
    return file.with_suffix(".log.1")


def rotate(layout: Layout, largest: int = LARGEST) -> None:
    """Move what is too large aside, once; processes append, so they go on at the new end.

    Args:
        layout: paths.
        largest: bytes.
    """
    for file in _files(layout):
        if file.stat().st_size > largest:
            shutil.copyfile(file, _moved_aside(file))
            os.truncate(file, 0)


def _line(component: str, raw: bytes) -> LogLine:
    text = raw.decode(errors="replace")
    return LogLine(component, text, time_of(text))


def _files(layout: Layout) -> list[Path]:
    return sorted((layout.state / "logs").glob("*.log"))


class _Reader:
    """Reads one log: its end first, then what is added, past rotations and removals.

    The file is held open, so its last lines are read even if it is removed meanwhile.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream: BinaryIO = file.open("rb")
        self._rest = b""

    def tail(self, count: int) -> list[bytes]:
        """The last whole lines; :meth:`added` goes on after them."""
        start = end = self._stream.seek(0, os.SEEK_END)
        block = b""
        while start > 0 and block.count(b"\n") <= count:
            step = min(65_536, start)
            start -= step
            self._stream.seek(start)
            block = self._stream.read(step) + block
        self._stream.seek(end)
        whole, newline, self._rest = block.rpartition(b"\n")
        lines = whole.split(b"\n") if newline else []
        return lines[-count:] if count else []

    def added(self) -> list[bytes]:
        """Whole lines that were written since the last look."""
        block = self._read_on()
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return self._lines(block)
        if status.st_ino != os.fstat(self._stream.fileno()).st_ino:
            self._stream.close()
            self._stream = self._file.open("rb")
            block += self._read_on()
        return self._lines(block)

    def _read_on(self) -> bytes:
        seen = self._stream.tell()
        block = b""
        if os.fstat(self._stream.fileno()).st_size < seen:
            # Rotated: what was written between the last look and that is in the copy.
            try:
                with _moved_aside(self._file).open("rb") as copy:
                    copy.seek(seen)
                    block = copy.read()
            except FileNotFoundError:
                # Emptied by hand, and not by us: there is no copy.
                block = b""
            self._stream.seek(0)
        return block + self._stream.read()

    def _lines(self, block: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + block).split(b"\n")
        return lines

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()


def read(layout: Layout, *, follow: bool, tail: int) -> Iterator[LogLine]:
    """The last ``tail`` lines of each component, then new ones while ``follow``.

    Following ends when the deployment is destroyed, after its last line.
    """
    readers: dict[Path, _Reader] = {}
    try:
        yield from _open_new(layout, readers, tail)
        while follow:
            there = layout.state.exists()
            yield from _open_new(layout, readers, None)
            for file, reader in readers.items():
                for raw in reader.added():
                    yield _line(file.stem, raw)
            if not there:
                return
            time.sleep(_INTERVAL)
    finally:
        for reader in readers.values():
            reader.close()


def _open_new(layout: Layout, readers: dict[Path, _Reader], tail: int | None) -> Iterator[LogLine]:
    """Open logs not read so far: at their last ``tail`` lines, or at their beginning."""
    for file in _files(layout):
        if file in readers:
            continue
        try:
            readers[file] = _Reader(file)
        except FileNotFoundError:
            # Removed between the look and the opening.
            continue
        for raw in () if tail is None else readers[file].tail(tail):
            yield _line(file.stem, raw)

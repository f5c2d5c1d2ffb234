"""Logs of the processes: kept small, and read back line by line."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tabular.deploy.provider import LogLine
from tabular.deploy.standalone.layout import Layout

LARGEST = 16 * 1024 * 1024
_INTERVAL = 0.2


def rotate(layout: Layout, largest: int = LARGEST) -> None:
    """Move what is too large aside, once; processes append, so they go on at the new end.

    Args:
        layout: paths.
        largest: bytes.
    """
    for file in (layout.state / "logs").glob("*.log"):
        if file.stat().st_size > largest:
            shutil.copyfile(file, file.with_suffix(".log.1"))
            os.truncate(file, 0)


def _line(component: str, raw: bytes) -> LogLine:
    text = raw.decode(errors="replace")
    time_of = None
    if text.startswith("{"):
        try:
            stamp = json.loads(text).get("time")
            time_of = datetime.fromisoformat(stamp) if isinstance(stamp, str) else None
        except ValueError:
            # A line that only looks like JSON is shown as it is, without a time.
            time_of = None
    return LogLine(component, text, time_of)


def _files(layout: Layout) -> list[Path]:
    return sorted((layout.state / "logs").glob("*.log"))


def _tail(file: Path, tail: int) -> tuple[list[bytes], int]:
    """The last whole lines of a file, and the byte after them."""
    with file.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        start, block = end, b""
        while start > 0 and block.count(b"\n") <= tail:
            step = min(65_536, start)
            start -= step
            stream.seek(start)
            block = stream.read(step) + block
    whole, newline, _ = block.rpartition(b"\n")
    lines = whole.split(b"\n") if newline else []
    return (lines[-tail:] if tail else []), start + len(whole) + len(newline)


def read(layout: Layout, *, follow: bool, tail: int) -> Iterator[LogLine]:
    """The last ``tail`` lines of each component, then new ones for ever if ``follow``."""
    offsets: dict[Path, int] = {}
    for file in _files(layout):
        lines, offsets[file] = _tail(file, tail)
        for raw in lines:
            yield _line(file.stem, raw)
    while follow and layout.state.exists():
        for file in _files(layout):
            offset = offsets.get(file, 0)
            if file.stat().st_size < offset:
                offset = 0
            with file.open("rb") as stream:
                stream.seek(offset)
                block = stream.read()
            whole, newline, _ = block.rpartition(b"\n")
            offsets[file] = offset + len(whole) + len(newline)
            for raw in whole.split(b"\n") if newline else ():
                yield _line(file.stem, raw)
        time.sleep(_INTERVAL)

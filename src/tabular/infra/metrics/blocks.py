"""Room for the files that the processes of one machine share their metrics through.

prometheus_client makes each file longer than it writes and maps it into memory. On a full disk
the first write to a block that the disk does not have kills the process with SIGBUS, which no
handler can mend, and again each time it is started. So blocks are really taken before the library
maps them, and where there are none the metric goes without that series until there is room.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from pathlib import Path

_LOG = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
FIRST = 1 << 16  # bytes; the library doubles from what it finds
AHEAD = 1 << 14  # bytes that the samples of one new set of labels take at most
SETTLED = 60.0  # seconds
_USED = struct.Struct("i")  # the first bytes of a file say how many of it are used


class Blocks:
    """The blocks of this process's files.

    Args:
        folder: that all processes share; None where each tells of itself alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._refused = False

    def taken(self, kind: str) -> bool:
        """Have room for one more set of labels; False when the disk has none.

        Args:
            kind: of file, as the library names it: ``counter``, ``histogram``, ``gauge_livesum``.
        """
        if self._folder is None:
            return True
        try:
            _extend(self._folder / f"{kind}_{os.getpid()}.db")
        except OSError as error:
            if not self._refused:
                _LOG.warning("metrics are incomplete: %s: %s", self._folder, error.strerror)
            self._refused = True
            return False
        if self._refused:
            _LOG.info("there is room for metrics again")
        self._refused = False
        return True


def _extend(file: Path) -> None:
    if not file.exists():
        # Under another name first: a scrape must not meet a file without its head.
        part = file.with_suffix(".part")
        try:
            _allocate(part, FIRST)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(file)
    size, used = file.stat().st_size, _used(file)
    wanted = FIRST
    while wanted < used + AHEAD:
        wanted *= 2
    if size < wanted:
        try:
            _allocate(file, wanted)
        except OSError:
            os.truncate(file, size)
            raise


def _allocate(file: Path, size: int) -> None:
    with file.open("ab") as stream:
        os.posix_fallocate(stream.fileno(), 0, size)


def _used(file: Path) -> int:
    with file.open("rb") as stream:
        head = stream.read(_USED.size)
    return int(_USED.unpack(head)[0]) if len(head) == _USED.size else 0


def give_back(file: Path) -> None:
    """Free the blocks that a process which has ended took and never used.

    Not soon after: a new process may have been given the same id and be about to map the file.
    """
    found, used = file.stat(), _used(file)
    if found.st_size > used > 0 and time.time() - found.st_mtime > SETTLED:
        os.truncate(file, used)

"""How much memory one table may take: files from strangers claim any size."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np

from tabular.errors import TooLargeError

MAX_TABLE_BYTES = 16 << 30
"""What a table may take in memory on the largest machine."""

_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def table_limit() -> int:
    """Bytes that a table may take here: half of what the machine, container or limit gives."""
    given = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if address_space_is_limited():
        given.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    if _GROUP_LIMIT.is_file():
        stated = _GROUP_LIMIT.read_text().strip()
        if stated.isdecimal():
            given.append(int(stated))
    return min(MAX_TABLE_BYTES, min(given) // 2)


def address_space_is_limited() -> bool:
    """Whether ``ulimit -v`` holds here: then each thread takes 64 MiB of it for its heap alone."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def require_room(size: int) -> None:
    """Finds out whether an allocation of that many bytes would succeed now, and lets it go.

    Arrow's CSV parser does not look at the outcome of the allocations for its own buffers: where
    they fail the process is aborted. Asked beforehand, the same lack is an exception.

    Raises:
        MemoryError: it would not.
    """
    np.empty(size, np.uint8)


class Budget:
    """Counts the bytes that a table takes while it is read.

    Args:
        limit: bytes allowed.
        where: the file, for the message.
    """

    def __init__(self, limit: int, where: str) -> None:
        self._limit, self._where, self._spent = limit, where, 0

    def spend(self, size: int) -> None:
        """Takes `size` bytes more.

        Raises:
            TooLargeError: more than is left.
        """
        self._spent += size
        if self._spent > self._limit:
            raise TooLargeError(
                f"the table would take at least {self._spent:,} bytes of memory, "
                f"more than the {self._limit:,} allowed",
                where=self._where,
                hint="take a sample of its rows, or fewer columns",
            )

    def foresee(self, size: int) -> None:
        """Refuses a table of at least `size` bytes in all before anything of it is read.

        Raises:
            TooLargeError: more than is allowed.
        """
        Budget(self._limit, self._where).spend(size)

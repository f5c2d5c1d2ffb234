"""A disk that is small, really: a file system in memory, mounted for the time of a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.parts import missing

PAGE = 4096


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A folder that takes no more than `size`, e.g. ``3m``; mark its tests ``root``.

    Root mounts it. Who is not root can run the tests in a user namespace: ``unshare -rm pytest``.
    """
    if os.geteuid() != 0:
        missing("mounting a small disk needs root: run the tests as root, or by `unshare -rm`")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"cannot mount a small disk here: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, room: int = 0) -> Path:
    """Fill the disk but for `room` bytes; removing the file given back empties it again."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as stream:
        while (free := os.statvfs(folder).f_bavail * PAGE - room) > 0:
            stream.write(b"\0" * min(free, 1024 * 1024))
    return filler

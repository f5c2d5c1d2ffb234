"""Which process is which: a pid alone says nothing, because pids are used again.

A process is known by its pid together with the moment of its birth, counted in ticks since boot
(setting the clock does not change it) and the boot's own id. One that was started but not yet
written down when its supervisor was killed is found by a mark in its environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "INFERLOOP_TABULAR_SLOT"


def birth(pid: int) -> str | None:
    """What tells this process from any other that had or will have its pid; None if it is gone.

    A zombie counts as gone: it serves nobody.
    """
    if sys.platform != "linux":
        try:
            process = psutil.Process(pid)
            dead = process.status() == psutil.STATUS_ZOMBIE
            return None if dead else f"{process.create_time():.3f}"
        except psutil.Error:
            return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # Fields after the parenthesized name, which may itself hold spaces: proc(5).
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot()}:{fields[19]}"


def boot() -> str:
    """Id of this boot of the machine; another after each start, "" where there is none."""
    if sys.platform != "linux":
        return ""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def is_alive(pid: int | None, born: str) -> bool:
    """Whether exactly that process still runs."""
    return pid is not None and birth(pid) == born


def _marked() -> Iterator[tuple[int, int, str]]:
    mine = os.getuid()
    for process in psutil.process_iter():
        try:
            if mine not in (0, process.uids().real):
                continue
            mark = process.environ().get(MARK)
            if mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid, process.ppid(), mark
        except (psutil.Error, OSError):
            # It ended while we looked, or it is not ours to look at.
            continue


def find(prefix: str) -> dict[str, list[int]]:
    """Living processes by mark, for marks that begin with ``prefix``.

    The first pid of each list is the head: the one whose parent does not carry the same mark.
    Its own children, which inherited the mark, follow.
    """
    found: dict[str, list[int]] = {}
    parents: dict[int, int] = {}
    for pid, parent, mark in _marked():
        if mark.startswith(prefix):
            found.setdefault(mark, []).append(pid)
            parents[pid] = parent
    for pids in found.values():
        pids.sort(key=lambda pid, family=frozenset(pids): (parents[pid] in family, pid))  # type: ignore[misc]
    return found

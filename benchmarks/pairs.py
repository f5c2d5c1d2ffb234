"""Commands beside each other: each in a process of its own, in turn, so that the ratio is fair.

Whatever else the machine does meets both sides of a pair alike. Seconds on a processor are of the
command and of what it starts.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Took:
    """What one process took, its own processes included, in seconds.

    Attributes:
        wall: from its start to its end.
        processor: of that on a processor, whatever else the machine did.
    """

    wall: float
    processor: float


@dataclass(frozen=True)
class Asked:
    """A command that is timed, and what it says when it did what is measured.

    Attributes:
        says: a part of its output.
        run: runs it.
    """

    says: str
    run: Callable[[], subprocess.CompletedProcess[str]]

    def took(self) -> Took:
        """Run it in a process of its own."""
        before, start = _processor_seconds(), time.perf_counter()
        done = self.run()
        found = Took(time.perf_counter() - start, _processor_seconds() - before)
        if done.returncode or self.says not in done.stdout:
            raise SystemExit(f"{self.says!r} was not said:\n{done.stdout}\n{done.stderr}")
        return found


def _processor_seconds() -> float:
    """Of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_turn(rows: Mapping[str, Sequence[Asked]], rounds: int) -> dict[str, list[tuple[Took, ...]]]:
    """Each row's commands one after the other, round by round; the first round fills caches.

    Args:
        rows: commands by what they do.
        rounds: that count.
    """
    times: dict[str, list[tuple[Took, ...]]] = {name: [] for name in rows}
    for number in range(rounds + 1):
        for name, commands in rows.items():
            found = tuple(one.took() for one in commands)
            if number:
                times[name].append(found)
    return times


def table(times: Mapping[str, list[tuple[Took, ...]]], theirs: str) -> list[str]:
    """Pairs as a table: medians and ranges of both, and of the ratio of each pair.

    Args:
        times: pairs, ours first.
        theirs: what ours is held against.
    """
    lines = [
        f"| median (range) | inferloop-tabular | {theirs} | ours / theirs |",
        "|---|---|---|---|",
    ]
    for name, found in times.items():
        wall = [(ours.wall, other.wall) for ours, other in found]
        processor = [(ours.processor, other.processor) for ours, other in found]
        lines += [_row(name, wall), _row(f"{name}, on a processor", processor)]
    return lines


def _row(name: str, found: Sequence[tuple[float, float]]) -> str:
    ours, theirs = ([pair[side] for pair in found] for side in (0, 1))
    ratios = [mine / yours for mine, yours in found]
    return f"| {name} | {spread(ours)} | {spread(theirs)} | {spread(ratios)} |"


def spread(numbers: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(numbers):.2f} ({min(numbers):.2f}-{max(numbers):.2f})"

"""Commands beside each other: each in a process of its own, in turn, so that the ratio is fair.

Whatever else the machine does meets both sides of a pair alike. Seconds on a processor are of the
command and of what it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import append
from tabular.deploy.provider import Provider
from tabular.deploy.spec import Deployment, Overrides, load
from tabular.deploy.stack import Stack
from tests.cli.command import COMMAND

BUSY = 1.0  # load above which others used the machine as well


def main(program: str, doc: str, measured: Callable[[Path, int, float], list[str]]) -> None:
    """Measure, show the tables, and append them.

    Args:
        program: name of the module.
        doc: its docstring.
        measured: the lines to write, from an empty folder, the number of rounds and the load of
            the machine at the start.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=doc)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--show", action="store_true", help="do not append to RESULTS.md")
    asked = parser.parse_args()
    load_at_start = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tabular-bench-") as name:
        lines = measured(Path(name), asked.rounds, load_at_start)
    print("\n".join(lines))
    if not asked.show:
        append("\n".join(lines) + "\n")


def others(load_at_start: float) -> str:
    """What a reader has to know of a machine that did something else as well."""
    if load_at_start <= BUSY:
        return ""
    return (
        " Others used the machine as well: what counts are the ratios, since each pair met the "
        "same machine, and the seconds on a processor."
    )


def described(spec: Mapping[str, Any], folder: Path) -> tuple[Path, Deployment]:
    """A spec as a file for commands, and as it is read from there."""
    file = folder / "deployment.json"
    file.write_text(json.dumps(spec))
    return file, load(file, Overrides()).deployment


def deployed(provider: Provider, deployment: Deployment, least: int) -> Stack:
    """Bring a deployment, to its end.

    Raises:
        SystemExit: it has fewer resources than make a benchmark.
    """
    stack = provider.compile(deployment)
    for _ in provider.engine.apply(provider.engine.preview(stack)):
        pass
    if len(stack.resources) < least:
        raise SystemExit(f"only {len(stack.resources)} resources: too few for this benchmark")
    return stack


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


def ours(home: Path, says: str, *arguments: str, extra: Mapping[str, str] | None = None) -> Asked:
    """A command of ours, with nothing of this process's environment but what is said."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return command(says, str(COMMAND), *arguments, environment={**environment, **(extra or {})})


def command(says: str, *words: str, environment: Mapping[str, str]) -> Asked:
    """Any command, as it is timed."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    return Asked(says, run)


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

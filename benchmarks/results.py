"""What all benchmarks write alike: the machine and the versions, at the end of one file."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
from pathlib import Path

import tabular

RESULTS = Path(__file__).parent / "RESULTS.md"


def heading(subject: str, load: float, tools: str, words: str) -> str:
    """The beginning of a benchmark's section.

    Args:
        subject: what is measured.
        load: of the machine when the benchmark began, as `os.getloadavg` tells it.
        tools: that take part, with their versions; Python is named anyway.
        words: what a reader of the tables below has to know.
    """
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"\n## {now}: {subject}, inferloop-tabular {tabular.__version__}\n\n"
        f"{_processor()}, {os.cpu_count()} cores, load {load:.1f} at the start; "
        f"Python {platform.python_version()}, {tools}. {words}".rstrip()
        + "\n"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def append(text: str) -> None:
    """Write a section behind those of before."""
    if not RESULTS.exists():
        RESULTS.write_text("# Benchmark results\n\nNewest last. `make bench` appends.\n")
    with RESULTS.open("a") as file:
        file.write(text)
    print(f"appended to {RESULTS}", file=sys.stderr)

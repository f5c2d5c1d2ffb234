"""`python -m benchmarks.service`: measures the service's parts, appends to RESULTS.md."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform

import obstore

import tabular
from benchmarks.service import overhead, storage
from benchmarks.synth.__main__ import _append, _processor

PARTS = {"overhead": overhead.measure, "storage": storage.measure}


def main() -> None:
    """Runs every part, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
    lines = [_heading()]
    for part in asked.parts:
        lines += PARTS[part]()
    _append("\n".join(lines) + "\n")


def _heading() -> str:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"\n## {now}: service, inferloop-tabular {tabular.__version__}\n\n"
        f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"Python {platform.python_version()}, obstore {obstore.__version__}.\n"
    )


if __name__ == "__main__":
    main()

"""`python -m benchmarks.service`: measures the service's parts, appends to RESULTS.md."""

from __future__ import annotations

import argparse
import os

import obstore

from benchmarks.results import append, heading
from benchmarks.service import overhead, storage

PARTS = {"overhead": overhead.measure, "storage": storage.measure}


def main() -> None:
    """Runs every part, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
    lines = [heading("service", os.getloadavg()[0], f"obstore {obstore.__version__}", "")]
    for part in asked.parts:
        lines += PARTS[part]()
    append("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.scale`: rows per second of 1, 2 and 4 processes; appends to RESULTS.md.

Once as child processes of a command that writes a file, once as workers of the service that write
to its object store. The limit beside them is one process that does nothing but write the same rows
to Parquet, there. Rounds go through all of them in turn, so that what else the machine does meets
each alike.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.results import append, heading
from benchmarks.scale import service
from benchmarks.scale.limit import drawn, write_again
from tabular.synth import Synthesizer
from tabular.worker.executors import LocalProcesses, write

WORKERS = (1, 2, 4)


def main() -> None:
    """Measures, compares the bytes, appends a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    lines = [_heading(asked.rows, asked.rounds, os.getloadavg()[0])]
    table = _table()
    with tempfile.TemporaryDirectory(prefix="tabular-scale-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL has a user of its own
        model = Synthesizer().fit(table)
        found = _measured(model, folder, asked.rows, asked.rounds)
        lines += _shown("child processes, to a file", asked.rows, *found)
        found = service.measured(model, table, folder, asked.rows, asked.rounds, WORKERS)
        lines += _shown("workers of the service, to S3", asked.rows, *found)
    print("\n".join(lines))
    append("\n".join(lines))


def _shown(what: str, rows: int, times: dict[str, list[float]], digests: set[str]) -> list[str]:
    """The lines of one table."""
    lines = [f"| {what} | rows/s, median (range) | share of the limit |", "|---|---|---|"]
    limit = statistics.median(times["limit"])
    for name, seconds in times.items():
        rates = sorted(rows / one for one in seconds)
        middle = statistics.median(rates)
        share = limit / statistics.median(seconds)
        lines.append(f"| {name} | {middle:,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f}) | {share:.2f} |")
    return [*lines, f"\nDifferent files made by them: {len(digests)} (1 is right).\n"]


def _measured(
    model: Synthesizer, folder: Path, rows: int, rounds: int
) -> tuple[dict[str, list[float]], set[str]]:
    path = folder / "rows.parquet"
    batches = drawn(model, rows)
    digests = set()
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        times.setdefault("limit", []).append(
            _timed(lambda: write_again(path, model, batches, rows))
        )
        for count in WORKERS:
            with LocalProcesses(model.to_bytes(), count) as executor:
                name = f"{count} process" + ("es" if count > 1 else "")
                times.setdefault(name, []).append(_timed(_drawing(executor, model, path, rows)))
            with path.open("rb") as stream:
                digests.add(hashlib.file_digest(stream, "sha256").hexdigest())
    return times, digests


def _drawing(
    executor: LocalProcesses, model: Synthesizer, path: Path, rows: int
) -> Callable[[], object]:
    return lambda: write(executor, model, path, rows)


def _timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _table() -> pa.Table:
    random = np.random.default_rng(0)
    count = 50_000
    size = random.gamma(2.0, 10.0, count)
    return pa.table(
        {
            "size": size.round(2),
            "price": (size * random.lognormal(0, 0.3, count) * 100).astype(np.int64),
            "colour": random.choice(["red", "green", "blue", "grey"], count),
            "cut": random.choice(["good", "fair", "ideal"], count),
            "depth": random.normal(60, 2, count).round(1),
            "width": (size / 3 + random.normal(0, 0.2, count)).round(2),
            "day": pa.array(random.integers(0, 3650, count).astype(np.int32)).cast(pa.date32()),
            "sold": random.random(count) < 0.4,
        }
    )


def _heading(rows: int, rounds: int, load: float) -> str:
    return heading(
        "scale",
        load,
        f"pyarrow {pa.__version__}",
        f"{rows:,} rows of 8 columns to "
        f"Parquet, {rounds} rounds; the limit is one process that writes rows drawn before. More "
        f"processes than cores cannot be quicker. The start of child processes (0.5 s) is counted, "
        f"that of workers is not; the service's PostgreSQL, SeaweedFS, Valkey and API share the "
        f"cores.",
    )


if __name__ == "__main__":
    main()

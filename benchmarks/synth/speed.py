"""Times one engine on one table, one core: run as a process of its own, prints JSON.

The floor writes the same number of rows with every column drawn independently of the others: no
joint model can be quicker with this writer.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tabular.synth import Synthesizer
from tabular.synth.encoding import encode, is_ordered
from tabular.synth.tables import TableWriter

REPEATS = 5
BATCH = 16384


def main() -> None:
    """Arguments: table file, engine or ``floor``, preset, rows."""
    path, engine, preset, rows = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    table = pq.read_table(path)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.parquet"
        if engine == "floor":
            found = {"write": _timed(lambda seed: _independent(table, rows, seed, out))}
        else:
            found = {"fit": _timed(lambda _: Synthesizer(engine, preset).fit(table))}
            model = Synthesizer(engine, preset).fit(table)
            model.write(out, BATCH)
            found["write"] = _timed(lambda seed: model.write(out, rows, seed=seed))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({**found, "peak_mb": peak}))


def _timed(work: Callable[[int], object]) -> dict[str, float]:
    """Median and range of CPU seconds, and median of wall seconds, after one warm-up."""
    work(0)
    cpu, wall = [], []
    for seed in range(1, REPEATS + 1):
        began, spent = time.perf_counter(), time.process_time()
        work(seed)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    return {
        "cpu": statistics.median(cpu),
        "cpu_min": min(cpu),
        "cpu_max": max(cpu),
        "wall": statistics.median(wall),
    }


def _independent(table: pa.Table, rows: int, seed: int, out: Path) -> None:
    random = np.random.Generator(np.random.SFC64(seed))
    columns = [
        encode(name, table[name], ordered=is_ordered(table[name].type))
        for name in table.column_names
    ]
    with TableWriter(out, table.schema.remove_metadata()) as writer:
        for first in range(0, rows, BATCH):
            size = min(BATCH, rows - first)
            arrays = []
            for codec, index in columns:
                drawn = index.take(random.integers(0, len(index), size))
                arrays.append(codec.decode_index(drawn.astype(np.intp), dictionary=True))
            writer.write(pa.RecordBatch.from_arrays(arrays, table.column_names))


if __name__ == "__main__":
    main()

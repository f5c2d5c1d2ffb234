"""`python -m benchmarks.synth`: fits, samples, measures, appends to RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import append, heading
from benchmarks.synth import measures
from benchmarks.synth.prepare import TABLES, environment, prepare
from tabular.synth import Synthesizer

PEERS_HOME = Path(__file__).parent.parent / ".venv-sdv"
PEER_PACKAGES = ("sdv>=2", "sdmetrics", "pyarrow")
TARGETS = {"census": "loan", "diamonds": "price", "flights": "arr_delay"}
SEEDS = (1, 2, 3, 4, 5)
SPEED_ROWS = 1_000_000


def main() -> None:
    """Parses the flags and runs what they ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synth", description=__doc__)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument(
        "--engines",
        default="trees:balanced,trees:fidelity,trees:private,bayes:balanced",
        help="engine:preset, comma separated",
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="samples measured")
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--skip-quality", action="store_true")
    parser.add_argument("--peers", action="store_true", help="also SDV, in an environment apart")
    asked = parser.parse_args()
    folder, tables = prepare(), asked.tables.split(",")
    engines = [tuple(engine.split(":")) for engine in asked.engines.split(",")]
    lines = [
        heading(
            "synthesizers",
            os.getloadavg()[0],
            f"pyarrow {pa.__version__}",
            "Half of each table to fit, half as holdout.",
        )
    ]
    if not asked.skip_speed:
        lines += _speed(folder, tables, engines)
    if not asked.skip_quality:
        lines += _quality(folder, tables, engines, SEEDS[: asked.seeds])
    if asked.peers:
        lines += _peers(folder, tables)
    append("\n".join(lines) + "\n")


def _speed(folder: Path, tables: list[str], engines: list[tuple[str, ...]]) -> list[str]:
    lines = [
        "Speed on one core, median (range) of CPU seconds; "
        f"writing {SPEED_ROWS:,} rows to Parquet.\n",
        "| table | engine | fit | write | write / floor | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for table in tables:
        floor = _run_speed(folder, table, "floor", "-")
        least = floor["write"]["cpu"]
        lines.append(
            f"| {table} | independent columns (floor) | | {_spread(floor['write'])} | 1 | "
            f"{floor['peak_mb']} |"
        )
        for engine, preset in engines:
            found = _run_speed(folder, table, engine, preset)
            ratio = found["write"]["cpu"] / least
            lines.append(
                f"| {table} | {engine} {preset} | {_spread(found['fit'])} | "
                f"{_spread(found['write'])} | {ratio:.1f} | {found['peak_mb']} |"
            )
            print(lines[-1], flush=True)
    return [*lines, ""]


def _run_speed(folder: Path, table: str, engine: str, preset: str) -> dict[str, Any]:
    path = folder / f"{table}_train.parquet"
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = ["-m", "benchmarks.synth.speed", str(path), engine, preset, str(SPEED_ROWS)]
    done = subprocess.run(
        [sys.executable, *command], check=True, capture_output=True, env={**os.environ, **one}
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _spread(times: dict[str, float]) -> str:
    return f"{times['cpu']:.3f} ({times['cpu_min']:.3f}-{times['cpu_max']:.3f})"


def _quality(
    folder: Path, tables: list[str], engines: list[tuple[str, ...]], seeds: tuple[int, ...]
) -> list[str]:
    lines = [
        f"Quality, mean ± standard deviation of {len(seeds)} seeds; "
        "each sample as large as the training half.\n",
        "| table | engine | pair similarity | detection AUC | utility (real) | "
        "nearer to training | copies of training / holdout |",
        "|---|---|---|---|---|---|---|",
    ]
    for table in tables:
        train = pd.read_parquet(folder / f"{table}_train.parquet")
        holdout = pd.read_parquet(folder / f"{table}_holdout.parquet")
        arrow = pq.read_table(folder / f"{table}_train.parquet")
        real: float | None = None
        for engine, preset in engines:
            model = Synthesizer(engine, preset).fit(arrow)
            found = []
            for seed in seeds:
                drawn = model.sample(len(train), seed=seed).to_pandas()
                tables_of = measures.Tables.of(train, holdout, drawn)
                found.append(_measured(tables_of, TARGETS[table]))
                if real is None:
                    coded = measures.Coded.of(tables_of)
                    real = measures.utility(coded, TARGETS[table], real=True)
            lines.append(_quality_row(table, f"{engine} {preset}", found, real or 0.0))
            print(lines[-1], flush=True)
    return [*lines, ""]


def _measured(tables: measures.Tables, target: str) -> dict[str, float]:
    coded = measures.Coded.of(tables)
    train, holdout = measures.exact_copies(coded)
    return {
        "pairs": measures.pair_similarity(tables),
        "detection": measures.detection(coded),
        "utility": measures.utility(coded, target),
        "nearer": measures.nearer_to_training(coded),
        "copies": train,
        "copies_holdout": holdout,
    }


def _quality_row(table: str, name: str, found: list[dict[str, float]], real: float) -> str:
    def cell(key: str) -> str:
        values = [one[key] for one in found]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        return f"{statistics.mean(values):.4f} ± {spread:.4f}"

    return (
        f"| {table} | {name} | {cell('pairs')} | {cell('detection')} | "
        f"{cell('utility')} ({real:.4f}) | {cell('nearer')} | "
        f"{cell('copies')} / {cell('copies_holdout')} |"
    )


def _peers(folder: Path, tables: list[str]) -> list[str]:
    python = environment(PEERS_HOME, PEER_PACKAGES)
    here = Path(__file__).parent
    lines = [
        f"Peer: SDV GaussianCopula, one run, CPU seconds; {SPEED_ROWS:,} rows in memory.\n",
        "| table | fit | sample | pair similarity | detection AUC | utility | "
        "nearer to training | sdmetrics overall (trees balanced) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for table in tables:
        train, out = folder / f"{table}_train.parquet", folder / f"{table}_sdv.parquet"
        ours = folder / f"{table}_trees.parquet"
        times = _json(python, here / "peer_sdv.py", train, SPEED_ROWS, out)
        real = pq.read_table(train)
        Synthesizer().fit(real).write(ours, real.num_rows, seed=SEEDS[0])
        scores = [
            _json(python, here / "peer_sdmetrics.py", train, made)["overall"]
            for made in (out, ours)
        ]
        holdout = pd.read_parquet(folder / f"{table}_holdout.parquet")
        measured = measures.Tables.of(pd.read_parquet(train), holdout, pd.read_parquet(out))
        found = _measured(measured, TARGETS[table])
        lines.append(
            f"| {table} | {times['fit']:.1f} | {times['sample']:.1f} | {found['pairs']:.4f} | "
            f"{found['detection']:.4f} | {found['utility']:.4f} | {found['nearer']:.4f} | "
            f"{scores[0]:.3f} ({scores[1]:.3f}) |"
        )
        print(lines[-1], flush=True)
    return [*lines, ""]


def _json(python: str, script: Path, *arguments: object) -> dict[str, float]:
    """What a peer's script prints on its last line."""
    command = [python, str(script), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()

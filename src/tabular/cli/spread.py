"""Options that say where rows are drawn: in this process, in several, or on a Dask cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.bars import bar
from tabular.cli.output import print_json, stdout
from tabular.errors import UsageError

DASK = "dask"

SchedulerFlag = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Address of a Dask scheduler, such as tcp://host:8786: its workers draw the rows.",
    ),
]
ProcessesFlag = Annotated[
    int, typer.Option("--workers", min=1, help="Processes that draw rows; the file is the same.")
]


def require_scheduler(engine: str | None, scheduler: str | None) -> None:
    """Refuse ``--engine dask`` without the address of a cluster.

    Raises:
        UsageError: see above.
    """
    if engine == DASK and scheduler is None:
        raise UsageError(
            "--engine dask needs the address of a scheduler",
            where="--scheduler",
            hint="add --scheduler tcp://HOST:8786, or leave --engine out and use --workers N",
        )


def draw(
    synthesizer: Any,
    out: Path,
    rows: int,
    *,
    seed: int,
    began: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Draw rows into a file before somebody's eyes, and say what came of it.

    Args:
        synthesizer: the model.
        out: the file.
        rows: how many.
        seed: of the rows.
        began: when the command did, as `time.perf_counter` tells it.
        as_json: whether the answer is for a program.
        options: as for `_written`.
    """
    with bar(f"sampling {out.name}") as progress:
        count = _written(synthesizer, out, rows, progress=progress, seed=seed, **options)
    seconds = time.perf_counter() - began
    if as_json:
        print_json({"out": str(out), "rows": count, "seed": seed, "seconds": round(seconds, 3)})
        return
    stdout.print(f"wrote {count:,} rows in {seconds:.1f} s to {escape(str(out))}")


def _written(
    synthesizer: Any,
    out: Path,
    rows: int,
    *,
    workers: int,
    scheduler: str | None,
    progress: Callable[[float], None],
    **options: Any,
) -> int:
    """Draw rows into a file, with what the options ask for; the same bytes by each.

    Args:
        synthesizer: the model.
        out: the file.
        rows: how many.
        workers: processes of this machine.
        scheduler: of a Dask cluster, which then draws the rows.
        progress: called with the fraction done.
        options: as for `Synthesizer.write`.

    Returns:
        The rows written.
    """
    if workers == 1 and scheduler is None:
        count: int = synthesizer.write(out, rows, progress=progress, **options)
        return count
    from tabular.worker.executors import DaskCluster, Executor, LocalProcesses, write

    model = synthesizer.to_bytes()
    executor: Executor = (
        LocalProcesses(model, workers) if scheduler is None else DaskCluster(model, scheduler)
    )
    with executor:
        return write(executor, synthesizer, out, rows, progress=progress, **options)

"""`sample`: draw rows from a model file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tabular.cli.output import JsonFlag
from tabular.cli.outputs import require_writable
from tabular.cli.spread import (
    DASK,
    ProcessesFlag,
    SchedulerFlag,
    draw,
    require_scheduler,
)
from tabular.cli.tableflags import FormatFlag, RowsFlag, SeedFlag, WhereFlag
from tabular.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("sample")(sample)


def sample(
    model: Annotated[Path, typer.Argument(help="Model file that `fit` wrote.")],
    *,
    rows: RowsFlag,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    seed: SeedFlag = 0,
    where: WhereFlag = None,
    start: Annotated[
        int, typer.Option("--start", min=0, help="Number of the first row, to draw in parts.")
    ] = 0,
    format: FormatFlag = None,
    workers: ProcessesFlag = 1,
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="dask: rows are drawn by the cluster of --scheduler."),
    ] = None,
    scheduler: SchedulerFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw rows from a model file. The same seed gives the same rows."""
    from tabular.synth.synthesizer import Synthesizer

    require_writable(out, model)
    if engine not in (None, DASK):
        raise UsageError(
            f"--engine {engine}: the model file says which synthesizer it is",
            hint="--engine dask --scheduler URL draws the rows on a cluster",
        )
    require_scheduler(engine, scheduler)
    synthesizer = Synthesizer.load(model)
    began = time.perf_counter()
    draw(
        synthesizer,
        out,
        rows,
        seed=seed,
        began=began,
        as_json=as_json,
        workers=workers,
        scheduler=scheduler,
        where=where,
        start=start,
        format=format,
    )

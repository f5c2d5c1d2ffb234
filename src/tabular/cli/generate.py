"""`generate`: fit and sample in one step, no model file kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tabular.cli.output import JsonFlag
from tabular.cli.outputs import require_writable
from tabular.cli.spread import DASK, SchedulerFlag, draw, require_scheduler
from tabular.cli.tableflags import (
    DelimiterFlag,
    EncodingFlag,
    FormatFlag,
    PresetFlag,
    RowsFlag,
    SchemaFlag,
    SeedFlag,
    WhereFlag,
    fitted,
)


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("generate")(generate)


def generate(
    data: Annotated[Path, typer.Argument(help="Table: CSV, Parquet or JSON lines.")],
    out: Annotated[Path, typer.Argument(help="File to write.")],
    *,
    rows: RowsFlag,
    seed: SeedFlag = 0,
    where: WhereFlag = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="Synthesizer engine: trees or bayes; or dask: trees, drawn by the cluster of "
            "--scheduler.",
        ),
    ] = "trees",
    preset: PresetFlag = "balanced",
    schema: SchemaFlag = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            help="Columns fitted side by side, and processes that draw rows; the file is the same.",
        ),
    ] = 1,
    scheduler: SchedulerFlag = None,
    encoding: EncodingFlag = "utf-8",
    delimiter: DelimiterFlag = None,
    format: FormatFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn a table and draw rows like it, in one step. The same seed gives the same rows."""
    require_writable(out, data)
    require_scheduler(engine, scheduler)
    began = time.perf_counter()
    synthesizer = fitted(
        data,
        engine="trees" if engine == DASK else engine,
        preset=preset,
        schema=schema,
        seed=0,
        workers=workers,
        encoding=encoding,
        delimiter=delimiter,
    )
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
        format=format,
    )

"""`fit`: learn a table, keep a model file."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.outputs import require_writable
from tabular.cli.tableflags import (
    DelimiterFlag,
    EncodingFlag,
    EngineFlag,
    ModelSeedFlag,
    PresetFlag,
    SchemaFlag,
    WorkersFlag,
    fitted,
)


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("fit")(fit)


def fit(
    data: Annotated[Path, typer.Argument(help="Table: CSV, Parquet or JSON lines.")],
    *,
    model: Annotated[Path, typer.Option("--model", "-m", help="Model file to write.")],
    engine: EngineFlag = "trees",
    preset: PresetFlag = "balanced",
    schema: SchemaFlag = None,
    seed: ModelSeedFlag = 0,
    workers: WorkersFlag = 1,
    encoding: EncodingFlag = "utf-8",
    delimiter: DelimiterFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn a table and write a model file, from which `sample` draws rows."""
    require_writable(model, data)
    began = time.perf_counter()
    synthesizer = fitted(
        data,
        engine=engine,
        preset=preset,
        schema=schema,
        seed=seed,
        workers=workers,
        encoding=encoding,
        delimiter=delimiter,
    )
    synthesizer.save(model)
    seconds = time.perf_counter() - began
    described = synthesizer.describe()
    if as_json:
        print_json({"model": str(model), "seconds": round(seconds, 3), **described})
        return
    rows, columns = described["training_rows"], len(described["columns"])
    stdout.print(f"fitted {rows:,} rows x {columns} columns in {seconds:.1f} s")
    stdout.print(f"model: {escape(str(model))}")
    quoted = escape(shlex.quote(str(model)))
    stdout.print(
        f"next: inferloop-tabular sample {quoted} --rows 1000 --out sample.csv", style="dim"
    )

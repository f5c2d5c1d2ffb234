"""`sample`: draw rows from a model file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tabular.cli.bars import bar
from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.outputs import require_writable
from tabular.cli.tableflags import FormatFlag, RowsFlag, SeedFlag, WhereFlag


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
    as_json: JsonFlag = False,
) -> None:
    """Draw rows from a model file. The same seed gives the same rows."""
    from tabular.synth.synthesizer import Synthesizer

    require_writable(out, model)
    synthesizer = Synthesizer.load(model)
    began = time.perf_counter()
    with bar(f"sampling {out.name}") as progress:
        written = synthesizer.write(
            out, rows, seed=seed, where=where, start=start, format=format, progress=progress
        )
    seconds = time.perf_counter() - began
    if as_json:
        print_json({"out": str(out), "rows": written, "seed": seed, "seconds": round(seconds, 3)})
        return
    stdout.print(f"wrote {written:,} rows in {seconds:.1f} s to {escape(str(out))}")

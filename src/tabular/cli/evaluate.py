"""`evaluate`: how good and how private a synthetic table is, from files, with no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tabular.cli.bars import bar
from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.outputs import require_writable, write_text

_TABLE = "CSV, Parquet or JSON lines."


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("evaluate")(evaluate)


def evaluate(
    real: Annotated[
        Path, typer.Argument(metavar="REAL", help=f"The table that was learned from: {_TABLE}")
    ],
    synthetic: Annotated[
        Path, typer.Argument(metavar="SYNTHETIC", help=f"The table that was made: {_TABLE}")
    ],
    *,
    holdout: Annotated[
        Path | None,
        typer.Option(help="Real rows that were not learned from; privacy is judged by them."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column a model is to predict; else the last that suits.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    html: Annotated[
        Path | None, typer.Option(help="Write the report, with plots, to this HTML file.")
    ] = None,
    encoding: Annotated[
        str, typer.Option(help="Encoding of the real and the holdout file.")
    ] = "utf-8",
    delimiter: Annotated[
        str | None,
        typer.Option(help="Between the cells of the real and the holdout CSV; else recognized."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure how good and how private a synthetic table is.

    REAL is the table the synthesizer learned from, SYNTHETIC the one it made. With --holdout,
    real rows it never saw, the report can say what is memory and what is chance.
    """
    from tabular.synth.evaluation import evaluate as measure
    from tabular.synth.tables import read_table

    if html is not None:
        require_writable(html, real, synthetic, *([holdout] if holdout else []))
    tables: dict[str, Any] = {
        "real": read_table(real, encoding=encoding, delimiter=delimiter),
        "synthetic": read_table(synthetic),
    }
    if holdout is not None:
        tables["holdout"] = read_table(holdout, encoding=encoding, delimiter=delimiter)
    with bar("evaluating") as progress:
        report = measure(**tables, target=target, seed=seed, progress=progress)
    if html is not None:
        write_text(html, report.to_html())
    if as_json:
        print_json(report.to_dict())
        return
    stdout.print(report.summary(), markup=False, end="")
    if html is not None:
        stdout.print(f"report: {html}", markup=False)

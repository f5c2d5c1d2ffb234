"""`profile`: what a table holds, column by column, before anything is learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from tabular.cli.output import JsonFlag, print_json, print_table, stdout
from tabular.cli.tableflags import DelimiterFlag, EncodingFlag

if TYPE_CHECKING:
    from tabular.synth.profile import ColumnProfile

_LONGEST = 60


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("profile")(profile)


def profile(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A table: CSV, Parquet or JSON lines.")
    ],
    encoding: EncodingFlag = "utf-8",
    delimiter: DelimiterFlag = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Show range and quantiles as they are.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Describe each column of a table: role, missing values, range, frequent values, warnings.

    A value is named only when at least 20 rows hold it, and ranges are rounded so that they tell
    no single row's value. With --exact they are the table's own: for its owner's eyes.
    """
    from tabular.synth.profile import profile as describe
    from tabular.synth.tables import read_table

    found = describe(read_table(data, encoding=encoding, delimiter=delimiter), exact=exact)
    if as_json:
        print_json(found.to_dict())
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("column", "type", "role", "missing", "distinct", "range or most frequent"):
        table.add_column(
            title,
            justify="right" if title in ("missing", "distinct") else "left",
            overflow="fold",
            no_wrap=title != "range or most frequent",
        )
    for column in found.columns:
        table.add_row(
            Text(column.name),
            column.type,
            column.role,
            f"{column.missing_share:.1%}" if column.missing else "",
            f"{column.distinct:,}",
            Text(_content(column)),
        )
    stdout.print(f"{found.rows:,} rows, {len(found.columns):,} columns")
    print_table(table)
    if not exact:
        stdout.print(
            "Ranges are rounded, and rare values are left out: --exact shows them as they are.",
            style="dim",
        )
    for column in found.columns:
        for warning in column.warnings:
            stdout.print(f"{column.name}: {warning}", markup=False)


def _content(column: ColumnProfile) -> str:
    """The range of a number or time, else the most frequent values, in one line."""
    if column.minimum is not None:
        return f"{_short(column.minimum)} to {_short(column.maximum)}"
    frequent = ", ".join(f"{item.value} {item.share:.0%}" for item in column.top[:3])
    return frequent if len(frequent) <= _LONGEST else frequent[: _LONGEST - 1] + "…"


def _short(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

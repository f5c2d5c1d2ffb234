"""Reads tables from CSV, Parquet and JSON lines, and says exactly what is wrong with a bad one.

Files come from strangers: every reader has a limit on what it materializes, and every failure
names the file and, where the format has lines, the line.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa

from tabular.errors import TableError
from tabular.synth.csvfiles import read_csv
from tabular.synth.frames import plain_types, refuse_repeats
from tabular.synth.jsonfiles import read_jsonl
from tabular.synth.memory import Budget, table_limit
from tabular.synth.parquetfiles import read_parquet
from tabular.synth.writing import TableWriter, write_table

__all__ = ["Format", "TableWriter", "detect_format", "read_table", "write_table"]

Format = Literal["csv", "parquet", "jsonl"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
FORMATS: tuple[Format, ...] = ("csv", "parquet", "jsonl")


def detect_format(name: str | Path) -> Format:
    """The format that a file's name says.

    Raises:
        TableError: a suffix that is none of ours.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise TableError(
            f"cannot tell the format of {Path(name).name!r}",
            hint=f"name it with one of {', '.join(SUFFIXES)}, or say the format",
        )
    return SUFFIXES[suffix]


def read_table(
    source: str | Path | BinaryIO,
    format: str | None = None,
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    max_bytes: int | None = None,
) -> pa.Table:
    """Reads a whole table.

    Args:
        source: a path or a seekable binary file, read from its beginning.
        format: ``csv``, ``parquet`` or ``jsonl``; by default the name says it.
        encoding: of text formats.
        delimiter: between the cells of CSV; by default a comma, semicolon, tab or bar is
            recognized.
        max_bytes: largest table in memory; by default half of what this machine has.

    Raises:
        TableError: it cannot be read; names file and line where known.
        TooLargeError: it would take more than `max_bytes`.
    """
    where = str(source) if isinstance(source, str | Path) else getattr(source, "name", None)
    where = where if isinstance(where, str) else "the table"
    chosen = checked_format(format) if format else detect_format(where)
    if delimiter is not None and chosen != "csv":
        raise TableError(f"a delimiter is for CSV, this is {chosen}", where=where)
    budget = Budget(table_limit() if max_bytes is None else max_bytes, where)
    try:
        if chosen == "csv":
            return read_csv(source, where, encoding, delimiter, budget)
        if chosen == "parquet":
            table = read_parquet(source, where, budget)
        else:
            table = read_jsonl(source, where, encoding, budget)
    except FileNotFoundError as error:
        raise TableError("no such file", where=where) from error
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror or error}", where=where) from error
    refuse_repeats(table.column_names, where)
    return plain_types(table)


def checked_format(format: str) -> Format:
    """The format of that name.

    Raises:
        TableError: no such format.
    """
    if format not in FORMATS:
        raise TableError(f"no table format {format!r}", hint=f"choose one of {', '.join(FORMATS)}")
    return format

"""Reads tables from CSV, Parquet and JSON lines, and says exactly what is wrong with a bad one.

Files come from strangers: every reader has a limit on what it materializes, and every failure
names the file and, where the format has lines, the line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError
from tabular.synth.csvfiles import read_csv
from tabular.synth.frames import refuse_repeats
from tabular.synth.memory import Budget, table_limit
from tabular.synth.parquetfiles import read_parquet
from tabular.synth.textfiles import encoding_error, is_utf8, utf8
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

_BLOCK = 16 << 20
_DIGITS = re.compile(rb":\s*(-?[0-9]{19,})\s*[,}]")
_INT64 = range(-(2**63), 2**63)


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
            table = _read_jsonl(source, where, encoding, budget)
    except FileNotFoundError as error:
        raise TableError("no such file", where=where) from error
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror or error}", where=where) from error
    refuse_repeats(table.column_names, where)
    return table


def checked_format(format: str) -> Format:
    """The format of that name.

    Raises:
        TableError: no such format.
    """
    if format not in FORMATS:
        raise TableError(f"no table format {format!r}", hint=f"choose one of {', '.join(FORMATS)}")
    return format


def _read_jsonl(
    source: str | Path | BinaryIO, where: str, encoding: str, budget: Budget
) -> pa.Table:
    from pyarrow import json

    options = json.ReadOptions(block_size=_BLOCK, use_threads=True)
    try:
        with utf8(source, where, encoding) as file:
            start = file.tell()
            table = json.read_json(file, options)
            budget.spend(table.nbytes)
            table.validate(full=True)
            if any(_huge(column) for column in table.columns):
                file.seek(start)
                _refuse_huge(file, where)
    except pa.ArrowInvalid as error:
        message = str(error)
        if "Empty JSON" in message:
            raise TableError("the file is empty", where=where) from error
        if "UTF" in message and is_utf8(encoding, where):
            raise encoding_error(source, where) from error
        row = re.search(r" in row (\d+)", message)
        place = f"{where}:{int(row[1]) + 1}" if row else where
        reason = re.sub(r"^JSON parse error: | in row \d+.*$", "", message.partition("\n")[0])
        reason = re.sub(r"Column\(/?(.*?)\)", r"column '\1'", reason)
        raise TableError(
            reason, where=place, hint='each line is one object with plain values: {"a": 1}'
        ) from error
    return table


def _huge(column: pa.ChunkedArray) -> bool:
    """Whether a column of doubles might have been whole numbers that int64 cannot hold."""
    if not pa.types.is_floating(column.type):
        return False
    top = pc.max(pc.abs(column)).as_py()
    return top is not None and bool(top >= _INT64.stop)


def _refuse_huge(file: BinaryIO, where: str) -> None:
    """Names the first whole number whose digits a double would not keep.

    Raises:
        TableError: there is one.
    """
    for number, line in enumerate(file, 1):
        for found in _DIGITS.finditer(line):
            if int(found[1]) not in _INT64:
                raise TableError(
                    f"the whole number {found[1][:40].decode()} is beyond 64 bits",
                    where=f"{where}:{number}",
                    hint='write it as text: {"a": "12345678901234567890"}',
                )

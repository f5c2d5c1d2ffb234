"""Reads JSON lines, and takes times for what they say.

JSON has no times, only texts. Arrow makes naive moments of those that look like one, and so
loses which were dates, and every zone; here they get the types that the same cells of a CSV get.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError
from tabular.synth.memory import Budget
from tabular.synth.textfiles import encoding_error, is_utf8, utf8

_BLOCK = 16 << 20
_DIGITS = re.compile(rb":\s*(-?[0-9]{19,})\s*[,}]")
_INT64 = range(-(2**63), 2**63)
_TIMELIKE = r"^[0-9]{2,4}[-:][0-9]{2}[-0-9T:. Z+]*$"
_ALIKE = re.compile(_TIMELIKE)


def read_jsonl(
    source: str | Path | BinaryIO, where: str, encoding: str, budget: Budget
) -> pa.Table:
    """Reads a file of one JSON object a line.

    Args:
        source: a path or a seekable binary file.
        where: the file, for messages.
        encoding: of the file.
        budget: of memory.

    Raises:
        TableError: it is no such file; names the line.
        TooLargeError: it does not fit the budget.
    """
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
            table = _with_texts(file, start, table, options)
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
    columns = [_as_times(column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _with_texts(file: BinaryIO, start: int, table: pa.Table, options: Any) -> pa.Table:
    """The table with the texts of what Arrow took for times: it forgets their zones."""
    from pyarrow import json

    names = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    if not names:
        return table
    file.seek(start)
    schema = pa.schema([(name, pa.string()) for name in names])
    parsing = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    texts = json.read_json(file, options, parsing)
    for name in names:
        table = table.set_column(table.column_names.index(name), name, texts[name])
    return table


def _as_times(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts that are all dates, times or moments as such; what they are, the CSV parser decides."""
    from pyarrow import csv

    if not pa.types.is_string(texts.type) or not _ALIKE.fullmatch(_first(texts)):
        return texts
    if not pc.all(pc.match_substring_regex(texts, _TIMELIKE)).as_py():
        return texts
    cells = io.BytesIO()
    plain = csv.WriteOptions(include_header=False, quoting_style="none")
    csv.write_csv(pa.table({"": texts}), cells, plain)
    cells.seek(0)
    read = csv.read_csv(
        cells,
        csv.ReadOptions(column_names=["times"]),
        csv.ParseOptions(ignore_empty_lines=False),
        csv.ConvertOptions(null_values=[""], strings_can_be_null=True),
    )["times"]
    return read if pa.types.is_temporal(read.type) and len(read) == len(texts) else texts


def _first(texts: pa.ChunkedArray) -> str:
    """The first value that is not missing; "" if there is none."""
    for chunk in texts.chunks:
        known = chunk.is_valid().index(True).as_py()
        if known >= 0:
            return str(chunk[known].as_py())
    return ""


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

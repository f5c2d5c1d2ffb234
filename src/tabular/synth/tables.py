"""Reads tables from CSV, Parquet and JSON lines, and says exactly what is wrong with a bad one.

Files come from strangers: every reader has a limit on what it materializes, and every failure
names the file and, where the format has lines, the line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError, TooLargeError
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
MAX_TABLE_BYTES = 16 << 30
"""What a table may take in memory; a Parquet file of a kilobyte can claim any size."""

MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null"]
"""What a CSV cell means by "no value"."""

_BLOCK = 16 << 20
_BATCH_ROWS = 1 << 16


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
    max_bytes: int = MAX_TABLE_BYTES,
) -> pa.Table:
    """Reads a whole table.

    Args:
        source: a path or a seekable binary file.
        format: ``csv``, ``parquet`` or ``jsonl``; by default the name says it.
        encoding: of text formats.
        max_bytes: largest table in memory.

    Raises:
        TableError: it cannot be read; names file and line where known.
        TooLargeError: it would take more than `max_bytes`.
    """
    where = str(source) if isinstance(source, str | Path) else getattr(source, "name", None)
    where = where if isinstance(where, str) else "the table"
    chosen = checked_format(format) if format else detect_format(where)
    try:
        if chosen == "parquet":
            table = _read_parquet(source, where, max_bytes)
        elif chosen == "csv":
            table = _read_csv(source, where, encoding)
        else:
            table = _read_jsonl(source, where, encoding)
    except FileNotFoundError as error:
        raise TableError("no such file", where=where) from error
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror or error}", where=where) from error
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1}) if _repeats(names) else []
    if twice:
        raise TableError(
            f"columns share a name: {', '.join(map(repr, twice[:5]))}",
            where=f"{where}:1" if chosen == "csv" else where,
            hint="rename one of them",
        )
    return table


def checked_format(format: str) -> Format:
    """The format of that name.

    Raises:
        TableError: no such format.
    """
    if format not in FORMATS:
        raise TableError(f"no table format {format!r}", hint=f"choose one of {', '.join(FORMATS)}")
    return format


def _repeats(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _opened(source: str | Path | BinaryIO) -> Any:
    return str(source) if isinstance(source, str | Path) else source


def _read_csv(source: str | Path | BinaryIO, where: str, encoding: str) -> pa.Table:
    from pyarrow import csv

    convert = csv.ConvertOptions(null_values=MISSING, strings_can_be_null=True)
    parse = csv.ParseOptions(newlines_in_values=True)

    def read(threads: bool) -> pa.Table:
        options = csv.ReadOptions(encoding=encoding, use_threads=threads, block_size=_BLOCK)
        return csv.read_csv(_opened(source), options, parse, convert)

    try:
        table = read(threads=True)
        undecodable = any(pa.types.is_binary(kind) for kind in table.schema.types)
        undecodable = undecodable or not table.column_names
    except UnicodeDecodeError:
        undecodable = True
    except LookupError as error:
        raise TableError(f"unknown encoding {encoding!r}", where=where) from error
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise TableError(
                "the file is empty", where=where, hint="the first line names the columns"
            ) from error
        raise _csv_error(source, where, error, read) from error
    if not undecodable:
        try:
            _ = table.column_names
        except UnicodeDecodeError:
            undecodable = True
    if undecodable:
        raise _encoding_error(source, where, encoding)
    return table


def _csv_error(source: Any, where: str, error: pa.ArrowInvalid, read: Any) -> TableError:
    """The error with its line: only a single-threaded reader counts rows."""
    message = str(error)
    if "Row #" not in message:
        _rewind(source)
        try:
            read(threads=False)
        except pa.ArrowInvalid as second:
            message = str(second)
    row = re.search(r"Row #(\d+)", message)
    counts = re.search(r"Expected (\d+) columns, got (\d+)", message)
    place = f"{where}:{row[1]}" if row else where
    if counts:
        return TableError(
            f"this row has {counts[2]} cells, the header has {counts[1]}",
            where=place,
            hint='a cell that holds a comma or a line break is written in double quotes: "a, b"',
        )
    return TableError(message.partition("\n")[0], where=place)


def _rewind(source: str | Path | BinaryIO) -> None:
    if not isinstance(source, str | Path):
        source.seek(0)


def _encoding_error(source: str | Path | BinaryIO, where: str, encoding: str) -> TableError:
    """Finds the first byte that is no text in this encoding."""
    if encoding.lower().replace("-", "") != "utf8":
        return TableError(f"holds bytes that are no text in {encoding}", where=where)
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            found = _first_bad_byte(file)
    else:
        source.seek(0)
        found = _first_bad_byte(source)
    offset, line, byte = found
    return TableError(
        f"byte 0x{byte:02x} at offset {offset} is not UTF-8",
        where=f"{where}:{line}",
        hint="if the file is Latin-1, say --encoding latin-1 (in Python: encoding='latin-1')",
    )


def _first_bad_byte(file: BinaryIO) -> tuple[int, int, int]:
    """Offset, line from 1, and the byte itself."""
    offset, line, carried = 0, 1, b""
    while True:
        chunk = file.read(1 << 20)
        data = carried + chunk
        try:
            data.decode("utf-8")
            carried = b""
        except UnicodeDecodeError as error:
            if chunk and error.reason == "unexpected end of data":
                carried = data[error.start :]
            else:
                before = data[: error.start]
                return offset + error.start, line + before.count(b"\n"), data[error.start]
        used = len(data) - len(carried)
        line += data.count(b"\n", 0, used)
        offset += used
        if not chunk:
            return offset, line, 0


def _read_jsonl(source: str | Path | BinaryIO, where: str, encoding: str) -> pa.Table:
    from pyarrow import json

    options = json.ReadOptions(block_size=_BLOCK, use_threads=True)
    recoded = _recoded(source, where, encoding)
    try:
        table = json.read_json(_opened(recoded), options)
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        message = str(error)
        if "Empty JSON" in message:
            raise TableError("the file is empty", where=where) from error
        if "UTF" in message:
            raise _encoding_error(source, where, encoding) from error
        row = re.search(r" in row (\d+)", message)
        place = f"{where}:{int(row[1]) + 1}" if row else where
        reason = re.sub(r"^JSON parse error: | in row \d+.*$", "", message.partition("\n")[0])
        reason = re.sub(r"Column\(/?(.*?)\)", r"column '\1'", reason)
        raise TableError(
            reason, where=place, hint='each line is one object with plain values: {"a": 1}'
        ) from error
    return table


def _recoded(source: str | Path | BinaryIO, where: str, encoding: str) -> str | Path | BinaryIO:
    if encoding.lower().replace("-", "") == "utf8":
        return source
    data = Path(source).read_bytes() if isinstance(source, str | Path) else source.read()
    try:
        return pa.BufferReader(data.decode(encoding).encode())  # type: ignore[no-any-return]
    except (UnicodeDecodeError, LookupError) as error:
        raise TableError(f"cannot be decoded as {encoding}: {error}", where=where) from error


def _read_parquet(source: str | Path | BinaryIO, where: str, max_bytes: int) -> pa.Table:
    from pyarrow import parquet

    try:
        meta = parquet.read_metadata(_opened(source))
        schema = meta.schema.to_arrow_schema()
        strings = [field.name for field in schema if _is_text(field.type)]
        width = sum(_width(field.type) for field in schema)
        least = max(meta.num_rows * width, sum(_group_bytes(meta)))
        if least > max_bytes:
            raise _too_large(where, least, max_bytes)
        _rewind(source)
        with parquet.ParquetFile(_opened(source), read_dictionary=strings) as file:
            batches, spent = [], 0
            for batch in file.iter_batches(_BATCH_ROWS):
                spent += sum(map(_decoded_bytes, batch.columns))
                if spent > max_bytes:
                    raise _too_large(where, spent, max_bytes)
                batches.append(_decoded(batch, schema))
        return pa.Table.from_batches(batches, schema.remove_metadata())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(f"not a readable Parquet file: {error}", where=where) from error


def _group_bytes(meta: Any) -> list[int]:
    return [meta.row_group(group).total_byte_size for group in range(meta.num_row_groups)]


def _too_large(where: str, size: int, limit: int) -> TooLargeError:
    return TooLargeError(
        f"the table would take at least {size:,} bytes of memory, more than the {limit:,} allowed",
        where=where,
        hint="take a sample of its rows, or fewer columns",
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _width(kind: pa.DataType) -> int:
    try:
        bits: int = kind.bit_width
    except ValueError:
        return 4
    return max(1, bits // 8)


def _decoded_bytes(column: pa.Array) -> int:
    """Bytes a column takes once its dictionary is written out."""
    if not pa.types.is_dictionary(column.type) or not len(column.dictionary):
        size: int = column.nbytes
        return size
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    characters: int = pc.sum(lengths).as_py() or 0
    return characters + 4 * len(column)


def _decoded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column.cast(field.type) if column.type != field.type else column
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema.remove_metadata())

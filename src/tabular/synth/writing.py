"""Writes tables batch by batch, whole or not at all.

A sample may be larger than memory, and a killed process must not leave half a file that looks
whole: rows stream into a hidden temporary file that gets its name once it is complete.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError
from tabular.synth.landing import landing
from tabular.synth.partition import GROUP_ROWS


class _Sink(Protocol):
    def write(self, batch: pa.RecordBatch) -> None: ...
    def close(self) -> None: ...


class TableWriter:
    """Writes record batches to a file; use it as a context manager.

    A path gets its file when the block ends well, and nothing when it fails. A link stays one,
    and a pipe or a device is written to as it is.

    Args:
        target: a path or a binary file.
        schema: of the table; batches may hold dictionary-encoded columns of the same values.
        format: ``csv``, ``parquet`` or ``jsonl``; by default the path's suffix says it.

    Raises:
        TableError: an unknown format, or a path that cannot be written.
    """

    def __init__(
        self, target: str | Path | BinaryIO, schema: pa.Schema, *, format: str | None = None
    ) -> None:
        from tabular.synth.tables import checked_format, detect_format

        if not isinstance(target, str | Path):
            self._path: Path | None = None
            self._file: Any = target
            chosen = checked_format(format or "")
        else:
            self._path = Path(target)
            chosen = checked_format(format) if format else detect_format(self._path)
            self._file, self._temporary = _opened(self._path)
        self.rows = 0
        try:
            with self._explained():
                self._sink: _Sink = _SINKS[chosen](self._file, schema)
        except BaseException:
            self.abort()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends rows."""
        with self._explained():
            self._sink.write(batch)
        self.rows += batch.num_rows

    def close(self) -> None:
        """Completes the file and gives it its name."""
        with self._explained():
            self._sink.close()
            if self._path is not None:
                _finish(self._file, self._temporary)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns a full disk and the like into an error that names the file."""
        try:
            yield
        except OSError as error:
            where = str(self._path) if self._path else None
            raise TableError(f"cannot be written: {_reason(error)}", where=where) from error

    def abort(self) -> None:
        """Drops what was written."""
        if self._path is not None:
            with suppress(OSError):  # what cannot be flushed is dropped anyway
                self._file.close()
            if self._temporary is not None:
                self._temporary[0].unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
            return
        try:
            self.close()
        except BaseException:
            self.abort()
            raise


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when the block ends well, and is dropped when it fails.

    Raises:
        TableError: it cannot be written.
    """
    file, temporary = _opened(path)
    try:
        with file:
            yield file
            _finish(file, temporary)
    except OSError as error:
        raise TableError(f"cannot be written: {_reason(error)}", where=str(path)) from error
    finally:
        if temporary is not None:
            temporary[0].unlink(missing_ok=True)


def write_table(table: pa.Table, target: str | Path | BinaryIO, format: str | None = None) -> None:
    """Writes a whole table.

    Args:
        table: what to write.
        target: a path, written whole or not at all, or a binary file.
        format: as for `TableWriter`.
    """
    with TableWriter(target, table.schema.remove_metadata(), format=format) as writer:
        for batch in table.to_batches(GROUP_ROWS):
            writer.write(batch)


def _opened(path: Path) -> tuple[Any, tuple[Path, Path] | None]:
    """A file to write to, and if that is a temporary one its name and the one it gets at last."""
    try:
        target = landing(path)
        if target is None:
            return path.open("wb"), None
        prefix = f".{target.name}."
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=target.parent)
    except OSError as error:
        raise TableError(f"cannot be written: {_reason(error)}", where=str(path)) from error
    umask = os.umask(0)
    os.umask(umask)
    Path(name).chmod(0o666 & ~umask)
    return os.fdopen(handle, "wb"), (Path(name), target)


def _finish(file: Any, temporary: tuple[Path, Path] | None) -> None:
    """Closes a complete file and gives it its name."""
    file.flush()
    if temporary is not None:
        os.fsync(file.fileno())
    file.close()
    if temporary is not None:
        temporary[0].replace(temporary[1])


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


class _ParquetSink:
    """Gathers batches into row groups; categories stay dictionary-encoded all the way."""

    def __init__(self, file: Any, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._writer: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._open(table.schema).write_table(table, row_group_size=max(1, self._rows))
        self._waiting, self._rows = [], 0

    def _open(self, stored: pa.Schema) -> Any:
        """The writer; the schema a reader restores is the table's, not that of the batches."""
        from pyarrow import parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, stored, store_schema=False)
            packed = base64.b64encode(self._schema.serialize().to_pybytes()).decode()
            self._writer.add_key_value_metadata({"ARROW:schema": packed})
        return self._writer

    def close(self) -> None:
        self._flush()
        self._open(self._schema).close()


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


class _CsvSink:
    def __init__(self, file: Any, schema: pa.Schema) -> None:
        from pyarrow import csv

        self._schema = schema
        kinds = [k.value_type if pa.types.is_dictionary(k) else k for k in schema.types]
        plain = pa.schema(list(zip(schema.names, kinds, strict=True)))
        self._writer = csv.CSVWriter(file, plain)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(_plain(batch, self._schema))

    def close(self) -> None:
        self._writer.close()


class _JsonSink:
    """Builds lines column by column, so that Python meets each distinct value once at most."""

    def __init__(self, file: Any, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        cells: list[Any] = []
        for name, column in zip(self._schema.names, batch.columns, strict=True):
            mark = "{" if not cells else ", "
            cells.append(pa.scalar(f"{mark}{json.dumps(name, ensure_ascii=False)}: "))
            cells.append(_json_cells(column))
        lines = pc.binary_join_element_wise(*cells, pa.scalar("}\n"), pa.scalar(""))
        self._file.write("".join(lines.to_pylist()).encode())

    def close(self) -> None:
        """Nothing is held back."""


def _json_cells(column: pa.Array) -> pa.Array:
    """Each value as JSON text; times as ISO 8601 says, durations as whole numbers of their unit."""
    kind = column.type
    if pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
        return _json_cells(column.dictionary_decode())
    if pa.types.is_duration(kind):
        return _json_cells(column.cast(pa.int64()))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string()).fill_null("null")
    if pa.types.is_floating(kind):
        finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        return finite.cast(pa.string()).fill_null("null")
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    texts = column.dictionary
    if pa.types.is_temporal(kind):
        texts = _iso(texts)
    quoted = [json.dumps(value, ensure_ascii=False) for value in texts.to_pylist()]
    return pa.array(quoted, pa.string()).take(column.indices).fill_null("null")


def _iso(times: pa.Array) -> pa.Array:
    """Dates, times and moments as ISO 8601 writes them: a T between, the zone as Z or +01:00."""
    if pa.types.is_date(times.type):
        return times.cast(pa.date32()).cast(pa.string())
    texts = pc.replace_substring(times.cast(pa.string()), " ", "T", max_replacements=1)
    return pc.replace_substring_regex(texts, r"([+-]\d{2})(\d{2})$", r"\1:\2")


_SINKS: dict[str, Any] = {"parquet": _ParquetSink, "csv": _CsvSink, "jsonl": _JsonSink}

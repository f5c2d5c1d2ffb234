"""Reads Parquet, and refuses a small file that would fill the memory.

Dictionaries and run lengths let a kilobyte stand for any number of bytes. What the file says of
itself is checked first; then texts are read as dictionaries and counted before they are written
out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError
from tabular.synth.memory import Budget
from tabular.synth.textfiles import opened

_BATCH_ROWS = 1 << 16
_MOST_CHARACTERS = 1 << 30
"""Bytes of text in one array: its offsets count to 2 GiB."""

_TEXTS = ("STRING", "NONE", "JSON", "BSON", "ENUM")
_PHYSICAL_BYTES = {"INT64": 8, "DOUBLE": 8, "INT96": 12, "INT32": 4, "FLOAT": 4, "BYTE_ARRAY": 4}


def read_parquet(source: str | Path | BinaryIO, where: str, budget: Budget) -> pa.Table:
    """Reads a Parquet file.

    Args:
        source: a path or a seekable binary file.
        where: the file, for messages.
        budget: of memory.

    Raises:
        TableError: it is no such file, or damaged.
        TooLargeError: it does not fit the budget.
    """
    from pyarrow import parquet

    try:
        with opened(source) as stream, parquet.ParquetFile(stream) as file:
            schema = file.schema_arrow.remove_metadata()
            meta = file.metadata
        budget.foresee(_least_bytes(meta, schema))
        texts = [
            column.path
            for column in map(meta.schema.column, range(meta.num_columns))
            if column.physical_type == "BYTE_ARRAY" and column.logical_type.type in _TEXTS
        ]
        batches: list[pa.RecordBatch] = []
        with opened(source) as stream, parquet.ParquetFile(stream, read_dictionary=texts) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                sizes = [_decoded_bytes(column) for column in batch.columns]
                budget.spend(sum(sizes))
                parts = -(-max(sizes, default=0) // _MOST_CHARACTERS)
                batches.extend(_decoded(batch, schema, parts))
        return pa.Table.from_batches(batches, schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(f"not a readable Parquet file: {error}", where=where) from error


def _least_bytes(meta: Any, schema: pa.Schema) -> int:
    """What the table takes at least, by what the file says of its columns."""
    stored = decoded = 0
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        stored += group.total_byte_size
        for place in range(group.num_columns):
            column = meta.schema.column(place)
            decoded += group.column(place).num_values * _width(column, schema)
    return max(stored, decoded)


def _width(column: Any, schema: pa.Schema) -> int:
    """Bytes of one value in memory, without its characters."""
    if column.path in schema.names:
        kind = schema.field(column.path).type
        if pa.types.is_primitive(kind):
            return max(1, int(kind.bit_width) // 8)
    return int(_PHYSICAL_BYTES.get(column.physical_type, max(1, column.length)))


def _decoded_bytes(column: pa.Array) -> int:
    """Bytes a column takes once its dictionaries are written out."""
    kind = column.type
    if pa.types.is_dictionary(kind) and len(column.dictionary):
        lengths = pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
        characters: int = pc.sum(lengths).as_py() or 0
        return characters + 4 * len(column)
    if pa.types.is_struct(kind):
        return sum(map(_decoded_bytes, column.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return 4 * len(column) + _decoded_bytes(column.flatten())
    size: int = column.nbytes
    return size


def _decoded(batch: pa.RecordBatch, schema: pa.Schema, parts: int) -> list[pa.RecordBatch]:
    """The batch with the types of the schema, in so many parts."""
    step = max(1, -(-batch.num_rows // max(1, parts)))
    found = []
    for start in range(0, batch.num_rows, step):
        piece = batch.slice(start, step)
        columns = [
            column.cast(field.type) if column.type != field.type else column
            for column, field in zip(piece.columns, schema, strict=True)
        ]
        found.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return found

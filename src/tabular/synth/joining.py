"""One file out of tables that were written apart, without writing their rows again.

Rows drawn in parts by many processes are each a whole table of its own. Of a CSV file all but
the first leave their header out; of a Parquet file the row groups follow each other as they are,
and one footer over all of them takes the place of theirs. What comes out is, byte for byte, the
file that one process would have written, as long as parts begin where row groups do.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tabular.errors import InputError, TableError
from tabular.synth import compact
from tabular.synth.compact import Struct
from tabular.synth.writing import write_table

_MAGIC = b"PAR1"
_TRAILER = 8  # length of the footer, and the magic number
_SCHEMA, _ROWS, _GROUPS, _METADATA = 2, 3, 4, 5  # fields of FileMetaData
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7  # of RowGroup
_CHUNK_OFFSET, _CHUNK, _OFFSET_INDEX, _COLUMN_INDEX = 2, 3, 4, 6  # of ColumnChunk
_CHUNK_OFFSETS = (9, 10, 11, 14)  # of ColumnMetaData: pages, index, dictionary, Bloom filter

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Part:
    """A table that was written apart.

    Attributes:
        size: bytes of its file.
        head: bytes at its begin that only the first part of a file keeps.
        read: its bytes from one position up to another.
    """

    size: int
    head: int
    read: Read


@dataclass(frozen=True)
class Joined:
    """How the file is put together.

    Attributes:
        spans: of each part, in order, the first byte that is taken and the one after the last.
        tail: bytes after them.
    """

    spans: list[tuple[int, int]]
    tail: bytes


def head_of(schema: pa.Schema, format: str) -> int:
    """Bytes at the begin of a table's file that only the first of several parts keeps."""
    if format == "parquet":
        return len(_MAGIC)
    sink = io.BytesIO()
    write_table(schema.empty_table(), sink, format)
    return len(sink.getvalue())


def join(parts: Sequence[Part], format: str) -> Joined:
    """How parts become one file.

    Args:
        parts: in order.
        format: ``csv``, ``parquet`` or ``jsonl``.

    Raises:
        TableError: a part is no whole Parquet file, or they have different columns.
    """
    if not parts:
        raise InputError("there are no parts")
    if format != "parquet":
        return Joined([(p.head if place else 0, p.size) for place, p in enumerate(parts)], b"")
    spans, footers = [], []
    for place, part in enumerate(parts):
        footer, end = _footer(part)
        spans.append((part.head if place else 0, end))
        footers.append(footer)
    return Joined(spans, _sealed(_merged(footers, spans)))


def _footer(part: Part) -> tuple[Struct, int]:
    """A part's footer, and where it begins."""
    trailer = part.read(part.size - _TRAILER, part.size)
    end = part.size - _TRAILER - int.from_bytes(trailer[:4], "little")
    if trailer[4:] != _MAGIC or end < len(_MAGIC):
        raise TableError("a part is no whole Parquet file")
    try:
        return compact.decode(part.read(end, part.size - _TRAILER)), end
    except ValueError as error:
        raise TableError(f"the footer of a part cannot be read: {error}") from error


def _merged(footers: Sequence[Struct], spans: Sequence[tuple[int, int]]) -> Struct:
    whole = footers[0]
    groups: list[Struct] = []
    rows = position = 0
    for footer, (start, end) in zip(footers, spans, strict=True):
        for field in (_SCHEMA, _METADATA):
            if footer.fields.get(field) != whole.fields.get(field):
                raise TableError("the parts have different columns")
        for group in footer[_GROUPS][1]:
            _move(group, position - start)
            if _ORDINAL in group:
                group[_ORDINAL] = _int16(len(groups))
            groups.append(group)
        rows += footer[_ROWS]
        position += end - start
    whole[_ROWS] = rows
    whole[_GROUPS] = (compact.STRUCT, groups)
    return whole


def _move(group: Struct, distance: int) -> None:
    """Every place in the file that a row group tells; none is at 0, where the magic number is."""
    _shift(group, _GROUP_OFFSET, distance)
    for column in group[_COLUMNS][1]:
        for field in (_CHUNK_OFFSET, _OFFSET_INDEX, _COLUMN_INDEX):
            _shift(column, field, distance)
        for field in _CHUNK_OFFSETS:
            _shift(column[_CHUNK], field, distance)


def _shift(place: Struct, field: int, distance: int) -> None:
    if field in place and place[field] > 0:
        place[field] += distance


def _int16(number: int) -> int:
    """The number as writers store it in sixteen bits."""
    return (number + 0x8000) % 0x10000 - 0x8000


def _sealed(footer: Struct) -> bytes:
    raw = compact.encode(footer)
    return raw + len(raw).to_bytes(4, "little") + _MAGIC

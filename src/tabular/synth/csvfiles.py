"""Reads CSV block by block, with types that keep every value.

Arrow infers types for a whole file at once and holds all its text meanwhile. Here each block is
typed on its own and the types are joined, so that memory holds the table and one block; a column
that turns out to be text is read once more. Digits that a number cannot give back, such as the
zeros in front of a postal code or an account number of 20 digits, stay text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError
from tabular.synth.dialect import Block, Dialect, blocks, recognize
from tabular.synth.frames import refuse_repeats
from tabular.synth.memory import Budget, address_space_is_limited, require_room
from tabular.synth.textfiles import ENCODING, encoding_error, is_utf8, utf8

MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null"]
"""What a CSV cell means by "no value"."""

_PADDED = r"^[-+]?0[0-9xX][0-9A-Fa-f]*$"
_WHOLE = r"^[-+]?[0-9]+$"
_BEYOND_INT64 = 2.0**63
_PARSER_ROOM = 4  # bytes for each byte of a block: its cells, their places, and the parsed values


def read_csv(
    source: str | Path | BinaryIO,
    where: str,
    encoding: str,
    delimiter: str | None,
    budget: Budget,
) -> pa.Table:
    """Reads a CSV file whose first row names the columns.

    Args:
        source: a path or a seekable binary file.
        where: the file, for messages.
        encoding: of the file.
        delimiter: between cells; None to recognize it.
        budget: of memory.

    Raises:
        TableError: it is no such file; names the line.
        TooLargeError: it does not fit the budget.
    """
    with utf8(source, where, encoding) as file:
        start = file.tell()
        dialect = recognize(file, delimiter, where)
        reader = _Reader(dialect, where)
        try:
            for block in blocks(file, dialect, where):
                budget.spend(reader.read(block))
            if not reader.tables:
                raise TableError(
                    "the file is empty", where=where, hint="the first line names the columns"
                )
            texts = reader.mistyped()
            if texts:
                file.seek(start)
                again = [reader.parse(b, texts) for b in blocks(file, dialect, where)]
                reader.retype(again)
        except UnicodeDecodeError as error:
            if not is_utf8(encoding, where):
                raise
            raise encoding_error(source, where) from error
    return reader.table()


class _Reader:
    """The blocks read so far, and what is known of the columns."""

    def __init__(self, dialect: Dialect, where: str) -> None:
        self._dialect, self._where = dialect, where
        self._first: Block | None = None
        self._kinds: list[pa.DataType] = []
        self.tables: list[pa.Table] = []

    def read(self, block: Block) -> int:
        """Parses a block; the bytes it takes in memory."""
        block.data.decode()  # names the first bad byte; Arrow would make bytes of the column
        table = self.parse(block)
        if self._first is None:
            self._check_names(table.column_names, block.line)
            self._first = block
            self._kinds = [pa.null()] * table.num_columns
        kept = self._exact(block, table)
        for place, field in enumerate(table.schema):
            found = pa.string() if field.name in kept else field.type
            self._kinds[place] = _joined(self._kinds[place], found)
        self.tables.append(table)
        size: int = table.nbytes
        return size

    def parse(self, block: Block, texts: Sequence[str] = ()) -> pa.Table:
        """The block as a table of inferred types, or of those columns alone, as text.

        Raises:
            TableError: a row with more or fewer cells than the header.
        """
        from pyarrow import csv

        head = None if self._first in (None, block) else self.names
        options = csv.ReadOptions(
            column_names=head,
            block_size=len(block.data) + 1,
            use_threads=not address_space_is_limited(),
        )
        parse = csv.ParseOptions(delimiter=self._dialect.delimiter, newlines_in_values=True)
        convert = csv.ConvertOptions(
            check_utf8=False,
            null_values=MISSING,
            strings_can_be_null=True,
            include_columns=list(texts),
            column_types=dict.fromkeys(texts, pa.string()),
        )
        require_room(_PARSER_ROOM * len(block.data))
        try:
            return csv.read_csv(pa.BufferReader(block.data), options, parse, convert)
        except pa.ArrowInvalid as error:
            raise self._explained(block, str(error)) from error

    @property
    def names(self) -> list[str]:
        """The columns."""
        found: list[str] = self.tables[0].column_names
        return found

    def mistyped(self) -> list[str]:
        """Columns that are text, though some block made something else of them."""
        return [
            name
            for place, name in enumerate(self.names)
            if self._kinds[place] == pa.string()
            and any(table.column(place).type not in _TEXTS for table in self.tables)
        ]

    def retype(self, again: Sequence[pa.Table]) -> None:
        """Takes columns from other parses of the same blocks."""
        for number, texts in enumerate(again):
            columns = dict(zip(self.names, self.tables[number].columns, strict=True))
            columns.update(zip(texts.column_names, texts.columns, strict=True))
            self.tables[number] = pa.table(columns)

    def table(self) -> pa.Table:
        """The whole table."""
        fields = zip(self.names, self._kinds, strict=True)
        schema = pa.schema(list(fields))
        return pa.concat_tables([table.cast(schema) for table in self.tables])

    def _check_names(self, names: list[str], line: int) -> None:
        place = f"{self._where}:{line}"
        if any("\0" in name for name in names):
            raise TableError(
                "the first line holds NUL characters",
                where=place,
                hint="if the file is UTF-16, use encoding='utf-16-le'",
                code=ENCODING,
            )
        refuse_repeats(names, place)

    def _exact(self, block: Block, table: pa.Table) -> set[str]:
        """Columns of numbers whose digits a number would not give back."""
        padded = _padded(block.data, self._dialect.delimiter)
        suspects = [
            name
            for name, column in zip(table.column_names, table.columns, strict=True)
            if (pa.types.is_integer(column.type) and padded)
            or (pa.types.is_floating(column.type) and (padded or _huge(column)))
        ]
        if not suspects:
            return set()
        texts = self.parse(block, suspects)
        return {name for name in suspects if _lossy(texts[name], table[name])}

    def _explained(self, block: Block, message: str) -> TableError:
        """The error with its line."""
        if "Empty CSV" in message:
            return TableError("the file is empty", where=self._where)
        width = len(self.names) if self.tables else 0
        for before, row in self._dialect.rows(block.data.decode(errors="replace")):
            width = width or len(row)
            if len(row) != width:
                return TableError(
                    f"this row has {len(row)} cells, the header has {width}",
                    where=f"{self._where}:{block.line + before}",
                    hint="a cell that holds a delimiter or a line break is written in double "
                    'quotes: "a, b"; if another character separates the cells, name it by '
                    "delimiter='CHARACTER'",
                )
        return TableError(message.partition("\n")[0], where=f"{self._where}:{block.line}")


_TEXTS = (pa.string(), pa.null())
_MOMENTS = (pa.date32(), pa.timestamp("s"), pa.timestamp("ns"))
_ZONED = (pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC"))
_NUMBERS = (pa.int64(), pa.float64())


def _joined(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The narrowest type that holds both without loss; text where nothing else does."""
    if one == other or other == pa.null():
        return one
    if one == pa.null():
        return other
    for line in (_NUMBERS, _MOMENTS, _ZONED):
        if one in line and other in line:
            return max(one, other, key=line.index)
    return pa.string()


def _padded(data: bytes, delimiter: str) -> bool:
    """Whether any cell might begin with a zero and go on with a digit or an x."""
    byte = np.frombuffer(b"\n\n" + data, np.uint8)
    zero = np.flatnonzero(byte[:-1] == ord("0"))
    following = byte[zero + 1]
    digit = (following >= ord("0")) & (following <= ord("9"))
    zero = zero[digit | (following | 32 == ord("x"))]
    begin = np.isin(np.arange(256), list(f'{delimiter}"\r\n\t '.encode()))
    sign = np.isin(np.arange(256), list(b"+-"))
    before, second = byte[zero - 1], byte[zero - 2]
    return bool((begin[before] | (sign[before] & begin[second])).any())


def _huge(column: pa.ChunkedArray) -> bool:
    top: Any = pc.max(pc.abs(column)).as_py()
    return top is not None and bool(top >= _BEYOND_INT64)


def _lossy(texts: pa.ChunkedArray, numbers: pa.ChunkedArray) -> bool:
    texts = pc.utf8_trim_whitespace(pc.drop_null(texts))
    if pc.any(pc.match_substring_regex(texts, _PADDED)).as_py():
        return True
    whole = pc.all(pc.match_substring_regex(texts, _WHOLE)).as_py()
    return pa.types.is_floating(numbers.type) and bool(whole) and _huge(numbers)

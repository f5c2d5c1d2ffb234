"""Where the rows of a CSV file end, and what separates its cells.

A quote that is never closed swallows every row behind it, and a parser that takes the rest of
the file for one cell reports nothing. Rows are therefore counted out here, by the rule of
RFC 4180: a quoted cell ends at its closing quote, and a delimiter or a line's end follows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import BinaryIO

from tabular.errors import TableError

DELIMITERS = (",", ";", "\t", "|")
"""Those that are recognized; any other character has to be named."""

MAX_ROW_BYTES = 16 << 20
"""Longest row; what is longer is a quote that was never closed, or no table."""

_BLOCK = 16 << 20
_SAMPLE_BYTES = 1 << 16
_SAMPLE_ROWS = 50


@dataclass(frozen=True)
class Block:
    """Whole rows of a file, and the line on which they begin."""

    data: bytes
    line: int


@dataclass(frozen=True)
class Dialect:
    """How a file separates cells and rows.

    Args:
        delimiter: one ASCII character.
        newline: the byte that ends each line: LF, or CR where a file has no LF.
    """

    delimiter: str
    newline: bytes = b"\n"

    @cached_property
    def _cell(self) -> bytes:
        """Pattern of a quoted cell, or of a quote amid an unquoted one."""
        mark = re.escape(self.delimiter.encode())
        closed = rb'(?<![^%b\r\n])"[^"]*+(?:""[^"]*+)*+"(?= *+[%b\r\n])' % (mark, mark)
        return closed + rb'|(?<=[^%b\r\n])"' % mark

    @cached_property
    def _rows(self) -> re.Pattern[bytes]:
        return re.compile(rb'(?:(?:[^"%b]++|%b)*+%b)*+' % (self.newline, self._cell, self.newline))

    @cached_property
    def _cells(self) -> re.Pattern[bytes]:
        return re.compile(rb'(?:[^"]++|%b)*+' % self._cell)

    def end_of_rows(self, data: bytes) -> int:
        """Length of the whole rows that `data` begins with."""
        if b'"' not in data:
            return data.rfind(self.newline) + 1
        found = self._rows.match(data)
        return found.end() if found else 0

    def fault(self, rest: bytes, line: int, where: str, *, at_end: bool) -> TableError:
        """Why `rest`, which begins with line number `line`, does not begin with a whole row."""
        found = self._cells.match(rest)
        at = found.end() if found else 0
        place = f"{where}:{line + rest.count(self.newline, 0, at)}"
        if at == len(rest):
            return TableError(
                f"a row of more than {MAX_ROW_BYTES:,} bytes begins here", where=f"{where}:{line}"
            )
        closing = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"').match(rest, at)
        if closing:
            last = line + rest.count(self.newline, 0, closing.end())
            said = f"the quoted cell that begins here goes on after its end on line {last}"
        elif at_end:
            said = "the quote that is opened here is never closed"
        else:
            said = f"the quoted cell that begins here takes more than {MAX_ROW_BYTES:,} bytes"
        return TableError(
            said,
            where=place,
            hint='close the quote; one that belongs to the text is doubled: "say ""hi"""',
        )

    def rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Rows with the number of lines before each; slow, for samples and for messages."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter)
        before = 0
        try:
            for row in reader:
                if row:
                    yield before, row
                before = reader.line_num
        except csv.Error:  # a cell longer than this reader takes: what follows is not told
            return


def recognize(file: BinaryIO, delimiter: str | None, where: str) -> Dialect:
    """The dialect of a file that stands at its first row; it is left there.

    Args:
        file: UTF-8 text.
        delimiter: as named by the user; None to recognize one of `DELIMITERS`.
        where: the file, for messages.

    Raises:
        TableError: a delimiter that cannot be one, or several that suit.
    """
    start = file.tell()
    sample = filled(file, _SAMPLE_BYTES)
    file.seek(start)
    newline = b"\n" if b"\n" in sample or b"\r" not in sample else b"\r"
    if delimiter is not None:
        return Dialect(_checked(delimiter, where), newline)
    suiting = [mark for mark in DELIMITERS if _suits(Dialect(mark, newline), sample)]
    if "," in suiting or not suiting:
        return Dialect(",", newline)
    if len(suiting) > 1:
        raise TableError(
            f"the cells could be separated by any of {' '.join(map(repr, suiting))}",
            where=where,
            hint=f"use delimiter={suiting[0]!r}",
        )
    return Dialect(suiting[0], newline)


def blocks(file: BinaryIO, dialect: Dialect, where: str) -> Iterator[Block]:
    """The file from where it stands, some megabytes of whole rows at a time.

    Raises:
        TableError: a quote that is not closed as it should, or a row that is too long.
    """
    line, rest = 1, b""
    while True:
        fresh = filled(file, _BLOCK)
        data = rest + fresh
        if not fresh and data and not data.endswith(dialect.newline):
            data += dialect.newline
        end = dialect.end_of_rows(data)
        if data[:end].strip(b"\r\n"):
            yield Block(data[:end], line)
        line += data.count(dialect.newline, 0, end)
        rest = data[end:]
        if rest and (not fresh or len(rest) > MAX_ROW_BYTES):
            raise dialect.fault(rest, line, where, at_end=not fresh)
        if not fresh:
            return


def filled(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes; fewer only at the end of the file."""
    pieces: list[bytes] = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _suits(dialect: Dialect, sample: bytes) -> bool:
    """Whether all rows of the sample have the same number of cells, two at least."""
    found = dialect.rows(sample.decode(errors="replace"))
    rows = [row for _, row in islice(found, _SAMPLE_ROWS)]
    if len(sample) == _SAMPLE_BYTES and len(rows) < _SAMPLE_ROWS:
        rows = rows[:-1] or rows  # the sample ends amid the last one
    widths = {len(row) for row in rows}
    return len(widths) == 1 and widths.pop() > 1


def _checked(delimiter: str, where: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(mark) != 1 or not mark.isascii() or mark in '"\r\n\0':
        raise TableError(
            f"{delimiter!r} cannot be a delimiter",
            where=where,
            hint="it is one ASCII character, such as ; or | (tab for a tab)",
        )
    return mark

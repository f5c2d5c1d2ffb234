"""Rows of a database as text that any kind of database can take back.

A dump of the vendor's own restores only at that vendor, and what runs on SQLite today may move to
PostgreSQL tomorrow. So a table is written as JSON lines, one array a row, whose columns have one
of seven types. The text is canonical: the same rows give the same bytes on every kind of database,
so that a restored table is compared by the checksums of its chunks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from tabular.errors import IntegrityError
from tabular.infra.database.columns import Document, Moment
from tabular.infra.database.models import Base, Hold

Kind = Literal["text", "integer", "float", "boolean", "moment", "day", "document"]
CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 * 1024 * 1024
_BATCH = 500
_EXACT = 1e16  # from here on, databases write whole floats as whole numbers
# Of this moment and of no other: who is at work, and what is half done.
_MOMENTARY = ("workers", "job_parts", "usage_reservations")
_LEFT_OUT = {Hold.__tablename__, *_MOMENTARY}

_TYPES: dict[str, Any] = {
    "text": sa.String(),
    "integer": sa.BigInteger(),
    "float": sa.Double(),
    "boolean": sa.Boolean(),
    "moment": Moment(),
    "day": sa.Date(),
    "document": Document,
}


@dataclass(frozen=True)
class Shape:
    """A table's name, and its columns with their types, in order."""

    name: str
    columns: Mapping[str, Kind]

    def pairs(self) -> tuple[tuple[str, Kind], ...]:
        """Its columns in a form that keeps their order in JSON."""
        return tuple(self.columns.items())

    def clause(self) -> sa.TableClause:
        """The table, as far as statements need it."""
        columns = [sa.column(name, _TYPES[kind]) for name, kind in self.columns.items()]
        return sa.table(self.name, *columns)


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, in order."""

    data: bytes
    rows: int

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.data).hexdigest()


def shapes() -> list[Shape]:
    """Every table of this release, those first that others refer to."""
    return [
        Shape(table.name, {column.name: _kind(column) for column in table.columns})
        for table in Base.metadata.sorted_tables
        if table.name not in _LEFT_OUT
    ]


def dump(connection: Connection, shape: Shape) -> Iterator[Chunk]:
    """The rows of a table in the order of their numbers; in bounded memory.

    Args:
        connection: in a transaction.
        shape: of the table; its first column orders the rows.
    """
    table = shape.clause()
    order = next(iter(table.columns))
    query = sa.select(table).order_by(order).execution_options(yield_per=_BATCH)
    write = [_WRITERS[kind] for kind in shape.columns.values()]
    lines: list[bytes] = []
    size = 0
    for row in connection.execute(query):
        values = [
            None if value is None else to(value) for to, value in zip(write, row, strict=True)
        ]
        line = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if lines and (len(lines) >= CHUNK_ROWS or size + len(line) > CHUNK_BYTES):
            yield Chunk(b"".join(lines), len(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield Chunk(b"".join(lines), len(lines))


def load(connection: Connection, shape: Shape, data: bytes) -> int:
    """Insert the rows of a chunk.

    Returns:
        How many rows they were.

    Raises:
        IntegrityError: it is not the text of such rows.
    """
    rows = list(_rows(shape, data))
    table = shape.clause()
    for start in range(0, len(rows), _BATCH):
        connection.execute(sa.insert(table), rows[start : start + _BATCH])
    return len(rows)


def clear(connection: Connection, some: Sequence[Shape]) -> None:
    """Remove all rows; who else writes to these tables waits until the transaction has ended."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(shape.name for shape in some)
        connection.execute(sa.text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    there = sa.inspect(connection).get_table_names()
    momentary = [name for name in _MOMENTARY if name in there]
    for name in (*momentary, *(shape.name for shape in reversed(some))):
        connection.execute(sa.delete(sa.table(name)))


def number_on(connection: Connection, some: Iterable[Shape]) -> None:
    """Let new rows be numbered after those that were loaded; other kinds do so by themselves."""
    if connection.dialect.name != "postgresql":
        return
    for shape in some:
        order = next(iter(shape.columns))
        last = connection.scalar(sa.select(sa.func.max(shape.clause().c[order])))
        name = sa.func.pg_get_serial_sequence(shape.name, order)
        connection.execute(sa.select(sa.func.setval(name, last or 1, last is not None)))


def _rows(shape: Shape, data: bytes) -> Iterator[dict[str, Any]]:
    read = [_READERS.get(kind) for kind in shape.columns.values()]
    for line in data.splitlines():
        try:
            values = json.loads(line)
            given = [
                from_(value) if from_ and value is not None else value
                for from_, value in zip(read, values, strict=True)
            ]
        except (ValueError, TypeError) as error:
            raise IntegrityError(f"a row of {shape.name} cannot be read: {error}") from error
        yield dict(zip(shape.columns, given, strict=True))


def _kind(column: sa.Column[Any]) -> Kind:
    kinds: tuple[tuple[Any, Kind], ...] = (
        (Moment, "moment"),
        (sa.Date, "day"),
        (sa.JSON, "document"),
        (sa.Boolean, "boolean"),
        (sa.Integer, "integer"),
        (sa.Float, "float"),
        (sa.String, "text"),
    )
    return next(kind for type_, kind in kinds if isinstance(column.type, type_))


def _moment_text(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: Any) -> Any:
    """JSON data in the one form that all databases give back."""
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) >= _EXACT:
        return int(value)
    return value


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "moment": _moment_text,
    "day": date.isoformat,
    "document": _plain,
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "moment": datetime.fromisoformat,
    "day": date.fromisoformat,
}

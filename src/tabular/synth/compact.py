"""Thrift's compact protocol, as far as the footer of a Parquet file needs it.

Footers are joined without a library because none that is permissive moves the offsets in them.
Fields are kept as they come, known or not, so that what a later Parquet adds is carried along,
and what was read is written back byte for byte.

The encoding is that of the specification, thrift/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

_DEEPEST = 64
_INTEGERS = (I16, I32, I64)


class Struct:
    """Fields by number, in the order in which they stood: type and value of each."""

    def __init__(self, fields: dict[int, tuple[int, Any]] | None = None) -> None:
        self.fields = fields if fields is not None else {}

    def __getitem__(self, number: int) -> Any:
        return self.fields[number][1]

    def __setitem__(self, number: int, value: Any) -> None:
        """Replace the value of a field that is there."""
        self.fields[number] = (self.fields[number][0], value)

    def __contains__(self, number: int) -> bool:
        return number in self.fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Struct) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Struct({self.fields!r})"


def decode(raw: bytes) -> Struct:
    """The struct in `raw`.

    Raises:
        ValueError: it is cut off, nested too deeply, or of an unknown type.
    """
    reader = _Reader(raw)
    try:
        found: Struct = reader.struct(0)
    except (IndexError, struct.error) as error:
        raise ValueError("the end is missing") from error
    if reader.place != len(raw):
        raise ValueError("something follows the end")
    return found


def encode(value: Struct) -> bytes:
    """The bytes of a struct."""
    out = bytearray()
    _write_struct(out, value)
    return bytes(out)


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.place = 0

    def value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            number = self.varint()
            return (number >> 1) ^ -(number & 1)
        if kind in (BINARY, STRUCT, LIST, SET, MAP):
            return self._READ[kind](self, depth + 1)
        if kind in (TRUE, FALSE, BYTE):  # truth in a list has a byte of its own
            return self.take(1)[0]
        if kind == DOUBLE:
            return self.take(8)
        raise ValueError(f"unknown type {kind}")

    def struct(self, depth: int) -> Struct:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        fields: dict[int, tuple[int, Any]] = {}
        number = 0
        while header := self.take(1)[0]:
            delta, kind = header >> 4, header & 15
            number = number + delta if delta else self.value(I16, depth)
            fields[number] = (kind, None if kind in (TRUE, FALSE) else self.value(kind, depth))
        return Struct(fields)

    def binary(self, depth: int) -> bytes:
        return self.take(self.varint())

    def sequence(self, depth: int) -> tuple[int, list[Any]]:
        header = self.take(1)[0]
        size, kind = header >> 4, header & 15
        if size == 15:
            size = self.varint()
        return kind, [self.value(kind, depth) for _ in self._counted(size)]

    def mapping(self, depth: int) -> tuple[int, int, list[tuple[Any, Any]]]:
        size = self.varint()
        if not size:
            return 0, 0, []
        kinds = self.take(1)[0]
        keys, values = kinds >> 4, kinds & 15
        pairs = [(self.value(keys, depth), self.value(values, depth)) for _ in self._counted(size)]
        return keys, values, pairs

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._raw[self.place]
            self.place += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def take(self, size: int) -> bytes:
        piece = self._raw[self.place : self.place + size]
        if len(piece) != size:
            raise IndexError
        self.place += size
        return piece

    def _counted(self, size: int) -> Iterator[int]:
        if size > len(self._raw) - self.place:  # each entry has a byte at least
            raise IndexError
        return iter(range(size))

    _READ: dict[int, Callable[[_Reader, int], Any]] = {  # noqa: RUF012 - never changed
        BINARY: binary,
        STRUCT: struct,
        LIST: sequence,
        SET: sequence,
        MAP: mapping,
    }


def _write(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_varint(out, (value << 1) ^ (value >> 63))
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind in (LIST, SET):
        _write_list(out, *value)
    elif kind == MAP:
        _write_map(out, *value)
    elif kind == DOUBLE:
        out += value
    else:
        out.append(value)


def _write_struct(out: bytearray, value: Struct) -> None:
    before = 0
    for number, (kind, content) in value.fields.items():
        if 0 < number - before <= 15:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write(out, I16, number)
        if kind not in (TRUE, FALSE):
            _write(out, kind, content)
        before = number
    out.append(0)


def _write_list(out: bytearray, kind: int, values: list[Any]) -> None:
    if len(values) < 15:
        out.append(len(values) << 4 | kind)
    else:
        out.append(0xF0 | kind)
        _write_varint(out, len(values))
    for value in values:
        _write(out, kind, value)


def _write_map(out: bytearray, keys: int, values: int, pairs: list[tuple[Any, Any]]) -> None:
    _write_varint(out, len(pairs))
    if pairs:
        out.append(keys << 4 | values)
    for key, value in pairs:
        _write(out, keys, key)
        _write(out, values, value)


def _write_varint(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)

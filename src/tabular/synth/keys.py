"""Makes keys afresh: unique, of the same shape, and none of them learnt by heart.

A key says nothing but "this row", so it is never modelled, only whether a row has one. Row number
i of a sample gets key number i of an order that the seed picks; partitions made apart therefore
never collide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import ModelFileError, TableError
from tabular.synth.encoding import plain
from tabular.synth.keyshapes import Shape, Shapes, Spill
from tabular.synth.keystrings import UNLIKELY, KeyStrings, Known, known_keys, met_by_chance
from tabular.synth.permute import LARGEST, Ints, Mask, Permutation, mixed

MOST_LEARNT = 1 << 14
"""Keys whose shape is learnt; of more, that many evenly spaced ones."""


def _none() -> Known:
    return np.zeros(0, np.uint32)


@dataclass(frozen=True)
class KeyMaker:
    """Keys of one column.

    Args:
        low: smallest original key, for integers.
        high: largest original key, for integers.
        serial: integers that count up by one.
        shapes: for strings, what they look like.
        known: short hashes of the original keys, where one might else be met by chance.
    """

    low: int = 0
    high: int = 0
    serial: bool = False
    shapes: Shapes | None = None
    known: Known = field(default_factory=_none, compare=False)

    @classmethod
    def learn(cls, name: str, column: pa.ChunkedArray, floor: int = 2) -> Self:
        """Learns the shape of a key column.

        Args:
            name: of the column.
            column: all keys there are.
            floor: keys that must share a separator or a word for it to be kept.

        Raises:
            TableError: keys that are neither whole numbers nor strings.
        """
        values = pc.drop_null(plain(column))
        whole = whole_numbers(values)
        if whole is not None:
            return cls._learn_integers(whole)
        if pa.types.is_string_view(values.type):
            values = values.cast(pa.string())
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            raise TableError(
                f"column {name!r} of type {column.type} cannot have the role id",
                hint="ids are whole numbers or strings",
            )
        some = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_LEARNT)).astype(int))
        shapes = Shapes.learn(values.take(pa.array(some, pa.int64())).to_pylist(), floor)
        chance = met_by_chance(shapes, len(values))
        return cls(shapes=shapes, known=known_keys(values.to_pylist()) if chance else _none())

    @classmethod
    def _learn_integers(cls, values: pa.Array) -> Self:
        if not len(values):
            return cls(serial=True)
        low, high = pc.min(values).as_py(), pc.max(values).as_py()
        if high - low == len(values) - 1:
            return cls(low, high, serial=True)
        if high - low >= len(values) * UNLIKELY:
            return cls(low, high)
        numbers = values.cast(pa.uint64(), safe=False).to_numpy()
        return cls(low, high, known=np.unique(_short(numbers)))

    def make(self, first: int, rows: int, seed: int, kind: pa.DataType) -> pa.Array:
        """Keys of rows `first` to `first + rows`.

        Args:
            first: number of the first row in the whole sample.
            rows: how many.
            seed: picks the order.
            kind: the Arrow type of the column.

        Raises:
            TableError: more rows than the type has values.
        """
        number = np.arange(first, first + rows, dtype=np.int64)
        if self.shapes is None:
            return self._integers(number, seed, kind)
        return KeyStrings(self.shapes, self.known, seed).make(number).cast(kind)

    def _integers(self, number: Ints, seed: int, kind: pa.DataType) -> pa.Array:
        """Keys from the range of the original ones, then above it, then below it.

        Everything is reckoned modulo 2^64, in which both signed and unsigned keys fit.
        """
        span = self.high - self.low + 1
        space = span if self.serial else min(span, LARGEST)
        offset = (number if self.serial else self._inside(number, space, span // space, seed)).view(
            np.uint64
        )
        least, most = _bounds(kind)
        beyond = number - min(space, 2**62)
        above = most - self.high
        if len(number) and int(beyond[-1]) >= above + self.low - least:
            raise TableError(
                f"a key column of type {kind} has no {int(number[-1]) + 1:,} different values",
                hint="draw fewer rows, or give the column the role integer or a wider type",
            )
        up = (beyond + 1).astype(np.uint64) + np.uint64((self.high - self.low) % 2**64)
        further = np.maximum(beyond - min(above, 2**62), -1) + 1
        outside = np.where(further > 0, np.uint64(0) - further.astype(np.uint64), up)
        offset = np.where(beyond < 0, offset, outside)
        found = offset + np.uint64(self.low % 2**64)
        unsigned = pa.types.is_unsigned_integer(kind)
        return pa.array(found if unsigned else found.view(np.int64)).cast(kind)

    def _inside(self, number: Ints, space: int, step: int, seed: int) -> Ints:
        """How far above the least original key these are; original ones come last."""

        def known(inside: Ints) -> Mask:
            if not len(self.known):
                return np.zeros(len(inside), bool)
            keys = inside.astype(np.uint64) * np.uint64(step) + np.uint64(self.low % 2**64)
            hashes = _short(keys)
            at = np.searchsorted(self.known, hashes)
            return np.asarray(self.known.take(at, mode="clip") == hashes)

        found = np.zeros(len(number), np.int64)
        some = number < space
        permutation = Permutation(space, seed, 7)
        found[some] = permutation.avoiding(number[some], known)[0]
        return (found.astype(np.uint64) * np.uint64(step)).view(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """The maker as JSON-able data, but for the hashes."""
        found: dict[str, Any] = {"low": self.low, "high": self.high, "serial": self.serial}
        if self.shapes is not None:
            found["shapes"] = [shape.to_dict() for shape in self.shapes.shapes]
            found["spill"] = self.shapes.spill.to_dict()
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], known: npt.NDArray[Any]) -> Self:
        """The inverse of `to_dict`.

        Args:
            data: what it gave.
            known: the hashes.

        Raises:
            ModelFileError: the data is not a maker's.
        """
        try:
            low, high, serial = int(data["low"]), int(data["high"]), bool(data["serial"])
            shapes = None
            if "shapes" in data:
                found = tuple(Shape.from_dict(shape) for shape in data["shapes"])
                shapes = Shapes(found, Spill.from_dict(data["spill"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"a key column is damaged: {error}") from error
        if high < low or (shapes is not None and not shapes.shapes):
            raise ModelFileError("a key column is damaged: empty range")
        return cls(low, high, serial, shapes, np.sort(known.astype(np.uint32)))


def whole_numbers(values: pa.Array) -> pa.Array | None:
    """Integers, or numbers of another type that are all whole, as integers; else None.

    A column of integers that lacks some is often read as one of floats.

    Args:
        values: none of them missing.
    """
    kind = values.type
    if pa.types.is_integer(kind):
        return values
    if pa.types.is_decimal(kind) and kind.scale == 0 and kind.precision <= 18:
        return values.cast(pa.int64())
    if not pa.types.is_floating(kind):
        return None
    numbers = values.cast(pa.float64()).to_numpy()
    least, most = _bounds(kind)
    exact = (numbers == np.rint(numbers)) & (numbers >= least) & (numbers <= most)
    return pa.array(numbers.astype(np.int64)) if exact.all() else None


def _bounds(kind: pa.DataType) -> tuple[int, int]:
    """Least and greatest whole number of a type, among those it tells apart."""
    if pa.types.is_decimal(kind):
        return 1 - 10**kind.precision, 10**kind.precision - 1
    if pa.types.is_floating(kind):
        most = 1 << {16: 11, 32: 24, 64: 53}[kind.bit_width]
        return -most, most
    bits = kind.bit_width
    if pa.types.is_unsigned_integer(kind):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _short(numbers: npt.NDArray[np.uint64]) -> Known:
    """Short hashes: enough to make another key, too little to be one."""
    return (mixed(numbers, 1) >> np.uint64(32)).astype(np.uint32)

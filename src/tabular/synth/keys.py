"""Makes keys afresh: unique, of the same shape, and none of them learnt by heart.

A key says nothing but "this row", so it is never modelled. Row number i of a sample gets key
number i of a permutation that the seed picks; partitions made apart therefore never collide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import ModelFileError, TableError
from tabular.synth.encoding import plain

_LARGEST = 1 << 31
"""Largest permuted space: products of two of its numbers still fit 63 bits."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KeyMaker:
    """Keys of one column.

    Args:
        low: smallest original key, for integers.
        high: largest original key, for integers.
        serial: integers that count up by one.
        alphabets: for strings, the characters seen at each position of the commonest length.
    """

    low: int = 0
    high: int = 0
    serial: bool = False
    alphabets: tuple[str, ...] = ()

    @classmethod
    def learn(cls, name: str, column: pa.ChunkedArray) -> Self:
        """Learns the shape of a key column.

        Raises:
            TableError: keys that are neither integers nor strings.
        """
        values = pc.drop_null(plain(column))
        if pa.types.is_integer(values.type):
            if not len(values):
                return cls(serial=True)
            low, high = pc.min(values).as_py(), pc.max(values).as_py()
            return cls(low, high, high - low == len(values) - 1)
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            raise TableError(
                f"column {name!r} of type {column.type} cannot have the role id",
                hint="ids are whole numbers or strings",
            )
        return cls(alphabets=_alphabets(values.to_pylist()))

    def make(self, first: int, rows: int, seed: int, kind: pa.DataType) -> pa.Array:
        """Keys of rows `first` to `first + rows`.

        Args:
            first: number of the first row in the whole sample.
            rows: how many.
            seed: picks the permutation.
            kind: the Arrow type of the column.

        Raises:
            TableError: more rows than the type has values.
        """
        number = np.arange(first, first + rows, dtype=np.int64)
        if not self.alphabets:
            return self._integers(number, seed, kind)
        return pa.array(self._strings(number, seed), type=pa.string()).cast(kind)

    def _integers(self, number: Ints, seed: int, kind: pa.DataType) -> pa.Array:
        """Keys from the range of the original ones, then above it, then below it.

        Everything is reckoned modulo 2^64, in which both signed and unsigned keys fit.
        """
        span = self.high - self.low + 1
        space = span if self.serial else min(span, _LARGEST)
        inside = number if self.serial else _permuted(number % space, space, seed)
        offset = inside.astype(np.uint64) * np.uint64(1 if self.serial else span // space)
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

    def _strings(self, number: Ints, seed: int) -> list[str]:
        sizes = [len(alphabet) for alphabet in self.alphabets]
        permuted, space = 0, 1
        while permuted < len(sizes) and space * sizes[-1 - permuted] <= _LARGEST:
            space *= sizes[-1 - permuted]
            permuted += 1
        rest = _permuted(number % space, space, seed)
        letters = np.empty((len(number), len(sizes)), dtype="<U1")
        for back, (size, alphabet) in enumerate(
            zip(sizes[::-1], self.alphabets[::-1], strict=True)
        ):
            if back < permuted:
                rest, digit = np.divmod(rest, size)
            else:
                digit = (_mixed(number, seed, back) % np.uint64(size)).astype(np.int64)
            letters[:, -1 - back] = np.array(list(alphabet))[digit]
        words = letters.view(f"<U{len(sizes)}").ravel().tolist()
        again = number // space
        if not again.any():
            return words
        return [w + (str(a) if a else "") for w, a in zip(words, again.tolist(), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """The maker as JSON-able data."""
        return {
            "low": self.low,
            "high": self.high,
            "serial": self.serial,
            "alphabets": list(self.alphabets),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ModelFileError: the data is not a maker's.
        """
        try:
            maker = cls(
                int(data["low"]),
                int(data["high"]),
                bool(data["serial"]),
                tuple(str(alphabet) for alphabet in data["alphabets"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"a key column is damaged: {error}") from error
        if maker.high < maker.low or "" in maker.alphabets:
            raise ModelFileError("a key column is damaged: empty range")
        return maker


def _bounds(kind: pa.DataType) -> tuple[int, int]:
    """Least and greatest value of an integer type."""
    bits = kind.bit_width
    if pa.types.is_unsigned_integer(kind):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _alphabets(values: list[str]) -> tuple[str, ...]:
    length = Counter(map(len, values)).most_common(1)[0][0] if values else 8
    same = [value for value in values if len(value) == length]
    if not length or not same:
        return ("0123456789",) * 8
    return tuple("".join(sorted(set(position))) for position in zip(*same, strict=True))


def _permuted(number: Ints, space: int, seed: int) -> Ints:
    """A permutation of 0..space-1: affine, its factor coprime to the space."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 7])))
    shift, factor = (int(x) for x in random.bit_generator.random_raw(2) % np.uint64(space))
    while gcd(factor, space) != 1:
        factor = (factor + 1) % space if space > 1 else 1
    return (number * factor + shift) % space


def _mixed(number: Ints, seed: int, salt: int) -> npt.NDArray[np.uint64]:
    """A hash of row number, seed and position (the finalizer of SplitMix64)."""
    x = number.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + salt + 1) % 2**64)
    x *= np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))

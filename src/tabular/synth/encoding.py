"""Turns a column into at most 255 bins plus "missing", and back: engines see small integers.

Both engines learn from bins: a byte per cell keeps a table in cache and makes a histogram one
`bincount`. What is lost by binning is kept aside as the *index*, the position of the exact value
in the column's sorted (or, for categories, most-frequent-first) dictionary. Index 0 is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import TableError, TooLargeError

MAX_BINS = 255
"""Bins for values; code 0 is missing, so a code always fits a byte."""

GRID_CELLS = 1 << 18
"""Longest look-up table from a number to its bin; wider columns are searched instead."""

SNAP_ROWS = 8
"""A column whose distinct values hold this many rows each is drawn from those values alone."""

FLOAT_DECIMALS = 8
"""Most decimals tried before a float column counts as continuous."""

ROUNDING = 4
"""Units in a float's last place that arithmetic on decimals may have cost it, such as 0.1 + 0.2."""

_MOST_STRING_BYTES = 2**31 - 1
_MOST_UINT64 = float(np.nextafter(2.0**64, 0))
_HIGHEST_BIT = np.uint64(2**63)
_EXACT = 2**53
"""Whole numbers up to this one are exact as floats."""

Codes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Codec:
    """How one column is encoded, and decoded into its original type.

    Args:
        name: the column.
        type: the Arrow type that comes out.
        values: distinct values without missing; ascending if ordered, else most frequent first.
        bins: for each of `values`, its code from 1 to 255.
        numbers: `values` as numbers in units of `step` above `origin`, or None for categories.
        origin: value of number 0, an integer for everything but floats.
        step: the granularity of the column: 1 for most integers, 0.01 for prices; 0 if continuous.
        decimals: decimals of a float column, -1 if continuous or not a float.
        snap: whether drawn numbers move to the nearest of `values`.
        nan: whether missing is written as NaN rather than null.
    """

    name: str
    type: pa.DataType
    values: pa.Array
    bins: Codes
    numbers: Numbers | None = None
    origin: float = 0
    step: float = 1
    decimals: int = -1
    snap: bool = True
    nan: bool = False

    @property
    def size(self) -> int:
        """Number of distinct values."""
        return len(self.values)

    @property
    def exact(self) -> bool:
        """Whether each distinct value is its own bin, so that a code tells the value."""
        return self.size <= MAX_BINS

    @cached_property
    def code_of_index(self) -> Codes:
        """Code for each index; index 0 is missing."""
        return np.concatenate([np.zeros(1, np.uint8), self.bins])

    @cached_property
    def number_of_index(self) -> Numbers:
        """Number for each index; missing is NaN.

        Raises:
            TypeError: for a column of categories.
        """
        if self.numbers is None:
            raise TypeError(f"column {self.name!r} holds categories, not numbers")
        return np.concatenate([np.full(1, np.nan), self.numbers])

    @cached_property
    def _grid(self) -> Index | None:
        """Index of the nearest distinct value for each whole number, if few enough."""
        if self.numbers is None or self.step == 0 or not self.size:
            return None
        top = float(self.numbers[-1])
        if top + 1 > GRID_CELLS:
            return None
        return self._nearest(np.arange(int(top) + 1, dtype=np.float64))

    def _nearest(self, numbers: Numbers) -> Index:
        assert self.numbers is not None
        middles = self.numbers[1:] / 2 + self.numbers[:-1] / 2
        return (np.searchsorted(middles, numbers, side="right") + 1).astype(np.int32)

    def index_of_numbers(self, numbers: Numbers) -> npt.NDArray[np.intp]:
        """Index of the distinct value nearest to each number; NaN becomes 0, missing."""
        missing = np.isnan(numbers)
        known = np.where(missing, 0.0, numbers) if missing.any() else numbers
        if self._grid is not None:
            cells = np.rint(known).astype(np.intp)
            index = self._grid.take(cells, mode="clip").astype(np.intp)
        else:
            index = self._nearest(known).astype(np.intp)
        if missing.any():
            index[missing] = 0
        return index

    @cached_property
    def _typed(self) -> npt.NDArray[Any]:
        """Distinct numbers in the storage type of the column, a filler first for missing."""
        stored = storage(self.values)
        return np.concatenate([stored[:1], stored]) if len(stored) else np.zeros(1, stored.dtype)

    def decode_index(self, index: npt.NDArray[np.intp], *, dictionary: bool = False) -> pa.Array:
        """Exact values for indices.

        Args:
            index: 0 is missing, k the k-th distinct value.
            dictionary: leave categories dictionary-encoded, as a Parquet writer likes them.
        """
        missing = index == 0 if self.size else np.ones(len(index), bool)
        mask = missing if missing.any() else None
        if self.numbers is not None and not pa.types.is_dictionary(self.type):
            return self._build(self._typed.take(index, mode="clip"), mask)
        if not self.size:
            return pa.nulls(len(index), self.type)
        keys = pa.array((index - 1).astype(np.int32), mask=mask)
        coded = pa.DictionaryArray.from_arrays(keys, self.values)
        if dictionary:
            return coded
        if pa.types.is_dictionary(self.type):
            return coded.cast(self.type)
        return coded.dictionary_decode()

    def decode_numbers(self, numbers: Numbers) -> pa.Array:
        """Values for drawn numbers, rounded to the column's own granularity."""
        if pa.types.is_dictionary(self.type):
            return self.decode_index(self.index_of_numbers(numbers))
        missing = np.isnan(numbers)
        mask = missing if missing.any() else None
        known = np.where(missing, 0.0, numbers) if mask is not None else numbers
        if self.decimals < 0 and not pa.types.is_floating(self.type) and self.step:
            return self._build(self._whole(np.rint(known)), mask)
        if self.step:
            known = np.round(np.rint(known) * self.step + self.origin, max(0, self.decimals))
        else:
            known = known + self.origin
        return self._build(known, mask)

    def _whole(self, units: Numbers) -> npt.NDArray[np.int64]:
        """Whole numbers of so many steps above the origin, all within the column's range."""
        step, origin = int(self.step), int(self.origin)
        top = (int(self._typed[-1]) - origin) // step
        if top < _EXACT:
            return units.astype(np.int64) * np.int64(step) + np.int64(origin)
        # Modulo 2^64, in which a range of any width fits.
        offset = np.clip(units, 0, _MOST_UINT64).astype(np.uint64)
        offset = np.minimum(offset, np.uint64(top)) * np.uint64(step)
        whole: npt.NDArray[np.int64] = (offset + np.uint64(origin % 2**64)).view(np.int64)
        return whole

    def _build(self, stored: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None) -> pa.Array:
        if mask is not None and self.nan:
            stored = np.where(mask, np.nan, stored)
            mask = None
        array = pa.array(stored, mask=mask)
        return array if array.type == self.type else from_storage(array, self.type)


def storage(values: pa.Array) -> npt.NDArray[Any]:
    """Numbers behind an ordered Arrow array: int64 for integers and times, else float64.

    Unsigned 64-bit integers come 2^63 lower, so that each has its own and their order stays.
    """
    kind = values.type
    if kind == pa.uint64():
        lower: npt.NDArray[np.int64] = values.to_numpy(zero_copy_only=False) ^ _HIGHEST_BIT
        return lower.view(np.int64)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        values = values.cast(pa.int32())
    real = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    cast = values.cast(pa.float64() if real else pa.int64())
    numbers: npt.NDArray[Any] = cast.to_numpy(zero_copy_only=False)
    return numbers


def from_storage(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The inverse of `storage`: an int64 or float64 array as `kind`."""
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return array.cast(pa.int32()).cast(kind)
    if kind == pa.uint64():
        shifted = array.fill_null(0).to_numpy(zero_copy_only=False)
        if array.type == pa.float64():  # older models hold them as they are
            return pa.array(shifted.clip(0, _MOST_UINT64), mask=_absent(array)).cast(kind)
        return pa.array(shifted.view(np.uint64) ^ _HIGHEST_BIT, mask=_absent(array))
    if pa.types.is_decimal(kind):
        return pc.round(array, kind.scale).cast(kind, safe=False)
    return array.cast(kind, safe=False)


def _absent(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), bool)


_ORDERED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_duration,
)
_UNORDERED = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
)


def is_ordered(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are numbers, dates or times."""
    return any(test(kind) for test in _ORDERED)


def is_learnable(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type can be synthesized; the one place that says so."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(test(kind) for test in _ORDERED + _UNORDERED)


def not_learnable(name: str, kind: pa.DataType) -> TableError:
    """The error for a column of a type that `is_learnable` denies."""
    hint = "flatten it into plain columns, or drop it"
    if isinstance(kind, pa.BaseExtensionType):
        hint = "make plain numbers, times or texts of it, or drop it"
    return TableError(f"column {name!r} has type {kind}, which cannot be synthesized", hint=hint)


def plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One contiguous array, dictionaries decoded, NaN as null; very much text as large strings."""
    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_string(column.type) and column.nbytes > _MOST_STRING_BYTES:
            column = column.cast(pa.large_string())
        column = column.combine_chunks()
    array = column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        if array.type == pa.float16():
            array = array.cast(pa.float32())
        nan = pc.is_nan(array)
        if pc.any(nan).as_py():
            array = pc.if_else(nan, pa.scalar(None, array.type), array)
    return array


def encode(
    name: str, column: pa.ChunkedArray | pa.Array, *, ordered: bool, floor: int = 1
) -> tuple[Codec, Index]:
    """Learns the codec of a column and encodes it.

    Args:
        name: the column's name, for messages.
        column: its values.
        ordered: numbers, dates and times; False treats the values as categories.
        floor: categories with fewer rows than this are replaced by more frequent ones; of
            numbers, the least and the greatest are coded as a value with this many rows.

    Returns:
        The codec and the index of each row (0 is missing).

    Raises:
        TableError: infinite values, or a type that cannot be synthesized.
    """
    if not is_learnable(column.type):
        raise not_learnable(name, column.type)
    array = plain(column)
    if pa.types.is_null(array.type):
        empty = Codec(name, column.type, pa.array([], pa.string()), np.zeros(0, np.uint8))
        return empty, np.zeros(len(array), np.int32)
    coded = pc.dictionary_encode(array)
    dictionary = coded.dictionary
    if pa.types.is_large_string(dictionary.type) and pa.types.is_string(column.type):
        dictionary = _narrow(name, dictionary)
    position = coded.indices
    if position.null_count:
        position = position.fill_null(-1)
    rows = position.to_numpy(zero_copy_only=False).astype(np.int32) + 1
    counts = np.bincount(rows, minlength=len(dictionary) + 1)[1:]
    if ordered:
        return _encode_ordered(name, column, dictionary, rows, counts, floor=floor)
    raw = Codec(name, column.type, dictionary, np.zeros(0, np.uint8))
    return _encode_categories(raw, rows, counts, floor)


def _bulk(counts: npt.NDArray[np.int64], floor: int) -> tuple[int, int]:
    """First and last of the values that stay; those outside are coded as the nearer of the two.

    At or beyond either end lie `floor` rows at least, so that an end stands for that many
    ("top and bottom coding", Hundepool et al. 2012, Statistical Disclosure Control).

    Args:
        counts: rows of each value, values ascending.
        floor: rows, at least; where there are fewer than twice as many all values stay.
    """
    upward = np.cumsum(counts)
    if floor < 2 or not len(counts) or upward[-1] < 2 * floor:
        return 0, len(counts) - 1
    low = np.searchsorted(upward, floor)
    high = np.searchsorted(upward, upward[-1] - floor, side="right")
    return int(low), int(high)


def _narrow(name: str, dictionary: pa.Array) -> pa.Array:
    """Texts that `plain` made large, as the column's own type again."""
    try:
        return dictionary.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise TooLargeError(
            f"column {name!r} holds more than {_MOST_STRING_BYTES:,} bytes of different texts",
            hint="drop the column, or take a sample of its rows",
        ) from error


def _encode_ordered(
    name: str,
    column: pa.ChunkedArray | pa.Array,
    dictionary: pa.Array,
    rows: Index,
    counts: npt.NDArray[np.int64],
    *,
    floor: int,
) -> tuple[Codec, Index]:
    stored = storage(dictionary)
    if not np.isfinite(stored).all():
        raise TableError(
            f"column {name!r} holds infinite values",
            hint="replace them by missing values or by a number",
        )
    order = np.argsort(stored, kind="stable")
    low, high = _bulk(counts[order], floor)
    rank = np.zeros(len(order) + 1, np.int32)
    rank[order + 1] = np.arange(len(order)).clip(low, high) - low + 1
    index = rank[rows]
    order = order[low : high + 1]
    kept = np.bincount(index, minlength=len(order) + 1)[1:]
    ascending = stored[order]
    numbers, origin, step, decimals = _numbers(ascending, dictionary.type)
    total = int(counts.sum())
    nan = pa.types.is_floating(column.type) and column.null_count == 0
    codec = Codec(
        name=name,
        type=column.type,
        values=dictionary.take(pa.array(order)),
        bins=_quantile_bins(kept),
        numbers=numbers,
        origin=origin,
        step=step,
        decimals=decimals,
        snap=len(order) <= MAX_BINS
        or len(order) * SNAP_ROWS <= total
        or pa.types.is_dictionary(column.type),
        nan=nan,
    )
    return codec, index


def _numbers(ascending: npt.NDArray[Any], kind: pa.DataType) -> tuple[Numbers, float, float, int]:
    """Numbers in units of the column's step, its origin, step and decimals."""
    if not len(ascending):
        return np.zeros(0), 0, 1, -1
    if ascending.dtype == np.int64:
        origin = int(ascending[0])
        above = ascending.view(np.uint64) - np.uint64(origin % 2**64)
        step = int(np.gcd.reduce(above)) or 1
        return (above // np.uint64(step)).astype(np.float64), origin, step, -1
    slack = _slack(ascending, kind)
    for decimals in range(FLOAT_DECIMALS + 1):
        scaled = ascending * 10.0**decimals
        if not np.abs(scaled).max() < 2**52:
            break
        whole = np.rint(scaled)
        if (np.abs(whole / 10.0**decimals - ascending) <= slack).all():
            steps = (whole - whole[0]).astype(np.int64)
            unit = int(np.gcd.reduce(steps)) or 1
            return steps / unit, float(ascending[0]), unit / 10.0**decimals, decimals
    return ascending, 0, 0, -1


def _slack(ascending: npt.NDArray[Any], kind: pa.DataType) -> Numbers:
    """How far each float may be from a decimal number and still mean it."""
    if kind in (pa.float16(), pa.float32()):
        ascending = ascending.astype(np.float16 if kind == pa.float16() else np.float32)
    slack: Numbers = (ROUNDING * np.spacing(np.abs(ascending))).astype(np.float64)
    return slack


def _quantile_bins(counts: npt.NDArray[np.int64]) -> Codes:
    """Own bins for up to 255 values, else bins of equal numbers of rows."""
    if len(counts) <= MAX_BINS:
        return np.arange(1, len(counts) + 1, dtype=np.uint8)
    middle = np.cumsum(counts) - counts / 2
    wanted = np.floor(middle * (MAX_BINS / counts.sum())).astype(np.int64)
    used = np.unique(wanted, return_inverse=True)[1]
    return (used + 1).astype(np.uint8)


def _encode_categories(
    coded: Codec, rows: Index, counts: npt.NDArray[np.int64], floor: int
) -> tuple[Codec, Index]:
    """Orders the categories of a provisional codec by frequency and drops the rare ones."""
    order = np.argsort(-counts, kind="stable")
    kept = order[counts[order] >= floor]
    rank = np.zeros(len(order) + 1, np.int32)
    rank[kept + 1] = np.arange(1, len(kept) + 1)
    index = rank[rows]
    rare = (index == 0) & (rows != 0)
    if len(kept) and rare.any():
        index[rare] = _spread(int(rare.sum()), counts[kept])
    bins = np.minimum(np.arange(1, len(kept) + 1), MAX_BINS).astype(np.uint8)
    return replace(coded, values=coded.values.take(pa.array(kept)), bins=bins), index


def _spread(rows: int, counts: npt.NDArray[np.int64]) -> Index:
    """Stand-ins for rare categories: kept ones in proportion, evenly spread, no randomness."""
    golden = (np.arange(1, rows + 1) * 0.6180339887498949) % 1.0
    share = np.cumsum(counts) / counts.sum()
    return (np.searchsorted(share, golden, side="right") + 1).clip(1, len(counts)).astype(np.int32)

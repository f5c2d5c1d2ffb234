"""Free text without the people in it.

A sentence or a name is unique, so a copied one is a leak. Strings that many rows hold stay; every
other one is replaced, before anything is learnt, by a made one that is no string of the column.
Neither the model nor its file ever holds a rare string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.errors import ModelFileError, TableError
from tabular.synth.encoding import MAX_BINS, Codec, Index, encode, plain
from tabular.synth.engines import RawRandom
from tabular.synth.surrogates import Surrogates

POOL = 1 << 15
"""Strings made for a column whose strings are unique, so that drawn ones seldom repeat."""

MOST_COPIES = 16
"""Strings made in the place of a single one, at most."""

MOST_LEARNT, MOST_MADE, MOST_BYTES = 1 << 15, 1 << 17, 1 << 24
"""Rare strings learnt from; strings made; bytes of either."""


@dataclass(frozen=True)
class Pool:
    """Which values of a codec stand in for strings of single rows.

    Args:
        first: position of the first of them; they are the codec's last.
        copies: how many alternatives each has: those of the first round, of the second, ….
    """

    first: int
    copies: int

    def vary(
        self, index: npt.NDArray[np.intp], size: int, random: RawRandom
    ) -> npt.NDArray[np.intp]:
        """Any alternative in place of each drawn index that has some.

        Args:
            index: as drawn; 0 is missing.
            size: values of the codec.
            random: the block's; the first rows come out alike however many follow.
        """
        singles = (size - self.first) // self.copies
        lot = (random.uint32(len(index)) * np.uint64(self.copies)) >> np.uint64(32)
        return np.where(index > self.first, index + lot.astype(np.intp) * singles, index)

    def to_dict(self) -> dict[str, Any]:
        """The pool as JSON-able data."""
        return {"first": self.first, "copies": self.copies}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], size: int) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ModelFileError: it does not fit a codec of so many values.
        """
        pool = cls(int(data["first"]), int(data["copies"]))
        if not 0 <= pool.first <= size or pool.copies < 1 or (size - pool.first) % pool.copies:
            raise ModelFileError("the texts of a column are damaged")
        return pool


def disguise(
    name: str, column: pa.ChunkedArray, whole: pa.ChunkedArray, floor: int, *, vary: bool
) -> tuple[Codec, Index, Pool]:
    """Encodes a column of strings with made ones in place of those that few rows hold.

    Args:
        name: of the column.
        column: the rows that are learnt from.
        whole: all rows there are; none of their strings comes out unless it is frequent.
        floor: rows a string needs to stay as it is.
        vary: make alternatives for strings of single rows.

    Returns:
        The codec, the index of each row (0 is missing), and where the alternatives are.

    Raises:
        TableError: what the column holds are no strings.
    """
    codec, index = encode(name, _strings(name, column), ordered=False)
    codec = replace(codec, type=text_type(column.type))
    rows = np.bincount(index, minlength=codec.size + 1)[1:]
    kept, repeated = int((rows >= floor).sum()), int((rows > 1).sum())
    if kept == codec.size:
        return codec, index, Pool(codec.size, 1)
    rare = codec.values[kept:]
    bytes_each = max(1, rare.nbytes // len(rare))
    learnt = min(len(rare), MOST_LEARNT, MOST_BYTES // bytes_each + 1)
    bases = min(len(rare), MOST_MADE, MOST_BYTES // bytes_each + 1)
    first = min(max(repeated, kept), kept + bases)
    singles = kept + bases - first
    copies = _copies(column.type, kept + bases, singles, bytes_each) if vary and singles else 1
    base = np.arange(bases)
    wanted = np.concatenate([base, np.tile(base[first - kept :], copies - 1)])
    some = np.arange(learnt) * len(rare) // learnt
    maker = Surrogates(
        rare.take(pa.array(some)).to_pylist(),
        rows[kept:][some],
        codec.values[:kept].to_pylist(),
        rows[:kept],
        floor,
    )
    made = maker.make(wanted * learnt // bases, _different(whole))
    values = pa.concat_arrays([codec.values[:kept].cast(made.type), made])
    values = values.cast(_value_type(codec.type))
    bins = np.minimum(np.arange(1, len(values) + 1), MAX_BINS).astype(np.uint8)
    beyond = index > kept + bases
    index[beyond] = kept + 1 + (index[beyond] - kept - 1) % bases
    return replace(codec, values=values, bins=bins), index, Pool(first, copies)


def rare_share(column: pa.ChunkedArray, floor: int) -> float:
    """Of the rows that have a value, the share whose value fewer than `floor` rows hold."""
    values = pc.drop_null(plain(column))
    if not len(values):
        return 0.0
    counts = pc.value_counts(values).field("counts").to_numpy()
    return float(counts[counts < floor].sum() / len(values))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are strings."""
    kind = _value_type(kind)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def text_type(kind: pa.DataType) -> pa.DataType:
    """The type in which a codec holds a text column: its own where Arrow can."""
    value = _value_type(kind)
    return kind if pa.types.is_string(value) or pa.types.is_large_string(value) else pa.string()


def _copies(kind: pa.DataType, size: int, singles: int, bytes_each: int) -> int:
    """How many alternatives single strings get; positions in a dictionary may be short numbers."""
    most = min(POOL, MOST_BYTES // bytes_each)
    if pa.types.is_dictionary(kind):
        most = min(most, (1 << (kind.index_type.bit_width - 1)) - 1 - size + singles)
    return max(1, min(MOST_COPIES, most // singles))


def _different(column: pa.ChunkedArray) -> pa.Array:
    found = pc.unique(pc.drop_null(plain(column)))
    return found.cast(pa.large_string() if pa.types.is_large_string(found.type) else pa.string())


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _strings(name: str, column: pa.ChunkedArray) -> pa.Array:
    try:
        found = plain(column)
        return found if pa.types.is_large_string(found.type) else found.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(
            f"column {name!r} of type {column.type} cannot have the role text"
        ) from error

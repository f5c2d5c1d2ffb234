"""Keeps drawn rows from being copies of one real row.

A row that many people share gives nobody away; one that a single training row has might. The
guard remembers a hash of each row that occurs once, so that the sampler can draw such rows again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from tabular.synth.encoding import Codec
from tabular.synth.engines import Drawn, RawRandom

TYPICAL = 0.9
"""Quantile of the rarity of rows that repeat, below which a copy passes as a coincidence."""

_SIEVE_BITS = 8
"""Sieve slots per remembered row, as a power of two's minimum; few false alarms to look up."""

Hashes = npt.NDArray[np.uint64]


class CopyGuard:
    """Recognizes copies of the training rows that occur once.

    Args:
        unique: sorted hashes of those rows.
    """

    def __init__(self, unique: Hashes) -> None:
        self.unique = unique
        slots = 1 << max(10, (len(unique) * _SIEVE_BITS).bit_length())
        self._shift = np.uint64(64 - slots.bit_length() + 1)
        self._sieve = np.zeros(slots, bool)
        self._sieve[(unique >> self._shift).astype(np.intp)] = True

    @classmethod
    def learn(
        cls, columns: Sequence[npt.NDArray[np.integer]], *, strict: bool = False
    ) -> CopyGuard:
        """Remembers the rows that occur once.

        In a table of few possible rows most copies are coincidences, that new people would match
        as often; refusing them all would bend the distribution and even mark who was there. So
        rows as probable (by the product of their values' frequencies) as most rows that do repeat
        are let through, unless strict.

        Args:
            columns: index of each column's value per training row.
            strict: remember all rows that occur once.
        """
        hashes, where, counts = np.unique(
            row_hashes(columns), return_inverse=True, return_counts=True
        )
        once = counts[where] == 1
        rarity = _rarity(columns)
        if not strict and not once.all():
            once &= rarity > np.quantile(rarity[~once], TYPICAL)
        return cls(np.sort(hashes[where[once]]))

    def copies(self, columns: Sequence[npt.NDArray[np.integer]]) -> npt.NDArray[np.bool_]:
        """Whether each drawn row equals a training row that occurs once."""
        hashes = row_hashes(columns)
        found = self._sieve.take((hashes >> self._shift).astype(np.intp))
        maybe = np.flatnonzero(found)
        if len(maybe):
            at = np.searchsorted(self.unique, hashes[maybe])
            found[maybe] = self.unique.take(at, mode="clip") == hashes[maybe]
        return found


def shake(  # noqa: PLR0917
    columns: list[Drawn],
    codecs: Sequence[Codec],
    guarded: Sequence[int],
    loose: Collection[int],
    guard: CopyGuard,
    random: RawRandom,
) -> npt.NDArray[np.bool_]:
    """Move the numbers of copied rows a little, in place, and tell which rows still are copies.

    A number whose values hold few rows each goes to a place between its neighbours among the
    training values: the distribution stays, the copy does not. Other rows stay as they are.

    Args:
        columns: drawn columns of the whole table.
        codecs: theirs.
        guarded: positions of the columns the guard looks at.
        loose: positions of the columns whose numbers may move.
        guard: recognizes copies.
        random: source of the moves.
    """
    copied = guard.copies([columns[position].index for position in guarded])
    rows = np.flatnonzero(copied)
    if not len(rows):
        return copied
    # Rows with a number that no training row has.
    moved = np.zeros(len(rows), bool)
    for position in loose:
        codec, column = codecs[position], columns[position]
        index = column.index.take(rows)
        numbers = codec.number_of_index
        low = numbers.take(np.maximum(index - 1, 1), mode="clip")
        high = numbers.take(np.minimum(index + 1, codec.size))
        to = low + (high - low) * (random.uint32(len(rows)) * 2.0**-32)
        if codec.step:
            to = np.rint(to)
        to[index == 0] = np.nan
        nearest = codec.index_of_numbers(to)
        if column.numbers is None:
            column.numbers = numbers.take(column.index)
        column.index[rows], column.numbers[rows] = nearest, to
        moved |= (index > 0) & ~np.isclose(to, numbers.take(nearest), rtol=1e-9, atol=0)
    again = guard.copies([columns[position].index.take(rows) for position in guarded])
    copied[rows] = again & ~moved
    return copied


def _rarity(columns: Sequence[npt.NDArray[np.integer]]) -> npt.NDArray[np.float64]:
    """Per row, minus the sum of the logarithms of its values' counts."""
    total = np.zeros(len(columns[0]))
    for column in columns:
        total -= np.log(np.maximum(np.bincount(column), 1)).take(column)
    return total


def row_hashes(columns: Sequence[npt.NDArray[np.integer]]) -> Hashes:
    """A 64-bit hash per row: multiply-add over the columns, mixed once."""
    total = np.zeros(len(columns[0]) if columns else 0, np.uint64)
    for column in columns:
        total += column.astype(np.uint64)
        total *= np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    total *= np.uint64(0xBF58476D1CE4E5B9)
    total ^= total >> np.uint64(32)
    return total * np.uint64(0x94D049BB133111EB)

"""Keeps drawn rows from being copies of one real row.

A row that many people share gives nobody away; one that a single training row has might. The
guard remembers a hash of each row that occurs once, so that the sampler can draw such rows again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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

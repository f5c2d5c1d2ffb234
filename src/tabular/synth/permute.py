"""Numbers below a bound in an order that a seed picks, each found without those before it.

Rows are made in parts and by several processes, and still no two may get the same key: row number
i gets number i of a permutation. Numbers that must not come out are put behind the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

LARGEST = 1 << 62
"""Largest permuted range, so that all its numbers and twice as many fit 63 bits."""

SIBLINGS = 8
"""Numbers that are looked at together to put the unwanted ones behind."""

_ROUNDS = 4
_PHI = 0x9E3779B97F4A7C15

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]


def mixed(x: Hashes, key: int) -> Hashes:
    """A hash of each number (the finalizer of SplitMix64, Steele et al. 2014), one per key."""
    x = (x ^ np.uint64(key % 2**64)) * np.uint64(_PHI)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class Permutation:
    """A permutation of 0 to `size` - 1.

    A Feistel network over the next power of four; what falls outside is permuted again until it
    falls inside ("cycle walking", Black and Rogaway 2002).

    Args:
        size: how many numbers, at most `LARGEST`.
        key: numbers that pick the permutation.
    """

    def __init__(self, size: int, *key: int) -> None:
        self.size = size
        self._half = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
        self._mask = np.uint64((1 << int(self._half)) - 1)
        keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64)
        self._keys = [int(k) for k in keys]

    def at(self, rank: Ints) -> Ints:
        """The numbers at these places, each from 0 to `size` - 1."""
        found = self._round(rank.astype(np.uint64))
        outside = np.flatnonzero(found >= self.size)
        while len(outside):
            found[outside] = self._round(found[outside])
            outside = outside[found[outside] >= self.size]
        return found.astype(np.int64)

    def _round(self, x: Hashes) -> Hashes:
        left, right = x >> self._half, x & self._mask
        for key in self._keys:
            left, right = right, left ^ (mixed(right, key) & self._mask)
        return np.asarray(left << self._half | right)

    def avoiding(self, rank: Ints, unwanted: Callable[[Ints], Mask]) -> tuple[Ints, Mask]:
        """A permutation too, that puts unwanted numbers at late places where it can.

        Args:
            rank: places.
            unwanted: tells of numbers whether they are.

        Returns:
            The numbers, and which of them are unwanted all the same.
        """
        found = self.at(rank)
        bad = unwanted(found)
        part = self.size // SIBLINGS
        inside = rank < part * SIBLINGS
        some = np.flatnonzero(inside & (bad | (rank >= part)))
        if not part or not len(some):
            return found, bad
        turn, own = np.divmod(rank[some], part)
        family = self.at((own[:, None] + part * np.arange(SIBLINGS)).ravel())
        behind = unwanted(family).reshape(-1, SIBLINGS)
        order = np.argsort(behind, axis=1, kind="stable")
        chosen = order[np.arange(len(some)), turn]
        found[some] = family.reshape(-1, SIBLINGS)[np.arange(len(some)), chosen]
        bad[some] = behind[np.arange(len(some)), chosen]
        return found, bad

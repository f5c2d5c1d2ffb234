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

HEAP_SHARE, HEAP_ROWS = 8, 16
"""Times the mean number of rows of a value, and rows, above which a number is never moved."""

SWAP_REACH, SWAP_ROUNDS, MOST_SWAPPED = 16, 5, 4
"""Rows among which a partner is drawn at first; rounds, each with four times as many; columns."""

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]


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
        fixed = _frequent(column.index, codec.size).take(index)
        nearest = np.where(fixed, index, codec.index_of_numbers(to))
        to = np.where(fixed, _numbers(codec, column).take(rows), to)
        if column.numbers is None:
            column.numbers = numbers.take(column.index)
        column.index[rows], column.numbers[rows] = nearest, to
        moved |= (index > 0) & ~fixed & ~np.isclose(to, numbers.take(nearest), rtol=1e-9, atol=0)
    again = guard.copies([columns[position].index.take(rows) for position in guarded])
    copied[rows] = again & ~moved
    return copied


def _frequent(index: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.bool_]:
    """Values, by index, that many drawn rows share: a heap such as 0, which stays where it is."""
    counts = np.bincount(index, minlength=size + 1)
    frequent: npt.NDArray[np.bool_] = counts > max(HEAP_ROWS, HEAP_SHARE * len(index) / (size + 1))
    return frequent


def swap(  # noqa: PLR0917
    columns: Sequence[Drawn],
    codecs: Sequence[Codec],
    guarded: Sequence[int],
    guard: CopyGuard,
    tied: Collection[int],
    rows: Rows,
    copied: npt.NDArray[np.bool_],
    random: RawRandom,
) -> None:
    """Let copied rows exchange one value with other drawn rows, in place.

    Rows thrown away would take their values' share with them. Exchanged values leave each
    column's distribution exactly as it was, and as the partner's value is the next one up or down
    or near it, most of the joint one ("rank swapping", Moore 1996, Controlled Data-Swapping
    Techniques for Masking Public Use Microdata Sets). A pair is exchanged only if neither row is
    a copy afterwards.

    Args:
        columns: drawn columns of the whole table.
        codecs: theirs.
        guarded: positions of the columns the guard looks at.
        guard: recognizes copies.
        tied: positions of the columns that others hang on; the rest is changed if there is one.
        rows: those that may take part.
        copied: marks of the rows that are copies; those that are no more are cleared.
        random: source of the partners.
    """
    movable = _by_closeness(codecs, guarded, tied)[:MOST_SWAPPED]
    lines: dict[int, _Line] = {}
    needy = rows[copied.take(rows)]
    for attempt in range(SWAP_ROUNDS * len(movable)):
        position = movable[attempt % len(movable)]
        column = columns[position]
        if position not in lines:
            lines[position] = _Line(column.index, rows)
        reach = SWAP_REACH << (2 * (attempt // len(movable)))
        first, second = lines[position].partners(column.index, needy, reach, random)
        _exchange(column, first, second)
        both = np.concatenate([first, second])
        still = guard.copies([columns[position].index.take(both) for position in guarded])
        worse = still[: len(first)] | still[len(first) :]
        _exchange(column, first[worse], second[worse])
        copied[first[~worse]] = copied[second[~worse]] = False
        needy = needy[copied.take(needy)]
        if not len(needy):
            return


def nudge(  # noqa: PLR0917
    columns: Sequence[Drawn],
    codecs: Sequence[Codec],
    guarded: Sequence[int],
    guard: CopyGuard,
    tied: Collection[int],
    copied: npt.NDArray[np.bool_],
    random: RawRandom,
) -> None:
    """Give copied rows a neighbouring number of the training values, in place.

    As likely the one above as the one below; heaps neither lose nor gain.

    Args:
        columns: drawn columns of the whole table.
        codecs: theirs.
        guarded: positions of the columns the guard looks at.
        guard: recognizes copies.
        tied: positions of the columns that others hang on; the rest is changed if there is one.
        copied: marks of the rows to change; those that are no copies any more are cleared.
        random: says where to.
    """
    movable = [p for p in _by_closeness(codecs, guarded, tied) if codecs[p].numbers is not None]
    for attempt in range(SWAP_ROUNDS * len(movable)):
        needy = np.flatnonzero(copied)
        if not len(needy):
            return
        position = movable[attempt % len(movable)]
        codec, column = codecs[position], columns[position]
        drawn = random.uint32(len(needy)).astype(np.int64)
        step = 1 + (drawn >> 1) % (2 << (2 * (attempt // len(movable))))
        own = column.index.take(needy)
        to = own + np.where(drawn & 1, step, -step)
        fixed = _frequent(column.index, codec.size)
        fits = (own > 0) & (to > 0) & (to <= codec.size) & ~fixed.take(own)
        fits &= ~fixed.take(to, mode="clip")
        _try(position, columns, guarded, guard, needy[fits], to[fits], codec, copied)


def _by_closeness(
    codecs: Sequence[Codec], guarded: Sequence[int], tied: Collection[int]
) -> list[int]:
    """Columns with more than one value: numbers first, whose neighbours are alike, widest first.

    Those that others hang on are among them only where no column stands alone.
    """
    varied = [position for position in guarded if codecs[position].size > 1]
    alone = [position for position in varied if position not in tied] or varied
    return sorted(alone, key=lambda p: (codecs[p].numbers is None, -codecs[p].size, p))


class _Line:
    """Rows in the order of a column's values, without missing ones.

    Args:
        index: the column's; rows that exchange values later stay where they are here.
        rows: those that may take part.
    """

    def __init__(self, index: npt.NDArray[np.intp], rows: Rows) -> None:
        values = index.take(rows)
        known = np.flatnonzero(values)
        values = values.take(known)
        # Sixteen bits are sorted by radix.
        short = values.astype(np.uint16) if values.max(initial=0) < 2**16 else values
        order = np.argsort(short, kind="stable")
        self._ascending, self._rows = values.take(order), rows.take(known.take(order))

    def partners(
        self, index: npt.NDArray[np.intp], needy: Rows, reach: int, random: RawRandom
    ) -> tuple[Rows, Rows]:
        """Disjoint pairs of a needy row and one with another value near its own.

        Args:
            index: the column's.
            needy: rows that need a partner.
            reach: rows of the next values, up or down, among which the partner is drawn.
            random: says up or down, and which one.
        """
        needy = needy[index.take(needy) > 0]
        own = index.take(needy)
        drawn = random.uint32(len(needy)).astype(np.int64)
        below = np.searchsorted(self._ascending, own, side="left") - 1
        above = np.searchsorted(self._ascending, own, side="right")
        step = (drawn >> 1) % reach
        place = np.where(drawn & 1, above + step, below - step)
        inside = np.flatnonzero((place >= 0) & (place < len(self._rows)))
        first, second = needy[inside], self._rows[place[inside]]
        # Each row takes part once, first come first served.
        pairs = np.stack([first, second], axis=1).ravel()
        seen = np.zeros(len(pairs), bool)
        seen[np.unique(pairs, return_index=True)[1]] = True
        alone = seen[0::2] & seen[1::2]
        return first[alone], second[alone]


def _try(  # noqa: PLR0917
    position: int,
    columns: Sequence[Drawn],
    guarded: Sequence[int],
    guard: CopyGuard,
    rows: Rows,
    to: Rows,
    codec: Codec,
    copied: npt.NDArray[np.bool_],
) -> None:
    """Give rows other values of a column where that makes them no copies."""
    candidate = [columns[p].index.take(rows) if p != position else to for p in guarded]
    good = ~guard.copies(candidate)
    column, rows, to = columns[position], rows[good], to[good]
    column.index[rows] = to
    if column.numbers is not None:
        column.numbers[rows] = codec.number_of_index.take(to)
    copied[rows] = False


def _exchange(column: Drawn, first: Rows, second: Rows) -> None:
    for part in (column.index, column.numbers):
        if part is not None:
            part[first], part[second] = part[second], part[first]


def _numbers(codec: Codec, column: Drawn) -> npt.NDArray[np.float64]:
    return codec.number_of_index.take(column.index) if column.numbers is None else column.numbers


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

"""Draws blocks of rows that fulfil the conditions and copy nobody.

A block is what a seed means: its rows come from the seed and the block's number alone, so any
process may draw any block, in any order, and the rows are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tabular.errors import ConstraintError, InputError
from tabular.synth.conditions import Condition
from tabular.synth.encoding import Codec
from tabular.synth.engines import Block, Drawn, Engine, RawRandom, block_rows
from tabular.synth.guard import CopyGuard, nudge, shake, swap

MOST_ATTEMPTS = 200
"""Blocks of candidates drawn for one block of rows before conditions count as unfulfillable."""

GUARD_ATTEMPTS = 8
"""Times a copied row is drawn again; a table of few possible rows cannot avoid all copies."""

MOST_COPIES = 0.5
"""Share of copies among rows with the same values missing, above which they are let be."""

_LEAST_CANDIDATES = 256

_SHAKE, _SWAP, _NUDGE = 1, 2, 3
"""End the keys of the random streams that change copies."""

Mask = npt.NDArray[np.bool_]
Patterns = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class _Attempt:
    """Candidates: their columns, and which of them copy a training row that occurs once."""

    columns: list[Drawn]
    copied: Mask


@dataclass(frozen=True)
class _Bound:
    """A condition tied to the positions of its columns; `allowed` decides by index where it can."""

    condition: Condition
    positions: tuple[int, ...]
    allowed: Mask | None


class BlockSampler:
    """Draws the blocks of one sample.

    Args:
        engine: the fitted engine.
        codecs: its columns.
        seeds: the model's seed and the sample's.
        conditions: comparisons that hold in every row.
        guard: recognizes copies, or None.
        guarded: positions of the columns the guard looks at; the others are filled afterwards,
            so that no condition can be put on them.
        loose: positions of the columns whose numbers may move to avoid a copy.

    Raises:
        InputError: a condition on a column that is generated, not modelled.
        ConstraintError: a condition that no value of its column fulfils.
    """

    def __init__(
        self,
        engine: Engine,
        codecs: Sequence[Codec],
        seeds: tuple[int, int],
        conditions: Sequence[Condition],
        *,
        guard: CopyGuard | None,
        guarded: Sequence[int],
        loose: Sequence[int],
    ) -> None:
        self._engine, self._codecs, self._seeds = engine, codecs, seeds
        self._guard, self._guarded, self._loose = guard, guarded, loose
        self.rows = block_rows(len(codecs))
        self._bounds = [_bind(condition, codecs, guarded) for condition in conditions]
        self._allowed = _steering(self._bounds, codecs)

    def block(self, number: int, rows: int) -> list[Drawn]:
        """The first `rows` rows of a block.

        Raises:
            ConstraintError: the conditions are not met within a bounded number of attempts.
        """
        wanted = rows if self._bounds else self.rows
        parts: list[_Attempt] = []
        have = tried = 0
        for attempt in range(MOST_ATTEMPTS):
            drawn = self._attempt(number, attempt, self.rows)
            tried += self.rows
            if len(drawn.copied):
                parts.append(drawn)
                have += len(drawn.copied)
            if have >= wanted:
                columns = self._join([part.columns for part in parts], wanted)
                copied = np.concatenate([part.copied for part in parts])[:wanted]
                if copied.any():
                    self._replace(number, columns, copied, _missing(columns))
                return self._join([columns], rows)
        raise self._unfulfilled(have, tried)

    def _attempt(self, number: int, attempt: int, size: int) -> _Attempt:
        """Candidates that fulfil the conditions, with a mark on those that copy somebody."""
        drawn = self._engine.draw(
            RawRandom(*self._seeds, number, attempt), size, self._allowed or None
        )
        columns = drawn.columns
        for bound in self._bounds:
            if bound.condition.sign == "=" and bound.condition.other is not None:
                self._equate(columns, *bound.positions)
        copied = self._altered(drawn, number, attempt)
        accepted = drawn.kept
        for bound in self._bounds:
            holds = self._holds(bound, columns)
            accepted = holds if accepted is None else accepted & holds
        if accepted is None:
            return _Attempt(columns, copied)
        keep = np.flatnonzero(accepted)
        return _Attempt([_take(column, keep) for column in columns], copied.take(keep))

    def _equate(self, columns: Sequence[Drawn], left: int, right: int) -> None:
        """Make two columns equal where they lie in the same bin, in place.

        An engine that knows bins alone cannot tell equal values from close ones; of a column that
        was the same in the data, it would hardly ever draw the same value twice.
        """
        codec, other = self._codecs[left], self._codecs[right]
        if codec.exact or not codec.values.equals(other.values):
            return
        one, two = columns[left], columns[right]
        same = np.flatnonzero(codec.code_of_index.take(one.index) == codec.code_of_index[two.index])
        if one.numbers is not None or two.numbers is not None:
            two.numbers = _numbers(other, two).copy()
            two.numbers[same] = _numbers(codec, one)[same]
        two.index[same] = one.index[same]

    def _altered(self, drawn: Block, number: int, attempt: int) -> Mask:
        """Changes copies, in place, and marks those that still are some."""
        columns = drawn.columns
        if self._guard is None:
            return np.zeros(len(columns[0].index), bool)
        key = (*self._seeds, number, attempt)
        args = columns, self._codecs, self._guarded
        loose = [position for position in self._loose if position not in drawn.tied]
        copied = shake(*args, loose, self._guard, RawRandom(*key, _SHAKE))
        if not copied.any():
            return copied
        patterns = _missing(columns)
        copied &= ~np.isin(patterns, _hopeless(patterns, copied))
        rows = np.arange(len(copied)) if drawn.kept is None else np.flatnonzero(drawn.kept)
        swap(*args, self._guard, drawn.tied, rows, copied, RawRandom(*key, _SWAP))
        nudge(*args, self._guard, drawn.tied, copied, RawRandom(*key, _NUDGE))
        return copied

    def _replace(
        self, number: int, columns: Sequence[Drawn], copied: Mask, patterns: Patterns
    ) -> None:
        """Put other rows in the place of copies, each with the same values missing.

        Were copies only thrown away, rows that nobody's copy can be, above all those with much
        missing, would take their share. Where no other row comes up the copy stays.
        """
        needy = np.flatnonzero(copied)
        for attempt in range(GUARD_ATTEMPTS):
            if not len(needy):
                return
            size = self.rows if self._bounds else max(_LEAST_CANDIDATES, 2 * len(needy))
            fresh = self._attempt(number, MOST_ATTEMPTS + attempt, min(size, self.rows))
            good = np.flatnonzero(~fresh.copied)
            place, taken = _match(patterns.take(needy), _missing(fresh.columns).take(good))
            for codec, column, other in zip(self._codecs, columns, fresh.columns, strict=True):
                if column.numbers is not None or other.numbers is not None:
                    column.numbers = _numbers(codec, column)
                    column.numbers[needy[place]] = _numbers(codec, other)[good[taken]]
                column.index[needy[place]] = other.index[good[taken]]
            needy = np.delete(needy, place)

    def _join(self, parts: Sequence[Sequence[Drawn]], rows: int) -> list[Drawn]:
        joined = []
        for codec, columns in zip(self._codecs, zip(*parts, strict=True), strict=True):
            if len(columns) == 1:
                (only,) = columns
                whole = only.numbers
                joined.append(Drawn(only.index[:rows], None if whole is None else whole[:rows]))
                continue
            index = np.concatenate([column.index for column in columns])[:rows]
            numbers = None
            if any(column.numbers is not None for column in columns):
                numbers = np.concatenate([_numbers(codec, column) for column in columns])[:rows]
            joined.append(Drawn(index, numbers))
        return joined

    def _holds(self, bound: _Bound, columns: Sequence[Drawn]) -> Mask:
        first = columns[bound.positions[0]]
        if bound.allowed is not None and first.numbers is None:
            return bound.allowed.take(first.index)
        sides = [decode(self._codecs[p], columns[p]) for p in bound.positions]
        return bound.condition.holds(*sides)

    def _unfulfilled(self, have: int, tried: int) -> ConstraintError:
        texts = ", ".join(repr(bound.condition.text) for bound in self._bounds)
        return ConstraintError(
            f"only {have} of {tried} drawn rows fulfil {texts}",
            hint="loosen the conditions, or ask for fewer rows",
        )


def decode(codec: Codec, drawn: Drawn, *, dictionary: bool = False) -> pa.Array:
    """The drawn values of a column in its own type."""
    if drawn.numbers is not None:
        return codec.decode_numbers(drawn.numbers)
    return codec.decode_index(drawn.index, dictionary=dictionary)


def _bind(condition: Condition, codecs: Sequence[Codec], drawn: Sequence[int]) -> _Bound:
    place = {codecs[position].name: position for position in drawn}
    for name in condition.columns:
        if name not in place:
            raise InputError(
                f"{condition.text!r}: column {name!r} is made afresh, not drawn from the data",
                hint="conditions are for columns whose role is not id or text",
            )
    positions = tuple(place[name] for name in condition.columns)
    if condition.other is not None:
        return _Bound(condition, positions, None)
    codec = codecs[positions[0]]
    absent = condition.missing if condition.value is not None else condition.sign == "="
    allowed = np.concatenate([np.array([absent]), condition.holds(codec.values)])
    decided = codec.snap or condition.sign not in ("=", "!=")
    if decided and not allowed.any():
        raise ConstraintError(
            f"no row can fulfil {condition.text!r}: column {codec.name!r} holds {_extent(codec)}",
            hint="conditions can only ask for what the training data holds",
        )
    return _Bound(condition, positions, allowed)


def _extent(codec: Codec) -> str:
    if not codec.size:
        return "only missing values"
    if codec.numbers is not None:
        return f"{_shown(codec.values[0])} to {_shown(codec.values[-1])}"
    shown = ", ".join(str(value) for value in codec.values[:8].to_pylist())
    return f"{shown} and {codec.size - 8} more" if codec.size > 8 else shown


def _shown(value: pa.Scalar) -> str:
    try:
        return str(value.as_py())
    except ValueError:  # nanoseconds, which Python's own times have not
        return f"{value.cast(pa.int64()).as_py()} {value.type.unit}"


def _steering(bounds: Sequence[_Bound], codecs: Sequence[Codec]) -> dict[int, Mask]:
    """Allowed indices by column, for engines that can draw from a conditional distribution."""
    allowed: dict[int, Mask] = {}
    for bound in bounds:
        position = bound.positions[0]
        if bound.allowed is not None and codecs[position].snap:
            before = allowed.get(position)
            allowed[position] = bound.allowed if before is None else before & bound.allowed
    for position, mask in allowed.items():
        if not mask.any():
            texts = ", ".join(repr(b.condition.text) for b in bounds if b.positions[0] == position)
            raise ConstraintError(f"no row can fulfil {texts} together")
    return allowed


def _take(column: Drawn, keep: npt.NDArray[np.intp]) -> Drawn:
    numbers = None if column.numbers is None else column.numbers.take(keep)
    return Drawn(column.index.take(keep), numbers)


def _missing(columns: Sequence[Drawn]) -> Patterns:
    """A hash per row of which of its values are missing."""
    weights = np.random.Philox(len(columns)).random_raw(len(columns))
    total = np.zeros(len(columns[0].index), np.uint64)
    for column, weight in zip(columns, weights, strict=True):
        absent = column.index == 0
        if absent.any():
            total += absent * weight
    return total


def _hopeless(patterns: Patterns, copied: Mask) -> Patterns:
    """Patterns of missing values under which most rows are copies, however they are drawn.

    There so few rows are possible that a copy tells nothing, and the few others would be all
    that is left: what is not in the training data, which would give that away.
    """
    suspects = np.unique(patterns[copied])
    shares = np.array([copied[patterns == pattern].mean() for pattern in suspects])
    return suspects[shares > MOST_COPIES]


def _match(
    wanting: Patterns, offered: Patterns
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Pairs of equal entries, first come first served: positions in either array."""
    places, takens = [], []
    for pattern in np.unique(wanting):
        place = np.flatnonzero(wanting == pattern)
        taken = np.flatnonzero(offered == pattern)
        count = min(len(place), len(taken))
        places.append(place[:count])
        takens.append(taken[:count])
    return np.concatenate(places), np.concatenate(takens)


def _numbers(codec: Codec, column: Drawn) -> npt.NDArray[np.float64]:
    """The drawn numbers, or where values were drawn their numbers."""
    return codec.number_of_index.take(column.index) if column.numbers is None else column.numbers

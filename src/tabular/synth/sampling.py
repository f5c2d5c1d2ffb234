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
from tabular.synth.engines import Drawn, Engine, RawRandom, block_rows
from tabular.synth.guard import CopyGuard

MOST_ATTEMPTS = 200
"""Blocks of candidates drawn for one block of rows before conditions count as unfulfillable."""

GUARD_ATTEMPTS = 8
"""Times a copied row is drawn again; a table of few possible rows cannot avoid all copies."""

_LEAST_CANDIDATES = 256

Mask = npt.NDArray[np.bool_]


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
    ) -> None:
        self._engine, self._codecs, self._seeds = engine, codecs, seeds
        self._guard, self._guarded = guard, guarded
        self.rows = block_rows(len(codecs))
        self._bounds = [_bind(condition, codecs, guarded) for condition in conditions]
        self._allowed = _steering(self._bounds, codecs)

    def block(self, number: int, rows: int) -> list[Drawn]:
        """The first `rows` rows of a block.

        Raises:
            ConstraintError: the conditions are not met within a bounded number of attempts.
        """
        wanted = rows if self._bounds else self.rows
        parts: list[list[Drawn]] = []
        have = tried = 0
        for attempt in range(MOST_ATTEMPTS):
            size = self.rows
            if attempt and not self._bounds:
                size = max(_LEAST_CANDIDATES, 2 * (wanted - have))
            columns, accepted = self._attempt(number, attempt, size)
            tried += size
            if accepted is not None:
                keep = np.flatnonzero(accepted)
                columns = [_take(column, keep) for column in columns]
            if len(columns[0].index):
                parts.append(columns)
                have += len(columns[0].index)
            if have >= wanted:
                return _join(parts, rows)
        raise self._unfulfilled(have, tried)

    def _attempt(self, number: int, attempt: int, size: int) -> tuple[list[Drawn], Mask | None]:
        random = RawRandom(*self._seeds, number, attempt)
        drawn = self._engine.draw(random, size, self._allowed or None)
        accepted = drawn.kept
        for bound in self._bounds:
            holds = self._holds(bound, drawn.columns)
            accepted = holds if accepted is None else accepted & holds
        if self._guard is not None and attempt < GUARD_ATTEMPTS:
            copied = self._guard.copies([drawn.columns[p].index for p in self._guarded])
            if copied.any():
                accepted = ~copied if accepted is None else accepted & ~copied
        return drawn.columns, accepted

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
        return f"{codec.values[0].as_py()} to {codec.values[-1].as_py()}"
    shown = ", ".join(str(value) for value in codec.values[:8].to_pylist())
    return f"{shown} and {codec.size - 8} more" if codec.size > 8 else shown


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


def _join(parts: Sequence[Sequence[Drawn]], rows: int) -> list[Drawn]:
    if len(parts) == 1:
        return [
            Drawn(c.index[:rows], None if c.numbers is None else c.numbers[:rows]) for c in parts[0]
        ]
    joined = []
    for columns in zip(*parts, strict=True):
        index = np.concatenate([column.index for column in columns])[:rows]
        numbers = [column.numbers for column in columns if column.numbers is not None]
        joined.append(Drawn(index, np.concatenate(numbers)[:rows] if numbers else None))
    return joined

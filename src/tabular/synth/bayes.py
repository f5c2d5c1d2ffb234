"""The second engine: a Bayesian network of degree two on the bins.

Each column depends on at most two others, as in PrivBayes (Zhang et al. 2017) without the noise.
No value is lent by a donor: a bin is drawn from a conditional table, and a number evenly inside
its bin. So it knows less of any one person than trees do, and of the joint distribution too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tabular.errors import ModelFileError
from tabular.synth.encoding import MAX_BINS, Codec
from tabular.synth.engines import Allowed, Block, Drawn, Encoded, Preset, Progress, RawRandom
from tabular.synth.order import drawing_order, read_order, related

COARSE = 16
"""Bins of a parent: missing and 15 of equal numbers of rows."""

SEARCH_ROWS = 20_000
"""Rows on which parents are searched."""

Codes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Conditional:
    """The conditional table of one column.

    Args:
        parents: ranks of up to two earlier columns, -1 for none.
        coarse: per parent, the coarse bin of each of its 256 codes.
        group: the group of each pair of the parents' coarse bins.
        start: first entry of each group in `pool`, then its length.
        pool: the column's codes, each as often as it occurs in its group, sorted.
    """

    parents: Ints
    coarse: Codes
    group: npt.NDArray[np.int32]
    start: Ints
    pool: Codes

    def draw(self, codes: Codes, uniform: npt.NDArray[np.uint32]) -> Codes:
        """A code per row, given the codes of the columns drawn before (columns by rows)."""
        pair = np.zeros(codes.shape[1], np.intp)
        for parent, coarse in zip(self.parents, self.coarse, strict=True):
            if parent >= 0:
                pair *= COARSE
                pair += coarse.take(codes[parent])
        group = self.group.take(pair)
        at = uniform.astype(np.uint64) * np.diff(self.start).astype(np.uint64).take(group)
        return self.pool.take((at >> np.uint64(32)).astype(np.int64) + self.start.take(group))


class BayesEngine:
    """Engine `bayes`."""

    def __init__(self) -> None:
        self._codecs: Sequence[Codec] = ()
        self._order: list[int] = []
        self._tables: list[Conditional] = []
        self._weights: list[Ints] = []

    def fit(
        self, table: Encoded, preset: Preset, *, progress: Progress | None = None, workers: int = 1
    ) -> None:
        """Chooses parents by mutual information and counts.

        Args:
            table: the encoded table.
            preset: gives the fewest rows a conditional distribution may rest on.
            progress: called with the fraction done.
            workers: columns fitted side by side; the result does not depend on it.
        """
        self._codecs = table.codecs
        self._order = drawing_order(table.codecs)
        codes = np.ascontiguousarray(table.codes[:, self._order].T)
        features_of = related(np.ascontiguousarray(codes.T))
        coarse = np.stack([_coarse(column) for column in codes])
        done = 0

        def fit_rank(rank: int) -> Conditional:
            nonlocal done
            found = _fit(codes, coarse, rank, features_of(rank), preset.min_leaf)
            done += 1
            if progress is not None:
                progress(done / len(self._order))
            return found

        with ThreadPoolExecutor(max(1, workers)) as pool:
            self._tables = list(pool.map(fit_rank, range(len(self._order))))
        self._weights = [
            np.bincount(index, minlength=codec.size + 1).astype(np.int64)
            for codec, index in zip(table.codecs, table.index, strict=True)
        ]

    def draw(self, random: RawRandom, rows: int, allowed: Allowed | None = None) -> Block:
        """Draws a block, column by column.

        Args:
            random: source of the block's randomness.
            rows: rows to draw.
            allowed: not used to steer the draw; rows are filtered afterwards.
        """
        codes = np.zeros((len(self._order), rows), np.uint8)
        drawn: list[Drawn | None] = [None] * len(self._order)
        for rank, (column, table) in enumerate(zip(self._order, self._tables, strict=True)):
            codes[rank] = table.draw(codes, random.uint32(rows))
            inside = random.uint32(rows)
            drawn[column] = self._values[column].draw(codes[rank], inside)
        return Block([cell for cell in drawn if cell is not None])

    @cached_property
    def _values(self) -> list[_BinValues]:
        return [_BinValues(c, w) for c, w in zip(self._codecs, self._weights, strict=True)]

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Drawing order as metadata; each table's arrays under its rank."""
        arrays: Arrays = {}
        for rank, table in enumerate(self._tables):
            for name in Conditional.__dataclass_fields__:
                arrays[f"{rank}/{name}"] = getattr(table, name)
        for column, weights in enumerate(self._weights):
            arrays[f"weights/{column}"] = weights
        return {"order": self._order}, arrays

    @classmethod
    def from_state(
        cls,
        codecs: Sequence[Codec],
        meta: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> Self:
        """Rebuilds the engine; every array is checked before it can steer a look-up.

        Raises:
            ModelFileError: arrays are missing or contradict each other.
        """
        engine = cls()
        engine._codecs = codecs
        engine._order = read_order(meta, len(codecs))
        names = list(Conditional.__dataclass_fields__)
        try:
            for rank in range(len(codecs)):
                parts = {name: arrays[f"{rank}/{name}"] for name in names}
                engine._tables.append(Conditional(**parts))
            engine._weights = [arrays[f"weights/{column}"] for column in range(len(codecs))]
        except KeyError as error:
            raise ModelFileError(f"the model lacks {error.args[0]!r}") from None
        for rank, column in enumerate(engine._order):
            _check(engine._tables[rank], rank, codecs[column], engine._weights[column])
        return engine


class _BinValues:
    """Draws a value inside a bin: numbers evenly, categories by their frequency."""

    def __init__(self, codec: Codec, weights: Ints) -> None:
        self._codec = codec
        self._first = np.searchsorted(codec.code_of_index, np.arange(MAX_BINS + 2)).astype(np.int64)
        self._before = np.concatenate([np.zeros(1, np.int64), np.cumsum(weights)])

    def draw(self, code: Codes, uniform: npt.NDArray[np.uint32]) -> Drawn:
        """An index or number per row, given its bin."""
        codec = self._codec
        if codec.exact:
            return Drawn(code.astype(np.intp))
        low = self._first.take(code)
        high = self._first.take(code.astype(np.intp) + 1)
        if codec.numbers is None:
            start, end = self._before.take(low), self._before.take(high)
            at = (uniform.astype(np.uint64) * (end - start).astype(np.uint64)) >> np.uint64(32)
            rank = np.searchsorted(self._before, at.astype(np.int64) + start, side="right") - 1
            return Drawn(np.where(code == 0, 0, rank))
        bottom = codec.number_of_index.take(low)
        top = codec.number_of_index.take(high - 1)
        numbers = bottom + (top - bottom) * (uniform * 2.0**-32)
        numbers[code == 0] = np.nan
        return Drawn(codec.index_of_numbers(numbers), None if codec.snap else numbers)


def _coarse(codes: Codes) -> Codes:
    """Coarse bin of each of the 256 codes: 0 missing, then equal numbers of rows."""
    counts = np.bincount(codes, minlength=256)
    counts[0] = 0
    if np.count_nonzero(counts) < COARSE:
        seen = np.cumsum(counts > 0)
        own: Codes = np.where(np.arange(256) == 0, 0, np.maximum(seen, 1)).astype(np.uint8)
        return own
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    bins: Codes = (1 + np.minimum(middle * (COARSE - 1), COARSE - 2)).astype(np.uint8)
    bins[0] = 0
    return bins


def _fit(codes: Codes, coarse: Codes, rank: int, features: Ints, min_rows: int) -> Conditional:
    """Parents and conditional table of one column."""
    parents = _parents(codes, coarse, rank, features)
    chosen = [parent for parent in parents if parent >= 0]
    pair = np.zeros(codes.shape[1], np.int64)
    for parent in chosen:
        pair = pair * COARSE + coarse[parent][codes[parent]]
    counts = np.bincount(pair, minlength=COARSE ** len(chosen))
    group = _groups(counts, min_rows)
    mine = group[pair]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(mine))])
    pool = np.sort(mine.astype(np.int64) * 256 + codes[rank]) & 255
    tables = np.stack([coarse[p] if p >= 0 else np.zeros(256, np.uint8) for p in parents])
    return Conditional(
        np.array(parents, np.int64), tables, group, start.astype(np.int64), pool.astype(np.uint8)
    )


def _groups(counts: Ints, min_rows: int) -> npt.NDArray[np.int32]:
    """Groups of neighbouring parent cells, each of at least `min_rows` rows.

    Cells are joined in order, so that small cells of one first parent go together before they
    are joined with the next parent's.
    """
    group = np.zeros(len(counts), np.int32)
    current, rows = 0, 0
    for cell, count in enumerate(counts.tolist()):
        boundary = cell % COARSE == 0 and rows >= min_rows
        if rows >= min_rows and (boundary or count >= min_rows or rows >= 2 * min_rows):
            current, rows = current + 1, 0
        group[cell] = current
        rows += count
    if rows < min_rows and current:
        group[group == current] = current - 1
    return group


def _parents(codes: Codes, coarse: Codes, rank: int, features: Ints) -> tuple[int, int]:
    """The best parent by mutual information, then the best second one given it."""
    if not len(features):
        return -1, -1
    rows = codes.shape[1]
    taken = np.arange(min(rows, SEARCH_ROWS)) * rows // min(rows, SEARCH_ROWS)
    target = coarse[rank][codes[rank, taken]].astype(np.int64)
    binned = {int(f): coarse[f][codes[f, taken]].astype(np.int64) for f in features}
    single = {f: _information(column, target, COARSE) for f, column in binned.items()}
    first = max(single, key=lambda f: (single[f], f))
    if single[first] <= 0:
        return -1, -1
    pairs = {
        f: _information(binned[first] * COARSE + column, target, COARSE * COARSE)
        for f, column in binned.items()
        if f != first
    }
    second = max(pairs, key=lambda f: (pairs[f], f), default=-1)
    if second < 0 or pairs[second] <= single[first]:
        return first, -1
    return first, second


def _information(parent: Ints, target: Ints, cells: int) -> float:
    """Mutual information in nats, less the bias of an empirical one (Miller 1955)."""
    joint = np.bincount(parent * COARSE + target, minlength=cells * COARSE).reshape(cells, COARSE)
    total = joint.sum()
    by_parent, by_target = joint.sum(axis=1), joint.sum(axis=0)
    entropy = _entropy(by_parent) + _entropy(by_target) - _entropy(joint.ravel())
    used = np.count_nonzero(joint) - np.count_nonzero(by_parent) - np.count_nonzero(by_target) + 1
    return float(entropy - used / (2 * total))


def _entropy(counts: Ints) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _check(table: Conditional, rank: int, codec: Codec, weights: Ints) -> None:
    """Refuses a table whose arrays could point outside each other."""
    groups = len(table.start) - 1
    parents = int((table.parents >= 0).sum())
    top = int(codec.bins.max()) if codec.size else 0
    sane = (
        all(part.dtype.kind == "i" for part in (table.parents, table.group, table.start, weights))
        and all(part.ndim == 1 for part in (table.group, table.start, table.pool, weights))
        and table.coarse.dtype == table.pool.dtype == np.uint8
        and table.parents.shape == (2,)
        and bool((table.parents < max(rank, 1)).all())
        and table.coarse.shape == (2, 256)
        and bool((table.coarse < COARSE).all())
        and len(table.group) == COARSE**parents
        and bool(((table.group >= 0) & (table.group < groups)).all())
        and bool((np.diff(table.start) > 0).all())
        and groups >= 1
        and table.start[0] == 0
        and table.start[-1] == len(table.pool)
        and bool((table.pool <= top).all())
        and len(weights) == codec.size + 1
        and bool((weights >= 0).all())
    )
    if not sane:
        raise ModelFileError(f"the conditional table of column number {rank} is damaged")

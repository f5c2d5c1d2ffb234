"""The default engine: one histogram tree per column on the columns drawn before it.

Sequential trees with donors (Reiter 2005, "Using CART to generate partially synthetic public use
microdata") keep odd shapes and missing values as they are. What makes it quick here: byte codes,
histograms of all nodes of a level at once, and trees that depend on the real rows alone, so that
columns fit side by side.
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
from tabular.synth.determined import decisive, groups
from tabular.synth.encoding import Codec
from tabular.synth.engines import Allowed, Block, Drawn, Encoded, Preset, Progress, RawRandom
from tabular.synth.growth import grow
from tabular.synth.leaves import Lines, fit_lines
from tabular.synth.order import drawing_order, read_order, related
from tabular.synth.routing import Router

LEAST_PREDICTOR_VALUES = 16
"""Distinct values below which a number predicts better through splits than through a line."""

Arrays = dict[str, npt.NDArray[Any]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ColumnTree:
    """The fitted model of one column.

    Args:
        feature: column each node splits on, as rank in the drawing order, -1 for a leaf.
        threshold: highest code that goes left.
        left: the left child; the right one is the next.
        start: first donor of each node.
        size: number of donors of each node.
        donors: index of the column's value of each training row, in leaf order.
        lines: linear fits, for wide numeric columns.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    donors: npt.NDArray[np.int32]
    lines: Lines | None

    @cached_property
    def leaf_start(self) -> npt.NDArray[np.int64]:
        """First donor of each leaf, leaves in donor order."""
        return np.sort(self.start[self.feature < 0])

    @cached_property
    def leaf_size(self) -> npt.NDArray[np.uint64]:
        """Donors of each leaf, in the same order."""
        return np.diff(self.leaf_start, append=len(self.donors)).astype(np.uint64)

    @cached_property
    def router(self) -> Router:
        """Look-up tables from codes to leaves."""
        leaf = np.searchsorted(self.leaf_start, self.start)
        return Router(self.feature, self.threshold, self.left, leaf)


class TreesEngine:
    """Engine `trees`."""

    def __init__(self) -> None:
        self._codecs: Sequence[Codec] = ()
        self._order: list[int] = []
        self._trees: list[ColumnTree] = []
        self._tied: frozenset[int] = frozenset()
        self._conditions: dict[int, _Steered] = {}

    def fit(
        self, table: Encoded, preset: Preset, *, progress: Progress | None = None, workers: int = 1
    ) -> None:
        """Grows one tree per column.

        Args:
            table: the encoded table.
            preset: gives the smallest leaf.
            progress: called with the fraction done.
            workers: columns fitted side by side; the result does not depend on it.
        """
        self._codecs = table.codecs
        self._order = drawing_order(table.codecs)
        codes = np.ascontiguousarray(table.codes[:, self._order])
        features_of = related(codes)
        partners: dict[int, int] = {}
        done = 0

        def fit_rank(rank: int) -> ColumnTree:
            nonlocal done
            features = features_of(rank)
            partner = _partner(table, self._order, codes, features, rank=rank, floor=preset.floor)
            first = None
            if partner is not None:
                partners[rank] = partner
                first = partner, groups(codes[:, partner], preset.floor)
            tree = _fit_column(
                table, self._order, codes, features, first, rank=rank, min_leaf=preset.min_leaf
            )
            done += 1
            if progress is not None:
                progress(done / len(self._order))
            return tree

        ranks = range(len(self._order))
        if workers > 1:
            with ThreadPoolExecutor(workers) as pool:
                self._trees = list(pool.map(fit_rank, ranks))
        else:
            self._trees = [fit_rank(rank) for rank in ranks]
        self._tied = frozenset(self._order[rank] for pair in partners.items() for rank in pair)

    def draw(self, random: RawRandom, rows: int, allowed: Allowed | None = None) -> Block:
        """Draws a block, column by column.

        Args:
            random: source of the block's randomness.
            rows: rows to draw.
            allowed: conditioned columns without lines are drawn from allowed donors only, and
                rows kept with the probability that makes up for it (rejection sampling).
        """
        kept = np.ones(rows, bool)
        codes = np.zeros((len(self._order), rows), np.uint8)
        numbers = _Numbers(self._predictors, rows)
        drawn: list[Drawn | None] = [None] * len(self._order)
        for rank, (column, tree) in enumerate(zip(self._order, self._trees, strict=True)):
            codec = self._codecs[column]
            leaf = tree.router.leaves(codes)
            if allowed and column in allowed and tree.lines is None:
                steered = self._steered(column, tree, allowed[column])
                donor = steered.donors(leaf, random.uint32(rows))
                kept &= steered.accept(leaf, random.uint32(rows))
            else:
                donor = _pick(leaf, tree.leaf_start, tree.leaf_size, random.uint32(rows))
            cell = _from_donors(codec, tree, leaf, donor, numbers)
            codec.code_of_index.take(cell.index, out=codes[rank], mode="clip")
            if rank in self._predictors:
                own = cell.numbers
                numbers.put(rank, codec.number_of_index.take(cell.index) if own is None else own)
            drawn[column] = cell
        columns = [cell for cell in drawn if cell is not None]
        return Block(columns, kept if allowed else None, self._tied)

    def _steered(self, column: int, tree: ColumnTree, mask: Mask) -> _Steered:
        """The allowed donors of a column, remembered as long as the condition stays the same."""
        known = self._conditions.get(column)
        if known is None or known.mask is not mask:
            known = self._conditions[column] = _Steered(tree, mask)
        return known

    @cached_property
    def _predictors(self) -> list[int]:
        """Ranks that some line uses as its predictor."""
        used: set[int] = set()
        for tree in self._trees:
            if tree.lines is not None:
                used.update(int(rank) for rank in np.unique(tree.lines.predictor))
        return sorted(used - {-1})

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Drawing order and tied columns as metadata; each tree's arrays under its rank."""
        arrays: Arrays = {}
        for rank, tree in enumerate(self._trees):
            arrays[f"{rank}/feature"] = tree.feature.astype(np.int16)
            arrays[f"{rank}/threshold"] = tree.threshold.astype(np.int16)
            arrays[f"{rank}/left"] = tree.left.astype(np.int32)
            arrays[f"{rank}/start"] = tree.start.astype(np.int32)
            arrays[f"{rank}/size"] = tree.size.astype(np.int32)
            arrays[f"{rank}/donors"] = tree.donors
            if tree.lines is not None:
                for name in Lines.__dataclass_fields__:
                    arrays[f"{rank}/line/{name}"] = getattr(tree.lines, name)
        return {"order": self._order, "tied": sorted(self._tied)}, arrays

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
        engine._tied = _read_tied(meta, len(codecs))
        if any(array.ndim != 1 for array in arrays.values()):
            raise ModelFileError("an array of the trees has a wrong shape")
        try:
            engine._trees = [_read_tree(arrays, rank) for rank in range(len(codecs))]
        except KeyError as error:
            raise ModelFileError(f"the model lacks {error.args[0]!r}") from None
        for rank, (column, tree) in enumerate(zip(engine._order, engine._trees, strict=True)):
            _check(tree, rank, codecs[column].size)
        return engine


class _Steered:
    """Draws donors that fulfil a condition, leaf by leaf.

    A leaf of which the share p of the donors is allowed would have passed a plain filter with
    probability p. Drawing from the allowed donors alone and keeping the row with p over the
    largest such share gives the same distribution with fewer rows thrown away.
    """

    def __init__(self, tree: ColumnTree, mask: Mask) -> None:
        self.mask = mask
        allowed = mask.take(tree.donors)
        self._donors = np.concatenate([np.flatnonzero(allowed), np.zeros(1, np.int64)])
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(allowed)])
        end = tree.leaf_start + tree.leaf_size.astype(np.int64)
        self._start = before[tree.leaf_start]
        self._size = (before[end] - self._start).astype(np.uint64)
        share = self._size / tree.leaf_size
        self._chance = share / max(float(share.max()), 1e-300)

    def donors(
        self, leaf: npt.NDArray[np.intp], uniform: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        """An allowed donor per row; any one where the leaf has none."""
        return self._donors.take(_pick(leaf, self._start, self._size, uniform))

    def accept(self, leaf: npt.NDArray[np.intp], uniform: npt.NDArray[np.uint32]) -> Mask:
        """Whether each row is kept."""
        kept: Mask = uniform * 2.0**-32 < self._chance.take(leaf)
        return kept


def _pick(
    leaf: npt.NDArray[np.intp],
    start: npt.NDArray[np.int64],
    size: npt.NDArray[np.uint64],
    uniform: npt.NDArray[np.uint32],
) -> npt.NDArray[np.int64]:
    """A position per row, uniform among those of its leaf."""
    at = uniform.astype(np.uint64)
    at *= size.take(leaf)
    at >>= np.uint64(32)
    position = at.view(np.int64)
    position += start.take(leaf)
    return position


class _Numbers:
    """Drawn numbers of the columns that lines use as predictors, one row per column."""

    def __init__(self, ranks: Sequence[int], rows: int) -> None:
        self._slot = {rank: slot for slot, rank in enumerate(ranks)}
        self._values = np.zeros((len(ranks) + 1, rows))
        self._rows = np.arange(rows)
        self._offset = np.full(max(ranks, default=0) + 2, len(ranks) * rows)
        self._offset[list(ranks)] = np.arange(len(ranks)) * rows

    def put(self, rank: int, numbers: npt.NDArray[np.float64]) -> None:
        self._values[self._slot[rank]] = numbers

    def get(
        self, ranks: npt.NDArray[np.int64], leaf: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float64]:
        """For each row the number of its leaf's rank; where that is -1, 0."""
        place = self._offset[ranks].take(leaf)
        place += self._rows
        return self._values.ravel().take(place)


def _from_donors(
    codec: Codec,
    tree: ColumnTree,
    leaf: npt.NDArray[np.intp],
    donor: npt.NDArray[np.int64],
    numbers: _Numbers,
) -> Drawn:
    """The donor's own value, or for a leaf with a line the line plus the donor's residual."""
    lines = tree.lines
    if lines is None:
        return Drawn(tree.donors.take(donor).astype(np.intp))
    x = numbers.get(lines.predictor, leaf)
    missing = np.isnan(x)
    if missing.any():
        x = np.where(missing, lines.centre.take(leaf), x)
    x *= lines.slope.take(leaf)
    x += lines.residual.take(donor)
    np.clip(x, lines.low.take(leaf), lines.high.take(leaf), out=x)
    index = codec.index_of_numbers(x)
    return Drawn(index, None if codec.snap else x)


def _partner(
    table: Encoded,
    order: Sequence[int],
    codes: npt.NDArray[np.uint8],
    features: npt.NDArray[np.int64],
    *,
    rank: int,
    floor: int,
) -> int | None:
    """Rank of the earlier column that decides this one or is decided by it."""
    telling = {
        int(earlier): codes[:, earlier]
        for earlier in features
        if table.codecs[order[earlier]].exact
    }
    return decisive(table.index[order[rank]], telling, floor)


def _fit_column(
    table: Encoded,
    order: Sequence[int],
    codes: npt.NDArray[np.uint8],
    features: npt.NDArray[np.int64],
    first: tuple[int, npt.NDArray[np.uint8]] | None,
    *,
    rank: int,
    min_leaf: int,
) -> ColumnTree:
    column = order[rank]
    codec = table.codecs[column]
    tree = grow(codes, np.ascontiguousarray(codes[:, rank]), features, min_leaf, first)
    lines = None
    if codec.numbers is not None and not codec.exact:
        predictors = {}
        for earlier in features:
            other = table.codecs[order[earlier]]
            if other.numbers is not None and other.size >= LEAST_PREDICTOR_VALUES:
                index = table.index[order[earlier]]
                predictors[int(earlier)] = other.number_of_index.take(index)
        target = codec.number_of_index.take(table.index[column])
        lines = fit_lines(tree, target, predictors) if predictors else None
    donors = table.index[column].take(tree.rows)
    return ColumnTree(tree.feature, tree.threshold, tree.left, tree.start, tree.size, donors, lines)


def _read_tied(meta: Mapping[str, Any], columns: int) -> frozenset[int]:
    """Tied columns of a stored model; none in those of earlier versions.

    Raises:
        ModelFileError: they are no positions of columns.
    """
    tied = meta.get("tied", [])
    if not isinstance(tied, list) or any(type(one) is not int for one in tied):
        raise ModelFileError("the tied columns are no list of columns")
    if not all(0 <= one < columns for one in tied):
        raise ModelFileError("a tied column does not exist")
    return frozenset(tied)


def _read_tree(arrays: Mapping[str, npt.NDArray[Any]], rank: int) -> ColumnTree:
    wide = {
        name: arrays[f"{rank}/{name}"].astype(np.int64)
        for name in ("feature", "threshold", "left", "start", "size")
    }
    lines = None
    if f"{rank}/line/slope" in arrays:
        lines = Lines(
            **{name: arrays[f"{rank}/line/{name}"] for name in Lines.__dataclass_fields__}
        )
    return ColumnTree(**wide, donors=arrays[f"{rank}/donors"], lines=lines)


def _check(tree: ColumnTree, rank: int, values: int) -> None:
    """Refuses a tree whose arrays could loop or point outside each other."""
    nodes, donors = len(tree.feature), len(tree.donors)
    inner = np.flatnonzero(tree.feature >= 0)
    sane = (
        nodes >= 1
        and all(len(part) == nodes for part in (tree.threshold, tree.left, tree.start, tree.size))
        and tree.donors.dtype == np.int32
        and bool((tree.feature < max(rank, 1)).all())
        and bool(((tree.left[inner] > inner) & (tree.left[inner] + 1 < nodes)).all())
        and bool(((tree.start >= 0) & (tree.size > 0)).all())
        and bool((tree.start + tree.size <= donors).all())
        and bool(((tree.donors >= 0) & (tree.donors <= values)).all())
    )
    if sane and tree.lines is not None:
        leaves = int((tree.feature < 0).sum())
        parts = (getattr(tree.lines, name) for name in Lines.__dataclass_fields__)
        lengths = [len(part) for part in parts]
        sane = lengths == [leaves] * 5 + [donors] and bool((tree.lines.predictor < rank).all())
        sane &= tree.lines.predictor.dtype == np.int64
    if not sane:
        raise ModelFileError(f"the tree of column number {rank} is damaged")

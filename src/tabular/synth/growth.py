"""Grows one classification tree, level by level, over byte codes.

The tree partitions the training rows so that rows in one leaf have alike distributions of the
target given the features. It keeps the rows themselves, in leaf order: they are the donors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabular.synth.splits import CELLS, FEATURE_BINS, TARGET_BINS, Splits, best_splits

NODE_ROWS = 256
"""Rows sampled from a node for its split search, at least."""

LEVEL_ROWS = 16384
"""Rows sampled from a level with few nodes, shared among them."""

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Tree:
    """A binary tree over codes, and the training rows in leaf order.

    Args:
        feature: position of the feature each node splits on, -1 for a leaf.
        threshold: highest code that goes to the left child.
        left: the left child; the right one is the next.
        start: first of the node's rows in `rows`.
        size: number of the node's rows.
        rows: training rows, each leaf's together.
    """

    feature: Ints
    threshold: Ints
    left: Ints
    start: Ints
    size: Ints
    rows: npt.NDArray[np.intp]


class _Growth:
    """A growing tree: its nodes' columns, and the order of the training rows."""

    def __init__(self, codes: Codes, target: Codes, features: Ints, min_leaf: int) -> None:
        narrow = len(features) < codes.shape[1] // 2
        self._codes = np.ascontiguousarray(codes[:, features]) if narrow else codes
        self._places = np.arange(len(features)) if narrow else features
        self._features, self._target, self._min_leaf = features, target, min_leaf
        self.order = np.arange(len(target))
        self.feature = np.full(1, -1)
        self.threshold = np.zeros(1, np.int64)
        self.left = np.zeros(1, np.int64)
        self.start = np.zeros(1, np.int64)
        self.size = np.full(1, len(target))

    def level(self, active: Ints) -> Ints:
        """Splits the active nodes where it is worth it; returns the next level's active nodes."""
        found = self._search(active)
        active, threshold = active[found.worth], found.threshold[found.worth]
        chosen = found.feature[found.worth]
        if not len(active):
            return active
        left_size = self._partition(active, self._places[chosen], threshold)
        feature = self._features[chosen]
        right_size = self.size[active] - left_size
        good = (left_size >= self._min_leaf) & (right_size >= self._min_leaf)
        return self.open(
            self._append(active[good], feature[good], threshold[good], left_size[good])
        )

    def split_by(self, feature: int, edges: Codes) -> Ints:
        """Splits the root at all of those codes, in halves; returns the resulting nodes."""
        place = self._places[self._features == feature]
        nodes, first, last = np.zeros(1, np.int64), np.zeros(1, np.int64), np.full(1, len(edges))
        done = []
        while len(nodes):
            whole = first == last
            done.append(nodes[whole])
            nodes, first, last = nodes[~whole], first[~whole], last[~whole]
            if not len(nodes):
                break
            middle = (first + last) // 2
            threshold = edges[middle].astype(np.int64)
            left_size = self._partition(nodes, np.repeat(place, len(nodes)), threshold)
            nodes = self._append(nodes, np.full(len(nodes), feature), threshold, left_size)
            first = np.stack([first, middle + 1], axis=1).ravel()
            last = np.stack([middle, last], axis=1).ravel()
        return np.concatenate(done)

    def open(self, nodes: Ints) -> Ints:
        """Those nodes that are large enough to split and hold more than one target code."""
        nodes = nodes[self.size[nodes] >= 2 * self._min_leaf]
        if not len(nodes) or not len(self._features):
            return nodes[:0]
        start, size = self.start[nodes], self.size[nodes]
        codes = self._target[self.order[_positions(start, size)]]
        offset = np.cumsum(size) - size
        differ = np.minimum.reduceat(codes, offset) < np.maximum.reduceat(codes, offset)
        return nodes[differ]

    def _append(self, nodes: Ints, feature: Ints, threshold: Ints, left_size: Ints) -> Ints:
        """Gives `nodes` their children; returns the children's ids."""
        first, pairs = len(self.feature), len(nodes)
        self.feature[nodes] = feature
        self.threshold[nodes] = threshold
        self.left[nodes] = first + 2 * np.arange(pairs)
        start, size = self.start[nodes], self.size[nodes]
        starts = np.stack([start, start + left_size], axis=1).ravel()
        sizes = np.stack([left_size, size - left_size], axis=1).ravel()
        self.start = np.concatenate([self.start, starts])
        self.size = np.concatenate([self.size, sizes])
        self.feature = np.concatenate([self.feature, np.full(2 * pairs, -1)])
        self.threshold = np.concatenate([self.threshold, np.zeros(2 * pairs, np.int64)])
        self.left = np.concatenate([self.left, np.zeros(2 * pairs, np.int64)])
        return np.arange(first, first + 2 * pairs)

    def _search(self, active: Ints) -> Splits:
        """Best splits of all active nodes, a cacheful of nodes at a time."""
        at_most = max(NODE_ROWS, LEVEL_ROWS // len(active))
        width = len(self._features)
        per_pass = max(1, CELLS // (width * FEATURE_BINS * TARGET_BINS))
        parts = []
        for first in range(0, len(active), per_pass):
            some = active[first : first + per_pass]
            start, size = self.start[some], self.size[some]
            taken = np.minimum(size, at_most)
            within = _positions(np.zeros_like(taken), taken)
            if (size > taken).any():
                within = within * np.repeat(size, taken) // np.repeat(taken, taken)
            rows = self.order[np.repeat(start, taken) + within]
            sample = self._codes.take(rows, axis=0)[:, self._places]
            target = self._target.take(rows)
            parts.append(best_splits(sample, target, taken, size, min_leaf=self._min_leaf))
        return Splits(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _partition(self, active: Ints, place: Ints, threshold: Ints) -> Ints:
        """Moves the rows of each node so that the left ones come first; returns their number."""
        start, size = self.start[active], self.size[active]
        offset = np.cumsum(size) - size
        place_of = np.arange(size.sum())
        positions = place_of + np.repeat(start - offset, size)
        rows = self.order.take(positions)
        flat = rows * self._codes.shape[1]
        flat += np.repeat(place, size)
        right = self._codes.ravel().take(flat) > np.repeat(threshold.astype(np.uint8), size)
        rights = np.concatenate([np.zeros(1, np.int64), np.cumsum(right)])
        before = rights[offset]
        left_size: Ints = size - (rights[offset + size] - before)
        passed = rights[:-1]
        to_right = passed + np.repeat(start + left_size - before, size)
        self.order[np.where(right, to_right, positions - passed + np.repeat(before, size))] = rows
        return left_size


def grow(
    codes: Codes,
    target: Codes,
    features: Ints,
    min_leaf: int,
    first: tuple[int, Codes] | None = None,
) -> Tree:
    """Grows the tree of `target` on some columns of `codes`.

    Args:
        codes: training rows by columns, C-contiguous.
        target: the target's code per row.
        features: columns of `codes` that may be split on.
        min_leaf: smallest number of rows in a leaf, but for the splits that `first` asks for.
        first: a feature, and the codes after which the root is split by it before all else.
    """
    tree = _Growth(codes, target, features, min_leaf)
    root = np.zeros(1, np.int64) if first is None else tree.split_by(*first)
    active = tree.open(root)
    while len(active):
        active = tree.level(active)
    return Tree(tree.feature, tree.threshold, tree.left, tree.start, tree.size, tree.order)


def _positions(start: Ints, size: Ints) -> Ints:
    """Positions of all rows of the nodes, one node after another."""
    offset = np.cumsum(size) - size
    positions: Ints = np.arange(size.sum()) + np.repeat(start - offset, size)
    return positions

"""Sends many rows down a tree with few table look-ups.

Runs of binary splits on one feature are merged into one node with 256 ways, a look-up by the
row's code. That halves or quarters the depth, and depth is what sampling costs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Router:
    """Finds the leaf of each row.

    Args:
        feature: position of the feature each node splits on, -1 for a leaf.
        threshold: highest code that goes left.
        left: the left child; the right one is the next.
        leaf: number of each leaf node among the leaves; anything for inner nodes.
    """

    def __init__(self, feature: Ints, threshold: Ints, left: Ints, leaf: Ints) -> None:
        ways: list[npt.NDArray[np.int64]] = []
        roots: list[Ints] = []
        level = np.zeros(1, np.int64) if feature[0] >= 0 else np.zeros(0, np.int64)
        while len(level):
            reached = _merge(level, feature, threshold, left)
            roots.append(level)
            ways.append(reached)
            ends = np.unique(reached)
            level = ends[feature[ends] >= 0]
        root = np.concatenate(roots) if roots else np.zeros(0, np.int64)
        self._inner = len(root)
        self._feature = feature[root]
        number = leaf + self._inner
        number[root] = np.arange(self._inner)
        kind = np.uint16 if len(feature) < 65536 else np.int32
        table = number[np.concatenate(ways)] if ways else np.zeros((0, 256), np.int64)
        self._table = table.astype(kind).ravel()

    def leaves(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
        """Leaf number per row.

        Args:
            codes: features by rows, C-contiguous.
        """
        rows = codes.shape[1]
        if not self._inner:
            return np.zeros(rows, np.intp)
        at: npt.NDArray[np.intp]
        at = self._table[:256].take(codes[self._feature[0]], mode="clip").astype(np.intp)
        flat, offset = codes.ravel(), self._feature * rows
        while True:
            moving = np.flatnonzero(at < self._inner)
            if not len(moving):
                break
            node = at.take(moving)
            cell = offset.take(node)
            cell += moving
            node <<= 8
            node += flat.take(cell)
            at[moving] = self._table.take(node)
        at -= self._inner
        return at


def _merge(level: Ints, feature: Ints, threshold: Ints, left: Ints) -> Ints:
    """Where each of the 256 codes of each node's feature leads, through nodes on that feature."""
    code = np.arange(256)
    at = np.repeat(level[:, None], 256, axis=1)
    own = feature[level][:, None]
    while True:
        more = feature[at] == own
        if not more.any():
            return at
        at = np.where(more, left[at] + (code > threshold[at]), at)

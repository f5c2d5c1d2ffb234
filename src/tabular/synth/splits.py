"""Finds the best split of many tree nodes at once from histograms.

One node at a time would spend all its time in Python: a tree of a thousand leaves has a thousand
tiny histograms. Here all nodes of a level are stacked into one array, feature-bin by target-bin,
and the gain of every threshold of every feature comes from one cumulative sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FEATURE_BINS = 16
TARGET_BINS = 16
CELLS = 1 << 19
"""Histogram cells handled at once: about what a core's second-level cache holds."""

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]


class Splits(NamedTuple):
    """For each node: the feature, the highest code that goes left, and whether to split at all."""

    feature: Ints
    threshold: Ints
    worth: npt.NDArray[np.bool_]


def best_splits(
    features: Codes, target: Codes, taken: Ints, sizes: Ints, *, min_leaf: int
) -> Splits:
    """Best split of each node by entropy gain on a row sample.

    A split is worth it when its G statistic (twice the gain in nats) is beyond what chance gives
    to the best of that many features: mean plus two standard deviations of a chi-square with
    one degree of freedom less than the node's target bins.

    Args:
        features: sampled rows by features, nodes one after another.
        target: code of the target for the same rows.
        taken: rows sampled from each node; their sum is the number of rows.
        sizes: true rows of each node.
        min_leaf: smallest number of true rows either side may have.
    """
    nodes, width = len(taken), features.shape[1]
    starts = np.cumsum(taken) - taken
    low, scale, bins = _scaled(features, taken, starts, FEATURE_BINS)
    target_bins = _scaled(target[:, None], taken, starts, TARGET_BINS)[2][:, 0]
    histogram = _histogram(bins, target_bins, taken)
    left = np.cumsum(histogram, axis=2)
    total = left[:, :1, -1, :]
    gain, enough = _gain(left, taken, np.ceil(min_leaf * taken / sizes))
    best = np.where(enough, gain, -np.inf).reshape(nodes, -1).argmax(axis=1)
    rows = np.arange(nodes)
    feature, cut = best // (FEATURE_BINS - 1), best % (FEATURE_BINS - 1)
    freedom = (total[:, 0] > 0).sum(axis=-1) - 1
    chance = freedom + 2 * np.sqrt(2 * freedom) + 2 * np.log(max(width, 2))
    worth = enough.reshape(nodes, -1)[rows, best]
    worth &= gain.reshape(nodes, -1)[rows, best] * 2 > chance
    lowest, factor = low[rows, feature].astype(np.int64), scale[rows, feature].astype(np.int64)
    return Splits(feature, lowest + ((cut + 1) * 256 - 1) // factor, worth)


def _scaled(
    codes: Codes, taken: Ints, starts: Ints, bins: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Lowest code, factor (in 1/256) and coarse bin of each node's own range of codes."""
    low = np.minimum.reduceat(codes, starts, axis=0).astype(np.uint16)
    span = np.maximum.reduceat(codes, starts, axis=0) - low + np.uint16(1)
    factor = np.where(span <= bins, 256, (bins * 256) // span).astype(np.uint16)
    coarse = np.subtract(codes, np.repeat(low, taken, axis=0), dtype=np.uint16)
    coarse *= np.repeat(factor, taken, axis=0)
    coarse >>= 8
    return low, factor, coarse


def _histogram(
    bins: npt.NDArray[np.uint16], target: npt.NDArray[np.uint16], taken: Ints
) -> npt.NDArray[np.float32]:
    """Counts by node, feature, feature bin, target bin."""
    nodes, width = len(taken), bins.shape[1]
    shape = (nodes, width, FEATURE_BINS, TARGET_BINS)
    node = np.repeat(np.arange(nodes) * (width * FEATURE_BINS * TARGET_BINS), taken)
    within = bins * np.uint16(TARGET_BINS)
    within += target[:, None]
    cell = node[:, None] + np.arange(width) * (FEATURE_BINS * TARGET_BINS)
    cell += within
    counts = np.bincount(cell.ravel(), minlength=int(np.prod(shape)))
    return counts.astype(np.float32).reshape(shape)


def _gain(
    left: npt.NDArray[np.float32], taken: Ints, least: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Gain in nats times rows of each threshold, and whether both sides are large enough."""
    total = left[:, :, -1:, :]
    left = left[:, :, :-1, :]
    right = total - left
    rows_left = left.sum(axis=-1)
    rows_right = taken[:, None, None].astype(np.float32) - rows_left
    gain = _xlogx(left).sum(axis=-1) + _xlogx(right).sum(axis=-1)
    gain -= _xlogx(rows_left) + _xlogx(rows_right)
    parent = _xlogx(total[:, 0, 0, :]).sum(axis=-1) - _xlogx(taken.astype(np.float32))
    gain -= parent[:, None, None]
    limit = least[:, None, None]
    return gain, (rows_left >= limit) & (rows_right >= limit)


def _xlogx(counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    logs = np.maximum(counts, np.float32(1))
    np.log(logs, out=logs)
    logs *= counts
    return logs

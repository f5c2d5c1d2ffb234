"""Linear fits inside the leaves of a numeric target.

A leaf says roughly where a number lies; a donor alone would forget how it moves with the number
next to it (a departure time with its delay). So each leaf may hold one least-squares line on its
best single predictor, and a donor then lends its residual instead of its value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabular.synth.growth import Tree

LEAST_ROWS = 20
"""Rows with both numbers present that a line needs."""

LEAST_R2 = 0.1
"""Share of variance that a line must explain, below which the plain donor is as good."""

Numbers = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """One line per leaf, leaves in row order.

    Args:
        predictor: position of the predictor's column, -1 where the leaf has no line.
        slope: of the line; 0 without one.
        centre: mean of the predictor, used where the predictor is missing.
        low: smallest target number of the leaf, lower bound of what is drawn.
        high: largest target number of the leaf.
        residual: per training row in leaf order, target minus slope times predictor; NaN = missing.
    """

    predictor: Ints
    slope: Numbers
    centre: Numbers
    low: Numbers
    high: Numbers
    residual: Numbers


def fit_lines(tree: Tree, target: Numbers, predictors: dict[int, Numbers]) -> Lines | None:
    """Fits the lines, or None when no leaf gains from one.

    Args:
        tree: the grown tree.
        target: the target's number per training row, NaN where missing.
        predictors: numbers per training row of each candidate, by column position.
    """
    leaf = np.flatnonzero(tree.feature < 0)
    leaf = leaf[np.argsort(tree.start[leaf])]
    start, size = tree.start[leaf], tree.size[leaf]
    y = target[tree.rows]
    best = np.full(len(leaf), LEAST_R2)
    predictor = np.full(len(leaf), -1)
    slope, centre = np.zeros(len(leaf)), np.zeros(len(leaf))
    for position, numbers in predictors.items():
        share, steep, mean = _least_squares(numbers[tree.rows], y, start, size)
        better = share > best
        best[better], predictor[better] = share[better], position
        slope[better], centre[better] = steep[better], mean[better]
    if (predictor < 0).all():
        return None
    residual = y.copy()
    for position in np.unique(predictor[predictor >= 0]):
        mine = np.repeat(predictor == position, size)
        x = predictors[int(position)][tree.rows[mine]]
        x = np.where(np.isnan(x), np.repeat(centre, size)[mine], x)
        residual[mine] -= np.repeat(slope, size)[mine] * x
    known = ~np.isnan(y)
    low = np.minimum.reduceat(np.where(known, y, np.inf), start)
    high = np.maximum.reduceat(np.where(known, y, -np.inf), start)
    none = low > high
    low[none] = high[none] = 0.0
    return Lines(predictor, slope, centre, low, high, residual)


def _spread(squares: Numbers, mean: Numbers, rows: Numbers) -> npt.NDArray[np.bool_]:
    """Whether numbers differ by more than their own rounding, however small they are."""
    return squares > rows * (1e-10 * mean) ** 2


@np.errstate(over="ignore", invalid="ignore")
def _least_squares(
    x: Numbers, y: Numbers, start: Ints, size: Ints
) -> tuple[Numbers, Numbers, Numbers]:
    """R², slope and the mean of x per leaf, over rows where both are present."""
    both = ~(np.isnan(x) | np.isnan(y))
    rows = np.maximum(np.add.reduceat(both.astype(np.float64), start), 1.0)
    x_mean = np.add.reduceat(np.where(both, x, 0.0), start) / rows
    y_mean = np.add.reduceat(np.where(both, y, 0.0), start) / rows
    dx = np.where(both, x - np.repeat(x_mean, size), 0.0)
    dy = np.where(both, y - np.repeat(y_mean, size), 0.0)
    sxx = np.add.reduceat(dx * dx, start)
    syy = np.add.reduceat(dy * dy, start)
    sxy = np.add.reduceat(dx * dy, start)
    usable = _spread(sxx, x_mean, rows) & _spread(syy, y_mean, rows) & (rows >= LEAST_ROWS)
    product = sxx * syy
    usable &= (product > 0) & np.isfinite(product)
    share = np.divide(sxy * sxy, product, out=np.zeros_like(sxx), where=usable)
    slope = np.divide(sxy, sxx, out=np.zeros_like(sxx), where=usable)
    return share, slope, x_mean

"""Sixteen cells per column, and the distance between two counts of cells.

Whether two tables agree is asked of counts, not of values: numbers fall into ten bins of equal
share of the real table, categories into the fourteen most frequent ones and the rest, missing
values into a cell of their own. Two columns then give a table of 256 cells, few enough to be
filled by some thousand rows.
"""

from __future__ import annotations

import numpy as np

from tabular.synth.evaluation.columns import Column, Part

CELLS = 16
BINS = 10
CATEGORIES = 14


def quantile_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Inner edges of bins that hold equal shares.

    Args:
        values: float64, NaN where missing.
        bins: how many bins to aim at; heavy values make fewer.

    Returns:
        Strictly rising float64, at most ``bins - 1``; empty when all values are missing.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return np.empty(0)
    edges: np.ndarray = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1]))
    return edges


def codes(
    column: Column, values: np.ndarray, bins: int = BINS, categories: int = CATEGORIES
) -> np.ndarray:
    """Cell number of every value: 0 is missing, then bins or categories, then the rest.

    Args:
        column: gives the bins: quantiles, or frequencies, of its real values.
        values: rows of any of its tables.
        bins: quantile bins of a column on a number line.
        categories: most frequent categories kept apart.

    Returns:
        int64 in [0, max(bins, categories + 1)].
    """
    if column.categorical:
        cells: np.ndarray = np.minimum(values, categories) + 1
        return cells
    cells = np.searchsorted(quantile_edges(column.values["real"], bins), values, "left") + 1
    cells[np.isnan(values)] = 0
    return cells


def part_codes(column: Column, part: Part, chosen: np.ndarray) -> np.ndarray:
    """`codes` of the chosen rows of one table, with the standard sixteen cells."""
    return codes(column, column.rows(part, chosen))


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """1 minus the total variation distance of two counts over the same cells.

    1 is the same distribution, 0 is no cell in common. Symmetric.
    """
    shares = first / first.sum(), second / second.sum()
    return float(np.clip(1 - 0.5 * np.abs(shares[0] - shares[1]).sum(), 0.0, 1.0))

"""How strongly columns are tied to one another, and what synthesis did to the ties.

Pair similarity says that something changed; this says what: a tie that weakened, vanished or
turned round. One number per pair for mixed columns, in the usual measures:

- two number lines: Spearman's rank correlation, over rows where both have a value;
- number and category: the correlation ratio of the ranks (Fisher), in [0, 1];
- two categories: Cramer's V with the bias correction of Bergsma (2013), in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tabular.synth.evaluation.binning import CELLS, part_codes
from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.pairs import as_matrix, extremes
from tabular.synth.evaluation.results import AssociationScores, NotMeasured


def association_scores(
    columns: Sequence[Column], rows: Mapping[Part, np.ndarray]
) -> AssociationScores | NotMeasured:
    """Ties of every pair of columns in the real and the synthetic table."""
    if len(columns) < 2:
        return NotMeasured("needs two columns that are no keys or free text")
    real = association(columns, "real", rows["real"])
    synthetic = association(columns, "synthetic", rows["synthetic"])
    change = synthetic - real
    reference = None
    if "holdout" in rows:
        reference = association(columns, "holdout", rows["holdout"]) - real
    upper = np.triu_indices(len(columns), 1)
    names = tuple(column.name for column in columns)
    return AssociationScores(
        mean_difference=float(np.abs(change[upper]).mean()),
        reference_mean_difference=(
            None if reference is None else float(np.abs(reference[upper]).mean())
        ),
        max_difference=float(np.abs(change[upper]).max()),
        rows=len(rows["real"]),
        columns=names,
        real=as_matrix(real),
        synthetic=as_matrix(synthetic),
        difference=as_matrix(change),
        worst=extremes(names, change, np.abs(change)),
    )


def association(columns: Sequence[Column], part: Part, chosen: np.ndarray) -> np.ndarray:
    """The tie of every two columns of one table.

    Returns:
        float64, shape (columns, columns), symmetric, 1 on the diagonal, 0 where a column
        does not vary.
    """
    lines = [index for index, column in enumerate(columns) if not column.categorical]
    groups = [index for index, column in enumerate(columns) if column.categorical]
    ranked = {index: ranks(columns[index].rows(part, chosen)) for index in lines}
    cells = {index: part_codes(columns[index], part, chosen) for index in groups}
    result = np.eye(len(columns))
    if lines:
        stacked = np.column_stack([ranked[index] for index in lines])
        result[np.ix_(lines, lines)] = correlation(stacked)
    for group in groups:
        for line in lines:
            result[group, line] = result[line, group] = correlation_ratio(
                cells[group], ranked[line]
            )
        for other in groups:
            if other > group:
                tie = cramers_v(cells[group], cells[other])
                result[group, other] = result[other, group] = tie
    return result


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks in (0, 1], NaN where missing; equal values share their rank."""
    result = np.full(len(values), np.nan)
    present = ~np.isnan(values)
    if present.any():
        _, place, count = np.unique(values[present], return_inverse=True, return_counts=True)
        result[present] = (np.cumsum(count) - (count - 1) / 2)[place] / present.sum()
    return result


def correlation(values: np.ndarray) -> np.ndarray:
    """Pearson correlation of columns, each pair over the rows where both have a value.

    Args:
        values: float64, shape (rows, columns), NaN where missing.

    Returns:
        float64, shape (columns, columns), 0 where a column does not vary.
    """
    held = ~np.isnan(values)
    weight = held.astype(np.float64)
    centred = np.where(held, values - _means(values, held), 0.0)
    count = np.maximum(weight.T @ weight, 1)
    total = centred.T @ weight
    square = (centred**2).T @ weight - total**2 / count
    cross = centred.T @ centred - total * total.T / count
    scale = np.sqrt(np.maximum(square * square.T, 0))
    result = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 1e-9)
    np.fill_diagonal(result, 1.0)
    clipped: np.ndarray = np.clip(result, -1, 1)
    return clipped


def _means(values: np.ndarray, held: np.ndarray) -> np.ndarray:
    means: np.ndarray = np.where(held, values, 0.0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
    return means


def correlation_ratio(groups: np.ndarray, values: np.ndarray) -> float:
    """Square root of the share of variance that lies between groups.

    Args:
        groups: cell numbers; 0 is missing and left out.
        values: float64; NaN is left out.
    """
    kept = (groups > 0) & ~np.isnan(values)
    if not kept.any():
        return 0.0
    inside = values[kept] - values[kept].mean()
    count = np.bincount(groups[kept], minlength=CELLS)
    total = np.bincount(groups[kept], weights=inside, minlength=CELLS)
    whole = float((inside**2).sum())
    if whole <= 1e-12:
        return 0.0
    between = float((total**2 / np.maximum(count, 1)).sum())
    return float(np.sqrt(min(between / whole, 1.0)))


def cramers_v(first: np.ndarray, second: np.ndarray) -> float:
    """Bias-corrected Cramer's V of two columns of cell numbers; 0 (missing) is left out."""
    kept = (first > 0) & (second > 0)
    size = int(kept.sum())
    if size < 2:
        return 0.0
    table = np.bincount(first[kept] * CELLS + second[kept], minlength=CELLS * CELLS)
    table = table.reshape(CELLS, CELLS)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    rows, columns = table.shape
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / size
    phi = float(((table - expected) ** 2 / expected).sum()) / size
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (size - 1))
    rows_left = rows - (rows - 1) ** 2 / (size - 1)
    columns_left = columns - (columns - 1) ** 2 / (size - 1)
    limit = min(rows_left, columns_left) - 1
    return float(np.sqrt(min(phi / limit, 1.0))) if limit > 1e-9 else 0.0

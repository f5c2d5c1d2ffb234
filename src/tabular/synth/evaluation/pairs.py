"""Two columns at a time: whether what belongs together still does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tabular.synth.evaluation.binning import CELLS, part_codes, similarity
from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.limits import Limits, choose
from tabular.synth.evaluation.results import Matrix, NotMeasured, PairScore, PairScores

WORST = 10
_PURPOSE = 3


def chosen_rows(columns: Sequence[Column], limits: Limits, seed: int) -> dict[Part, np.ndarray]:
    """Row numbers behind the pair measures: as many real rows as the smaller real part has."""
    sizes = {part: len(values) for part, values in columns[0].values.items()}
    most = min(limits.pair_rows, sizes["real"], sizes.get("holdout", sizes["real"]))
    return {
        part: choose(size, most, (seed, _PURPOSE, index))
        for index, (part, size) in enumerate(sizes.items())
    }


def pair_scores(
    columns: Sequence[Column], rows: Mapping[Part, np.ndarray]
) -> PairScores | NotMeasured:
    """Similarity of every pair of columns.

    Args:
        columns: at least two, or nothing is measured.
        rows: the row numbers of each table to count, from `chosen_rows`.
    """
    if len(columns) < 2:
        return NotMeasured("needs two columns that are no keys or free text")
    cells = {part: [part_codes(c, part, chosen) for c in columns] for part, chosen in rows.items()}
    joint = {part: _Joint(items) for part, items in cells.items()}
    matrix = _matrix(joint["real"], joint["synthetic"], len(columns))
    upper = np.triu_indices(len(columns), 1)
    names = tuple(column.name for column in columns)
    reference = None
    if "holdout" in joint:
        reference = _matrix(joint["real"], joint["holdout"], len(columns))[upper]
    return PairScores(
        mean=float(matrix[upper].mean()),
        minimum=float(matrix[upper].min()),
        reference_mean=None if reference is None else float(reference.mean()),
        reference_minimum=None if reference is None else float(reference.min()),
        rows=len(rows["real"]),
        columns=names,
        matrix=as_matrix(matrix),
        worst=extremes(names, matrix, -matrix),
    )


class _Joint:
    """Counts of one table over the cells of any two of its columns."""

    def __init__(self, cells: Sequence[np.ndarray]) -> None:
        self._cells = cells

    def counts(self, first: int, second: int) -> np.ndarray:
        return np.bincount(
            self._cells[first] * CELLS + self._cells[second], minlength=CELLS * CELLS
        )


def _matrix(first: _Joint, second: _Joint, size: int) -> np.ndarray:
    matrix = np.eye(size)
    for row in range(size):
        for column in range(row + 1, size):
            score = similarity(first.counts(row, column), second.counts(row, column))
            matrix[row, column] = matrix[column, row] = score
    return matrix


def as_matrix(values: np.ndarray) -> Matrix:
    """A two-dimensional array as plain numbers."""
    return tuple(tuple(float(value) for value in row) for row in values)


def extremes(
    names: Sequence[str], values: np.ndarray, badness: np.ndarray
) -> tuple[PairScore, ...]:
    """The pairs of greatest badness, with their values.

    Args:
        names: of the columns, along both axes.
        values: symmetric, what is shown of a pair.
        badness: symmetric, what pairs are ranked by.
    """
    rows, columns = np.triu_indices(len(names), 1)
    order = np.argsort(-badness[rows, columns], kind="stable")[:WORST]
    return tuple(
        PairScore(names[rows[k]], names[columns[k]], float(values[rows[k], columns[k]]))
        for k in order
    )

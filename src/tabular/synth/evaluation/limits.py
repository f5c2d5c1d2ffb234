"""How much work one evaluation may do.

An evaluation runs inside a worker beside other jobs, so its time and memory must not grow with
the tables. Every cap lives here, and every cap that was reached is named in the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on rows, columns and arithmetic; a table below all of them is measured whole.

    Attributes:
        rows: rows of each table that are looked at, drawn at random without replacement.
        cells: values of each table held encoded at once; lowers ``rows`` for wide tables.
        columns: columns taken into the measures of pairs, models and distances.
        pair_rows: rows of each table behind the pair and association measures.
        match_rows: rows of the training and holdout tables searched for exact matches.
        queries: synthetic rows whose nearest neighbours are searched.
        products: multiplications per neighbour search; lowers the rows searched.
        detection_rows: rows of each side shown to the classifier.
        utility_rows: rows a model is trained on and scored on.
    """

    rows: int = 200_000
    cells: int = 10_000_000
    columns: int = 100
    pair_rows: int = 20_000
    match_rows: int = 1_000_000
    queries: int = 4_000
    products: int = 100_000_000_000
    detection_rows: int = 20_000
    utility_rows: int = 60_000

    def sampled_rows(self, table: pa.Table) -> int:
        """Rows of a table that are measured: fewer when it is wide."""
        wide = max(1, min(table.num_columns, self.columns))
        return int(min(table.num_rows, self.rows, max(1, self.cells // wide)))


def choose(count: int, most: int, seed: tuple[int, ...]) -> np.ndarray:
    """Row numbers, ascending, of a random choice without replacement.

    Args:
        count: how many rows there are.
        most: how many to choose; all when there are no more than that.
        seed: makes the choice repeatable; a different tuple for each purpose.

    Returns:
        int64, shape (min(count, most),).
    """
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))

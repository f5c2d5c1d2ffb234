"""Whether synthetic rows crowd round the rows they were learned from.

A synthesizer that has learned the population puts its rows as near to people it never saw as
to people it did. So for each synthetic row we ask which is nearer, the training table or an
equally large holdout: half and half is ideal, more is memory.

Distance: Euclidean over columns, each in a range of about 1. Numbers count by their quantile in
the training table, a missing one lies half a range below the least; two different categories
are 1 apart (one-hot of the 50 most frequent and the rest, times the square root of a half).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.limits import Limits, choose
from tabular.synth.evaluation.results import NearestShare, NotMeasured

_CATEGORIES = 50
_TIE = 1e-3
_BLOCK = 4096
_QUERY_BLOCK = 512
_PURPOSE = 5


def nearest_share(
    columns: Sequence[Column], limits: Limits, seed: int
) -> NearestShare | NotMeasured:
    """Share of synthetic rows nearer to training than to holdout, with its interval."""
    columns = [column for column in columns if not column.identifier]
    if not columns:
        return NotMeasured("every column is a key or free text")
    if "holdout" not in columns[0].values:
        return NotMeasured("needs a holdout: real rows that the synthesizer has not seen")
    space = Space(columns)
    sizes = {part: len(values) for part, values in columns[0].values.items()}
    queries = choose(sizes["synthetic"], limits.queries, (seed, _PURPOSE))
    affordable = max(1, limits.products // (len(queries) * space.width))
    size = min(sizes["real"], sizes["holdout"], affordable)
    points = space.points("synthetic", queries)
    searched = {
        part: space.distances(points, part, choose(sizes[part], size, (seed, _PURPOSE, salt)))
        for salt, part in enumerate(sizes)
        if part != "synthetic"
    }
    training, holdout = searched["real"], searched["holdout"]
    tie = np.abs(training - holdout) <= _TIE
    share = float(((training < holdout) & ~tie).mean() + 0.5 * tie.mean())
    low, high = wilson(share, len(queries))
    return NearestShare(share, low, high, len(queries), size)


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927).

    Args:
        share: observed, in [0, 1].
        count: of how many.
    """
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count)
    half *= math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


class Space:
    """The coordinates in which rows are near or far."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._scales = [
            np.empty(0) if column.categorical else _sorted_present(column.values["real"])
            for column in columns
        ]
        widths = [
            min(_CATEGORIES, column.known) + 1 if column.categorical else 1 for column in columns
        ]
        self._starts = np.concatenate([[0], np.cumsum(widths)]).astype(int)
        self.width = int(self._starts[-1])

    def points(self, part: Part, chosen: np.ndarray) -> np.ndarray:
        """Coordinates of rows of a table: float32, shape (rows, width)."""
        result = np.zeros((len(chosen), self.width), dtype=np.float32)
        places = np.arange(len(chosen))
        for index, column in enumerate(self._columns):
            start, end = int(self._starts[index]), int(self._starts[index + 1])
            values = column.rows(part, chosen)
            if column.categorical:
                rest = end - start - 1
                spot = np.where((values < 0) | (values >= rest), rest, values)
                result[places, start + spot] = math.sqrt(0.5)
            else:
                result[:, start] = _quantiles(self._scales[index], values)
        return result

    def distances(self, points: np.ndarray, part: Part, chosen: np.ndarray) -> np.ndarray:
        """Distance from each point to the nearest of the chosen rows of a table: float32."""
        least = np.full(len(points), np.inf, dtype=np.float32)
        own = (points * points).sum(axis=1)
        for start in range(0, len(chosen), _BLOCK):
            block = self.points(part, chosen[start : start + _BLOCK])
            norms = (block * block).sum(axis=1)
            for first in range(0, len(points), _QUERY_BLOCK):
                some = slice(first, first + _QUERY_BLOCK)
                squared = own[some, None] + norms - 2 * points[some] @ block.T
                np.minimum(least[some], squared.min(axis=1), out=least[some])
        nearest: np.ndarray = np.sqrt(np.maximum(least, 0))
        return nearest


def _sorted_present(values: np.ndarray) -> np.ndarray:
    return np.sort(values[~np.isnan(values)])


def _quantiles(scale: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mid-quantile of each value among the sorted ones; -0.5 where missing."""
    steps = np.searchsorted(scale, values, "left") + np.searchsorted(scale, values, "right")
    return np.where(np.isnan(values), -0.5, steps / max(2 * len(scale), 1))

"""The bars behind a column's plot.

A report is passed around, so its plots must not show what the synthesizer hid: a category is
named only when at least twenty real rows hold it, and a number line ends at the half-percent
quantiles, with all beyond counted in the outer bars.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.kinds import written
from tabular.synth.evaluation.results import Histogram

SHOWN_FROM = 20
"""A category is named when at least this many real rows hold it."""
_BARS = 24
_NAMED = 8
_TAIL = 0.005
_WHOLE = 2.0**53  # from here on a float64 no longer tells neighbouring whole numbers apart
_REST = "all other values"
_MISSING = "missing"


def histogram(column: Column) -> Histogram:
    """Bars of the real and the synthetic values, on the same bins."""
    return _categories(column) if column.categorical else _line(column)


def _categories(column: Column) -> Histogram:
    real = column.values["real"]
    frequency = np.bincount(real[real >= 0], minlength=len(column.labels))
    named = int((frequency[:_NAMED] >= SHOWN_FROM).sum())
    cells = {
        part: np.where(values < 0, named + 1, np.minimum(values, named))
        for part, values in column.values.items()
    }
    return _shares(cells, (*column.labels[:named], _REST, _MISSING), ())


def _line(column: Column) -> Histogram:
    real = column.values["real"]
    present = real[~np.isnan(real)]
    edges = _edges(present, column.integral)
    bars = len(edges) - 1
    cells: dict[Part, np.ndarray] = {}
    for part, values in column.values.items():
        place = np.clip(np.searchsorted(edges, values, "right") - 1, 0, bars - 1)
        cells[part] = np.where(np.isnan(values), bars, place)
    ends = tuple(written(edge, column.family, edges[-1] - edges[0]) for edge in edges)
    single = column.integral and edges[1] - edges[0] == 1
    labels = ends[:-1] if single else tuple(f"{low} to {high}" for low, high in pairwise(ends))
    return _shares(cells, (*labels, _MISSING), ends)


def _edges(present: np.ndarray, integral: bool) -> np.ndarray:
    if not len(present):
        return np.array([0.0, 1.0])
    low, high = np.quantile(present, [_TAIL, 1 - _TAIL])
    integral = integral and max(abs(low), abs(high)) < _WHOLE
    if integral and high - low < _BARS:
        return np.arange(np.floor(low), np.ceil(high) + 2)
    if high <= low:
        return np.array([low, low + max(1.0, abs(low) * 1e-6)])
    if integral:
        step = np.ceil((high - low) / _BARS)
        return np.arange(np.floor(low), high + step, step)
    return np.linspace(low, high, _BARS + 1)


def _shares(
    cells: dict[Part, np.ndarray], labels: tuple[str, ...], edges: tuple[str, ...]
) -> Histogram:
    shares = {
        part: np.bincount(place, minlength=len(labels)) / len(place)
        for part, place in cells.items()
    }
    kept = [
        index
        for index, label in enumerate(labels)
        if label not in (_REST, _MISSING) or shares["real"][index] + shares["synthetic"][index] > 0
    ]
    return Histogram(
        labels=tuple(labels[index] for index in kept),
        edges=edges,
        real=tuple(float(shares["real"][index]) for index in kept),
        synthetic=tuple(float(shares["synthetic"][index]) for index in kept),
    )

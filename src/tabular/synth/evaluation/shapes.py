"""Each column alone: the first thing that must be right, and the easiest to see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tabular.synth.evaluation.binning import codes, similarity
from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.histograms import histogram
from tabular.synth.evaluation.results import ColumnScore, ShapeScores

SHAPE_BINS = 20
SHAPE_CATEGORIES = 50


def score_column(column: Column) -> ColumnScore:
    """How alike one column is in the real and the synthetic table."""
    counts = _counts(column)
    missing = {part: float(column.missing(part).mean()) for part in column.values}
    holdout = counts.get("holdout")
    return ColumnScore(
        name=column.name,
        family=column.family,
        identifier=column.identifier,
        similarity=similarity(counts["real"], counts["synthetic"]),
        reference=None if holdout is None else similarity(counts["real"], holdout),
        missing_real=missing["real"],
        missing_synthetic=missing["synthetic"],
        missing_difference=missing["synthetic"] - missing["real"],
        histogram=histogram(column),
    )


def _counts(column: Column) -> Mapping[Part, np.ndarray]:
    size = max(SHAPE_BINS, SHAPE_CATEGORIES + 1) + 1
    return {
        part: np.bincount(codes(column, values, SHAPE_BINS, SHAPE_CATEGORIES), minlength=size)
        for part, values in column.values.items()
    }


def shape_scores(columns: Iterable[ColumnScore], rows: int) -> ShapeScores:
    """The scores of all columns, with their mean and minimum.

    Args:
        columns: from `score_column`.
        rows: measured of the smaller table.
    """
    scores = tuple(columns)
    references = [score.reference for score in scores if score.reference is not None]
    return ShapeScores(
        mean=float(np.mean([score.similarity for score in scores])),
        minimum=min(score.similarity for score in scores),
        reference_mean=float(np.mean(references)) if references else None,
        rows=rows,
        columns=scores,
    )

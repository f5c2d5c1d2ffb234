"""What each measure hands back: plain numbers, so that a report is data before it is a page."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

Level = Literal["good", "fair", "poor", "unknown"]
Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Stands where a measure could not be taken, and says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of the rows per bar, each table summing to 1.

    Attributes:
        labels: of the bars, one each; the last may be the rest and the missing.
        edges: for a number line, where bars begin and end (one more than number bars).
        real: share of the real rows in each bar.
        synthetic: share of the synthetic rows in each bar.
    """

    labels: tuple[str, ...]
    edges: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColumnScore:
    """How alike one column is in both tables.

    Attributes:
        name: of the column.
        family: number, boolean, text, instant, clock or span.
        identifier: a key or free text, left out of all other measures.
        similarity: 1 - total variation over 20 quantile bins or 50 categories, and missing.
        reference: the same between the real table and the holdout.
        missing_real: share of the real rows without a value.
        missing_synthetic: share of the synthetic rows without a value.
        missing_difference: synthetic minus real.
        histogram: what the plot shows.
    """

    name: str
    family: str
    identifier: bool
    similarity: float
    reference: float | None
    missing_real: float
    missing_synthetic: float
    missing_difference: float
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class ShapeScores:
    """All columns, one by one, over the rows of the smaller table."""

    mean: float
    minimum: float
    reference_mean: float | None
    rows: int
    columns: tuple[ColumnScore, ...]


@dataclass(frozen=True, slots=True)
class PairScore:
    """Two columns and what was measured between them."""

    first: str
    second: str
    value: float


@dataclass(frozen=True, slots=True)
class PairScores:
    """All pairs of columns over 16 x 16 cells.

    Attributes:
        mean: similarity, averaged over pairs.
        minimum: of the least alike pair.
        reference_mean: the same between the real table and the holdout.
        reference_minimum: the least of those.
        rows: rows of the real table behind it; fewer rows give lower scores even to
            tables of one origin.
        columns: names along the matrix.
        matrix: similarity, 1 on the diagonal.
        worst: the least alike pairs, worst first.
    """

    mean: float
    minimum: float
    reference_mean: float | None
    reference_minimum: float | None
    rows: int
    columns: tuple[str, ...]
    matrix: Matrix
    worst: tuple[PairScore, ...]


@dataclass(frozen=True, slots=True)
class AssociationScores:
    """Strength of the tie between columns, in either table and the change.

    Rank correlation between numbers (signed), correlation ratio of ranks between a number
    and a category, bias-corrected Cramer's V between categories.

    Attributes:
        mean_difference: absolute, averaged over pairs.
        reference_mean_difference: the same between the real table and the holdout.
        max_difference: of the pair that changed most.
        rows: rows of the real table behind it.
        columns: names along the matrices.
        real: in the real table.
        synthetic: in the synthetic one.
        difference: synthetic minus real.
        worst: the pairs that changed most, with the signed change.
    """

    mean_difference: float
    reference_mean_difference: float | None
    max_difference: float
    rows: int
    columns: tuple[str, ...]
    real: Matrix
    synthetic: Matrix
    difference: Matrix
    worst: tuple[PairScore, ...]


@dataclass(frozen=True, slots=True)
class NearestShare:
    """Share of synthetic rows nearer to a training row than to any holdout row.

    Attributes:
        share: 0.5 when the synthesizer remembers no row; ties count half.
        low: lower end of the 95 % interval.
        high: upper end.
        queries: synthetic rows looked at.
        searched: rows of the training table, and as many of the holdout, searched.
    """

    share: float
    low: float
    high: float
    queries: int
    searched: int


@dataclass(frozen=True, slots=True)
class ExactMatches:
    """Rows that occur elsewhere value for value, keys left aside.

    Attributes:
        synthetic_in_training: share of synthetic rows that are also training rows.
        synthetic_in_holdout: share that are also holdout rows.
        holdout_in_training: the holdout's own rate: what chance alone gives real rows.
        queries: synthetic rows looked at.
        searched: training rows searched.
        columns: columns compared.
    """

    synthetic_in_training: float
    synthetic_in_holdout: float | None
    holdout_in_training: float | None
    queries: int
    searched: int
    columns: int


@dataclass(frozen=True, slots=True)
class Detection:
    """How well a classifier tells real rows from synthetic ones.

    Attributes:
        auc: area under the ROC curve on rows it was not trained on; 0.5 is guessing.
        against: the table that stood for real: holdout, or real where there is none.
        rows: rows of each side, half to train and half to score.
    """

    auc: float
    against: str
    rows: int


@dataclass(frozen=True, slots=True)
class Utility:
    """How useful the synthetic table is for training a model.

    Attributes:
        target: the column that is predicted.
        chosen: whether the caller named it.
        task: classification or regression.
        metric: auc (two classes), accuracy (more), r2 (regression).
        real: score of the model trained on real rows.
        synthetic: score of the same model trained on synthetic rows.
        guess: score of guessing without looking.
        scored_on: the real rows neither model saw.
        rows: how many rows the scores rest on.
    """

    target: str
    chosen: bool
    task: str
    metric: str
    real: float
    synthetic: float
    guess: float
    scored_on: str
    rows: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure in plain words.

    Attributes:
        group: quality or privacy.
        measure: its name.
        level: good, fair, poor, or unknown.
        value: as shown.
        meaning: what the number says about this table.
        scale: where good and poor begin; empty for what was not measured.
    """

    group: Literal["quality", "privacy"]
    measure: str
    level: Level
    value: str
    meaning: str
    scale: str


def plain(value: Any) -> Any:
    """Any of these as JSON data; numbers to six decimals, so that equal runs give equal bytes."""
    if isinstance(value, NotMeasured):
        return {"measured": False, "reason": value.reason}
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6)
    return value

"""Two questions that only a trained model can answer: can it be told apart, and is it of use?

The models are scikit-learn's histogram gradient boosting. scikit-learn is large and optional,
so it is imported when asked for, and its absence is an answer of its own, never a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.limits import Limits, choose
from tabular.synth.evaluation.results import Detection, NotMeasured

MISSING_EXTRA = "not measured: pip install 'inferloop-tabular[evaluate]'"
LEAST_ROWS = 50
_LEAST_VALUES = 20
_CATEGORICAL_UP_TO = 250  # the trees keep at most 255 categories apart; more are taken by rank
_PURPOSE = 7


class Learners(NamedTuple):
    """What is used of scikit-learn."""

    classifier: Any
    regressor: Any
    auc: Any
    r2: Any
    limit: Any

    def alone(self) -> AbstractContextManager[Any]:
        """One thread while training.

        The trees' threads wait by spinning, which on a machine that others use makes them
        many times slower than one; and sums then do not depend on how many cores there are.
        """
        limited: AbstractContextManager[Any] = self.limit(limits=1, user_api="openmp")
        return limited


def learners() -> Learners | None:
    """scikit-learn's histogram gradient boosting, None where it is not installed."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.metrics import r2_score, roc_auc_score
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    return Learners(
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        roc_auc_score,
        r2_score,
        threadpool_limits,
    )


def features(columns: Sequence[Column], part: Part, chosen: np.ndarray) -> np.ndarray:
    """Rows as a model takes them.

    Categories the real rows never show share one code of their own.

    Returns:
        float64, shape (rows, columns), NaN where missing.
    """
    matrix = np.empty((len(chosen), len(columns)))
    for index, column in enumerate(columns):
        values = column.rows(part, chosen)
        if column.categorical:
            values = np.where(values < 0, np.nan, np.minimum(values, column.known))
        matrix[:, index] = values
    return matrix


def learnable(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same rows, fit for the trees: a column of hardly any value says who has one.

    The trees cannot cut a column that holds no value in the rows they see, and on large tables
    they set some of the training rows aside.

    Args:
        train: float64, shape (rows, columns), NaN where missing; decides which columns change.
        test: float64, shape (any rows, columns).
    """
    bare = (~np.isnan(train)).sum(axis=0) < _LEAST_VALUES
    first, second = (np.where(bare, ~np.isnan(rows), rows) for rows in (train, test))
    return first, second


def categorical_mask(columns: Sequence[Column]) -> np.ndarray:
    """bool per column: taken by the model as categories rather than as numbers."""
    return np.array(
        [column.categorical and column.known <= _CATEGORICAL_UP_TO for column in columns]
    )


def detection(columns: Sequence[Column], limits: Limits, seed: int) -> Detection | NotMeasured:
    """AUC of a classifier that tells real rows (the holdout, if any) from synthetic ones."""
    columns = [column for column in columns if not column.identifier]
    if not columns:
        return NotMeasured("every column is a key or free text")
    against: Part = "holdout" if "holdout" in columns[0].values else "real"
    sizes = {part: len(columns[0].values[part]) for part in (against, "synthetic")}
    rows = min(limits.detection_rows, *sizes.values())
    if rows < LEAST_ROWS:
        return NotMeasured(f"needs at least {LEAST_ROWS} rows in each table")
    kit = learners()
    if kit is None:
        return NotMeasured(MISSING_EXTRA)
    generator = np.random.default_rng((seed, _PURPOSE))
    sides = [
        features(columns, part, generator.permutation(sizes[part])[:rows])
        for part in (against, "synthetic")
    ]
    half = rows // 2
    train = np.concatenate([side[:half] for side in sides])
    test = np.concatenate([side[half:] for side in sides])
    train, test = learnable(train, test)
    model = kit.classifier(random_state=seed, categorical_features=categorical_mask(columns))
    with kit.alone():
        likelihood = model.fit(train, np.repeat([0, 1], half)).predict_proba(test)[:, 1]
    return Detection(float(kit.auc(np.repeat([0, 1], rows - half), likelihood)), against, rows)


def utility_rows(column: Column, limits: Limits, seed: int) -> tuple[dict[str, np.ndarray], str]:
    """Row numbers to train and to score on, and what they are scored on in words.

    Without a holdout the real rows are halved: one half trains the real model, both models
    are scored on the other.
    """
    sizes = {part: len(values) for part, values in column.values.items()}
    most = limits.utility_rows
    chosen = {"synthetic": choose(sizes["synthetic"], most, (seed, _PURPOSE, 1))}
    if "holdout" in sizes:
        chosen["train"] = choose(sizes["real"], most, (seed, _PURPOSE, 2))
        chosen["test"] = choose(sizes["holdout"], most, (seed, _PURPOSE, 3))
        return chosen, "the holdout"
    order = np.random.default_rng((seed, _PURPOSE, 4)).permutation(sizes["real"])
    half = len(order) // 2
    chosen["train"], chosen["test"] = order[:half][:most], order[half:][:most]
    return chosen, "half of the real rows (the synthesizer may have seen them)"

"""Train on synthetic, score on real: what the synthetic table is worth to whoever models it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tabular.errors import TableError, nearest
from tabular.synth.evaluation.columns import Column, Part
from tabular.synth.evaluation.limits import Limits
from tabular.synth.evaluation.models import (
    LEAST_ROWS,
    MISSING_EXTRA,
    Learners,
    categorical_mask,
    features,
    learnable,
    learners,
    utility_rows,
)
from tabular.synth.evaluation.results import NotMeasured, Utility

_DEFAULT_CLASSES = 20
_MOST_CLASSES = 50


def choose_target(columns: Sequence[Column], wanted: str | None) -> Column | None:
    """The column to predict: the one named, or the last that suits, None when none does.

    A column suits when it is no key, varies, and is a number or has 2 to 20 categories.

    Raises:
        TableError: no column of that name, or one with too many categories to predict.
    """
    if wanted is None:
        fitting = [column for column in columns if _suits(column)]
        return fitting[-1] if fitting else None
    found = next((column for column in columns if column.name == wanted), None)
    if found is None:
        names = [column.name for column in columns]
        raise TableError(
            f"there is no column {wanted!r} to predict",
            hint=f"{nearest(wanted, names)}name a column of the real table as target",
            code="table.target",
        )
    classes = _classes(found) if found.categorical else 0
    if classes > _MOST_CLASSES:
        raise TableError(
            f"{classes} categories are too many to predict; at most {_MOST_CLASSES}",
            where=f"column {wanted!r}",
            hint="name a number or a column with fewer categories as target",
            code="table.target",
        )
    return found


def _classes(column: Column) -> int:
    values = column.values["real"][~column.missing("real")]
    return len(np.unique(values))


def _suits(column: Column) -> bool:
    if column.identifier or column.family not in ("number", "text", "boolean"):
        return False
    count = _classes(column)
    return count >= 2 and (not column.categorical or count <= _DEFAULT_CLASSES)


def utility(
    columns: Sequence[Column], target: str | None, limits: Limits, seed: int
) -> Utility | NotMeasured:
    """Scores on real rows of one model trained on real and one trained on synthetic rows.

    Raises:
        TableError: the target named cannot be predicted; see `choose_target`.
    """
    found = choose_target(columns, target)
    if found is None:
        return NotMeasured("no column suits as a target")
    inputs = [c for c in columns if c.name != found.name and not c.identifier]
    if not inputs:
        return NotMeasured(f"no other column to predict {found.name!r} from")
    kit = learners()
    if kit is None:
        return NotMeasured(MISSING_EXTRA)
    chosen, scored_on = utility_rows(found, limits, seed)
    parts: dict[str, Part] = {"train": "real", "synthetic": "synthetic", "test": "real"}
    if "holdout" in found.values:
        parts["test"] = "holdout"
    sets = {use: _labelled(inputs, found, parts[use], rows) for use, rows in chosen.items()}
    scarce = [use for use, (_, truth) in sets.items() if len(truth) < LEAST_ROWS]
    if scarce:
        return NotMeasured(f"fewer than {LEAST_ROWS} rows have a value of {found.name!r}")
    metric = _metric(found, sets["train"][1])
    options = {"random_state": seed, "categorical_features": categorical_mask(inputs)}
    with kit.alone():
        scores = {
            use: _score(kit, metric, options, sets[use], sets["test"])
            for use in ("train", "synthetic")
        }
    if scores["train"] is None or scores["synthetic"] is None:
        side = "real" if scores["train"] is None else "synthetic"
        return NotMeasured(f"the {side} rows hold a single class of {found.name!r}")
    return Utility(
        target=found.name,
        chosen=target is not None,
        task="regression" if metric == "r2" else "classification",
        metric=metric,
        real=scores["train"],
        synthetic=scores["synthetic"],
        guess=_guess(metric, sets["test"][1]),
        scored_on=scored_on,
        rows=len(sets["test"][1]),
    )


Labelled = tuple[np.ndarray, np.ndarray]


def _labelled(inputs: Sequence[Column], target: Column, part: Part, chosen: np.ndarray) -> Labelled:
    """Inputs and truth of the rows that have a truth the real rows know."""
    truth = features([target], part, chosen)[:, 0]
    kept = ~np.isnan(truth)
    if target.categorical:
        kept &= truth < target.known
    return features(inputs, part, chosen[kept]), truth[kept]


def _metric(target: Column, truth: np.ndarray) -> str:
    if not target.categorical:
        return "r2"
    return "auc" if len(np.unique(truth)) <= 2 else "accuracy"


def _guess(metric: str, truth: np.ndarray) -> float:
    """What guessing scores: the mean, a coin, or the most frequent class."""
    if metric == "accuracy":
        return float(np.unique(truth, return_counts=True)[1].max() / len(truth))
    return 0.5 if metric == "auc" else 0.0


def _score(
    kit: Learners, metric: str, options: Mapping[str, Any], train: Labelled, test: Labelled
) -> float | None:
    """The score of one model, None when there is but one class to learn or to score."""
    seen, scored = learnable(train[0], test[0])
    if metric == "r2":
        model = kit.regressor(**options).fit(seen, train[1])
        return float(kit.r2(test[1], model.predict(scored)))
    if len(np.unique(train[1])) < 2 or len(np.unique(test[1])) < 2:
        return None
    model = kit.classifier(**options)
    model.fit(seen, train[1].astype(int))
    if metric == "auc":
        known = np.isin(test[1], model.classes_)
        likelihood = model.predict_proba(scored[known])[:, 1]
        return float(kit.auc(test[1][known] == model.classes_[1], likelihood))
    return float((model.predict(scored) == test[1]).mean())

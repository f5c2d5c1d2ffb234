"""What the numbers mean, in words a reader without statistics can act on.

The thresholds are judgements, not laws of nature, so each one is printed beside the number it
judges. Privacy is judged by two tests that can show a leak and cannot rule one out; the report
says that too, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tabular.synth.evaluation.results import (
    AssociationScores,
    Detection,
    ExactMatches,
    Finding,
    Level,
    NearestShare,
    NotMeasured,
    PairScores,
    ShapeScores,
    Utility,
)

NOT_DIFFERENTIAL = (
    "None of this is formal differential privacy. These are tests on one sample: they can show "
    "that rows were copied or crowded, and cannot prove that nothing about a person can be "
    "learned from the synthetic table."
)

_FEW_ROWS = 2_000  # below this, two samples of one table differ by more than the levels do
_PREDICTABLE = 0.05  # a model that beats guessing by less has learned nothing to compare
_WIDE = 0.2  # an interval of a share wider than this says nothing


def at_least(value: float, good: float, fair: float) -> Level:
    """Level of a number of which more is better."""
    return "good" if value >= good else "fair" if value >= fair else "poor"


def at_most(value: float, good: float, fair: float) -> Level:
    """Level of a number of which less is better."""
    return "good" if value <= good else "fair" if value <= fair else "poor"


def headline(findings: Sequence[Finding]) -> str:
    """The verdict in two sentences: quality by its weakest measure, and what privacy tests saw."""
    quality = _weakest([item for item in findings if item.group == "quality"])
    privacy = [item for item in findings if item.group == "privacy"]
    weak = ", ".join(item.measure.lower() for item in quality)
    if not quality:
        words = "Quality is not judged: the tables are too small. "
    elif quality[0].level == "good":
        words = "Quality is good. "
    else:
        words = f"Quality is {quality[0].level}, held back by {weak}. "
    suspect = _weakest(privacy)
    names = ", ".join(item.measure.lower() for item in suspect)
    if suspect and suspect[0].level != "good":
        verb = "show a leak" if suspect[0].level == "poor" else "ask for a closer look"
        return f"{words}The privacy tests {verb}: {names}."
    unknown = ", ".join(item.measure.lower() for item in privacy if item.level == "unknown")
    if unknown:
        return f"{words}Privacy is not judged in full: {unknown}."
    return f"{words}The privacy tests show no sign of copied rows."


def _weakest(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of the worst level among those that were judged."""
    for level in ("poor", "fair", "good"):
        found = [item for item in findings if item.level == level]
        if found:
            return found
    return []


def _below(what: str, reference: float) -> str:
    return f"{what} {reference:.3f}; good ≥ {reference - 0.03:.3f}, poor < {reference - 0.10:.3f}"


def _unmeasured(group: Literal["quality", "privacy"], measure: str, why: NotMeasured) -> Finding:
    return Finding(group, measure, "unknown", "not measured", why.reason, "")


def shape_finding(scores: ShapeScores) -> Finding:
    """Columns one by one, judged against the holdout's score where there is one."""
    least = min(scores.columns, key=lambda item: item.similarity)
    meaning = (
        f"On average {scores.mean:.1%} of a column's values are where the real ones are. "
        f"Least alike: {least.name} ({least.similarity:.3f}). "
        f"{_kept_aside(scores.reference_mean, scores.rows)}"
    )
    level, scale = _likeness(scores.mean, scores.reference_mean, 0.95, 0.85)
    level = _certain(level, scores.reference_mean, scores.rows)
    return Finding("quality", "Column shapes", level, f"{scores.mean:.3f}", meaning.strip(), scale)


def pair_finding(scores: PairScores | NotMeasured) -> Finding:
    """Columns two by two, judged against the holdout's score where there is one."""
    if isinstance(scores, NotMeasured):
        return _unmeasured("quality", "Column pairs", scores)
    worst = scores.worst[0]
    meaning = (
        f"Least alike: {worst.first} with {worst.second} ({scores.minimum:.3f}). "
        f"{_kept_aside(scores.reference_mean, scores.rows)}"
    )
    level, scale = _likeness(scores.mean, scores.reference_mean, 0.93, 0.80)
    level = _certain(level, scores.reference_mean, scores.rows)
    return Finding("quality", "Column pairs", level, f"{scores.mean:.3f}", meaning.strip(), scale)


def _kept_aside(reference: float | None, rows: int) -> str:
    if reference is not None:
        return f"Real rows kept aside reach {reference:.3f}."
    if rows >= _FEW_ROWS:
        return ""
    return f"With {rows:,} rows even real samples differ; a holdout would show by how much."


def _certain(level: Level, reference: float | None, rows: int) -> Level:
    """The level, unless it may be the chance of a small sample that no holdout shows."""
    return "unknown" if level != "good" and reference is None and rows < _FEW_ROWS else level


def _likeness(score: float, reference: float | None, good: float, fair: float) -> tuple[Level, str]:
    """Level and scale of a similarity: by the holdout's own score, or else by fixed bounds."""
    if reference is None:
        scale = f"1 is the same; good ≥ {good:.2f}, poor < {fair:.2f}"
        return at_least(score, good, fair), scale
    return at_most(reference - score, 0.03, 0.10), _below("holdout", reference)


def association_finding(scores: AssociationScores | NotMeasured) -> Finding:
    """Ties between columns, judged beyond what the holdout shows by chance."""
    if isinstance(scores, NotMeasured):
        return _unmeasured("quality", "Associations", scores)
    worst = scores.worst[0]
    place = scores.columns.index(worst.first), scores.columns.index(worst.second)
    before, after = (table[place[0]][place[1]] for table in (scores.real, scores.synthetic))
    meaning = (
        f"The tie between two columns moved by {scores.mean_difference:.3f} on average; most "
        f"for {worst.first} with {worst.second}, from {before:.2f} to {after:.2f}."
        if scores.max_difference > 0
        else "No tie between two columns moved."
    )
    chance = scores.reference_mean_difference or 0.0
    level = at_most(scores.mean_difference - chance, 0.03, 0.10)
    level = _certain(level, scores.reference_mean_difference, scores.rows)
    start = "0 is the same" if scores.reference_mean_difference is None else f"holdout {chance:.3f}"
    scale = f"{start}; good ≤ {chance + 0.03:.2f}, poor > {chance + 0.10:.2f}"
    value = f"{scores.mean_difference:.3f}"
    return Finding("quality", "Associations", level, value, meaning, scale)


def detection_finding(result: Detection | NotMeasured) -> Finding:
    """Whether a classifier can tell."""
    if isinstance(result, NotMeasured):
        return _unmeasured("quality", "Detection", result)
    other = "a holdout" if result.against == "holdout" else "a real"
    meaning = (
        f"Shown {other} row and a synthetic one, a trained classifier picks the "
        f"synthetic one {result.auc:.0%} of the time; a coin would get 50%."
    )
    level = at_most(result.auc, 0.65, 0.80)
    scale = "0.5 is ideal; good ≤ 0.65, poor > 0.80"
    return Finding("quality", "Detection", level, f"{result.auc:.3f}", meaning, scale)


def utility_finding(result: Utility | NotMeasured) -> Finding:
    """What a model learns from it."""
    if isinstance(result, NotMeasured):
        return _unmeasured("quality", "Utility", result)
    name = {"auc": "AUC", "accuracy": "accuracy", "r2": "R²"}[result.metric]
    picked = "" if result.chosen else " (the last column that suits; name another as target)"
    meaning = (
        f"Predicting {result.target}{picked}, scored on {result.scored_on}: trained on synthetic "
        f"rows {name} {result.synthetic:.3f}, trained on real rows {result.real:.3f}."
    )
    level = at_most(result.real - result.synthetic, 0.03, 0.10)
    if result.real - result.guess < _PREDICTABLE:
        level = "unknown"
        meaning += (
            f" Guessing gives {result.guess:.3f}, so that nothing can be judged by this target: "
            "name another."
        )
    scale = _below("real", result.real)
    return Finding("quality", "Utility", level, f"{result.synthetic:.3f}", meaning, scale)


def nearest_finding(result: NearestShare | NotMeasured) -> Finding:
    """Crowding round training rows."""
    measure = "Nearer to training"
    if isinstance(result, NotMeasured):
        return _unmeasured("privacy", measure, result)
    if result.low > 0.5:
        sense = "more than half, so the synthesizer holds on to rows it saw"
    elif result.high < 0.45:
        sense = "far below half, so the holdout was among the rows it learned from, or is not of "
        sense += "the training table's kind"
    elif result.high < 0.5:
        sense = "a little below half; no sign that single rows are remembered"
    elif result.high - result.low > _WIDE:
        sense = "too few rows to tell it from half"
    else:
        sense = "no different from half, so no sign that single rows are remembered"
    meaning = (
        f"{result.share:.1%} of synthetic rows lie nearer to a training row than to any holdout "
        f"row (95% interval {result.low:.1%} to {result.high:.1%}): {sense}."
    )
    vague = result.low <= 0.5 <= result.high and result.high - result.low > _WIDE
    odd = result.high < 0.45
    level = "unknown" if odd or vague else at_most(result.share, 0.55, 0.60)
    scale = "0.5 is ideal; good ≤ 0.55, poor > 0.60"
    return Finding("privacy", measure, level, f"{result.share:.3f}", meaning, scale)


def exact_finding(result: ExactMatches) -> Finding:
    """Copies, against what chance gives real rows."""
    rate, own = result.synthetic_in_training, result.holdout_in_training
    value = f"{rate:.2%}"
    if own is None:
        meaning = (
            f"{rate:.2%} of synthetic rows also occur in the training table. Without a holdout "
            "there is no telling how many real rows would."
            if rate
            else "No synthetic row occurs in the training table."
        )
        level: Level = "unknown" if rate else "good"
        return Finding(
            "privacy",
            "Exact matches",
            level,
            value,
            meaning,
            "0% is good; more needs a holdout to judge",
        )
    meaning = (
        f"{rate:.2%} of synthetic rows also occur in the training table; of real rows kept "
        f"aside {own:.2%} do, by chance alone."
    )
    good, fair = 1.25 * own + 0.001, 2 * own + 0.01
    level = at_most(rate, good, fair)
    scale = f"holdout {own:.2%}; good ≤ {good:.2%}, poor > {fair:.2%}"
    return Finding("privacy", "Exact matches", level, value, meaning, scale)

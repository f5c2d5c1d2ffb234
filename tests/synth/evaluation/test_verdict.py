"""The two sentences that head a report, for every mix of levels."""

from __future__ import annotations

import pytest

from tabular.synth.evaluation.results import ExactMatches, Finding, NearestShare
from tabular.synth.evaluation.verdict import exact_finding, headline, nearest_finding


def finding(group: str, measure: str, level: str) -> Finding:
    return Finding(group, measure, level, "0", "", "scale")


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        (("good", "good", "good"), "Quality is good. The privacy tests show no sign"),
        (("good", "unknown", "good"), "Quality is good. The privacy tests show no sign"),
        (("good", "fair", "good"), "Quality is fair, held back by pairs. The privacy tests show"),
        (("poor", "fair", "good"), "Quality is poor, held back by shapes. The privacy tests show"),
        (("unknown", "unknown", "good"), "Quality is not judged: the tables are too small. The"),
        (("good", "good", "poor"), "Quality is good. The privacy tests show a leak: nearest."),
        (("good", "good", "fair"), "The privacy tests ask for a closer look: nearest."),
        (("good", "good", "unknown"), "Privacy is not judged in full: nearest."),
    ],
)
def test_the_headline_names_the_weakest(levels, words):
    shapes, pairs, nearest = levels
    found = [
        finding("quality", "Shapes", shapes),
        finding("quality", "Pairs", pairs),
        finding("privacy", "Nearest", nearest),
        finding("privacy", "Exact", "good"),
    ]
    assert words in headline(found)


@pytest.mark.parametrize(
    ("share", "low", "high", "level", "words"),
    [
        (0.50, 0.48, 0.52, "good", "no different from half"),
        (0.54, 0.52, 0.56, "good", "holds on to rows it saw"),
        (0.58, 0.56, 0.60, "fair", "holds on to rows it saw"),
        (0.70, 0.68, 0.72, "poor", "holds on to rows it saw"),
        (0.47, 0.46, 0.48, "good", "a little below half"),
        (0.06, 0.05, 0.07, "unknown", "the holdout was among the rows it learned from"),
        (0.60, 0.42, 0.76, "unknown", "too few rows"),
    ],
)
def test_a_share_is_judged_with_its_interval(share, low, high, level, words):
    found = nearest_finding(NearestShare(share, low, high, 4_000, 10_000))
    assert found.level == level
    assert words in found.meaning


@pytest.mark.parametrize(
    ("rate", "own", "level"),
    [
        (0.0, 0.0, "good"), (0.1, 0.1, "good"), (0.2, 0.1, "fair"), (0.3, 0.1, "poor"),
        (0.02, 0.0, "poor"), (0.0, None, "good"), (0.3, None, "unknown"),
    ],
)  # fmt: skip
def test_copies_are_judged_by_the_holdouts_own_rate(rate, own, level):
    found = exact_finding(ExactMatches(rate, own, own, 100, 100, 3))
    assert found.level == level

"""The outcome of an evaluation, in the three forms people need it: data, text, page."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

from tabular.synth.evaluation.results import (
    AssociationScores,
    Detection,
    ExactMatches,
    Finding,
    NearestShare,
    NotMeasured,
    PairScores,
    ShapeScores,
    Utility,
    plain,
)
from tabular.synth.evaluation.verdict import NOT_DIFFERENTIAL, headline

FORMAT = 1
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Report:
    """How good and how private a synthetic table is.

    Attributes:
        real_rows: rows of the real (training) table.
        synthetic_rows: rows of the synthetic table.
        holdout_rows: rows of the holdout, None when there was none.
        seed: of every random choice made.
        shapes: columns one by one.
        pairs: columns two by two.
        association: ties between columns.
        detection: whether a classifier can tell.
        utility: what a model learns.
        nearest: crowding round training rows.
        exact: copied rows.
        findings: the verdict, a sentence or two per measure.
        notes: caps reached, columns left aside, types reconciled.
    """

    real_rows: int
    synthetic_rows: int
    holdout_rows: int | None
    seed: int
    shapes: ShapeScores
    pairs: PairScores | NotMeasured
    association: AssociationScores | NotMeasured
    detection: Detection | NotMeasured
    utility: Utility | NotMeasured
    nearest: NearestShare | NotMeasured
    exact: ExactMatches
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The verdict in two sentences."""
        return headline(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Everything measured, as JSON data; numbers to six decimals.

        What was not measured is ``{"measured": False, "reason": …}``, never a number.
        """
        return {
            "format": FORMAT,
            "rows": {
                "real": self.real_rows,
                "synthetic": self.synthetic_rows,
                "holdout": self.holdout_rows,
            },
            "seed": self.seed,
            "shapes": plain(self.shapes),
            "pairs": plain(self.pairs),
            "association": plain(self.association),
            "detection": plain(self.detection),
            "utility": plain(self.utility),
            "privacy": {
                "nearer_to_training": plain(self.nearest),
                "exact_matches": plain(self.exact),
                "statement": NOT_DIFFERENTIAL,
            },
            "headline": self.headline,
            "verdict": plain(self.findings),
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """`to_dict` as one JSON document; the same report gives the same bytes."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """A page that needs nothing but itself: no script, no font, no image to fetch."""
        from tabular.synth.evaluation.page import page

        return page(self)

    def summary(self) -> str:
        """A short table for a terminal, and sentences on what is not good."""
        holdout = "" if self.holdout_rows is None else f", {self.holdout_rows:,} holdout"
        lines = [
            f"{self.synthetic_rows:,} synthetic rows against {self.real_rows:,} real{holdout}, "
            f"{len(self.shapes.columns):,} columns",
            "",
            *(_line(finding) for finding in self.findings),
            "",
        ]
        remarks = [item.meaning for item in self.findings if item.scale and item.level != "good"]
        for text in (self.headline, *remarks, *self.notes, NOT_DIFFERENTIAL):
            lines.extend(textwrap.wrap(text, _WIDTH))
        return "\n".join(lines) + "\n"


def _line(finding: Finding) -> str:
    if not finding.scale:
        return f"{finding.measure:<18} {'-':>8}  {finding.meaning}"
    level = "" if finding.level == "unknown" else finding.level
    return f"{finding.measure:<18} {finding.value:>8}  {level:<5} {finding.scale}"

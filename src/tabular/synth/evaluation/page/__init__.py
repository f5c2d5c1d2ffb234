"""The report as one HTML file: styled, drawn, and safe to open anywhere."""

from __future__ import annotations

from tabular.synth.evaluation.page.document import page

__all__ = ["page"]

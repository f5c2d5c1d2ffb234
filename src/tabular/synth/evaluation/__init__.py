"""How good, and how private, a synthetic table is: measured, said in words, drawn.

columns      tables of any origin, brought to aligned columns
shapes       columns one by one          pairs, association   columns two by two
nearest      crowding round rows         matches              copied rows
models, utility                          what only a trained model can tell
verdict      the numbers in words        report, page         data, text, HTML
"""

from __future__ import annotations

from tabular.synth.evaluation.limits import Limits
from tabular.synth.evaluation.measure import evaluate
from tabular.synth.evaluation.report import Report

__all__ = ["Limits", "Report", "evaluate"]

"""The evaluation itself: which measure sees which rows, in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pyarrow as pa

from tabular.errors import TableError
from tabular.synth.evaluation.association import association_scores
from tabular.synth.evaluation.columns import Column, Part, align, encode
from tabular.synth.evaluation.kinds import family
from tabular.synth.evaluation.limits import Limits, choose
from tabular.synth.evaluation.matches import exact_matches
from tabular.synth.evaluation.models import detection
from tabular.synth.evaluation.nearest import nearest_share
from tabular.synth.evaluation.notes import notes
from tabular.synth.evaluation.pairs import chosen_rows, pair_scores
from tabular.synth.evaluation.report import Report
from tabular.synth.evaluation.results import ColumnScore
from tabular.synth.evaluation.shapes import score_column, shape_scores
from tabular.synth.evaluation.utility import choose_target, utility
from tabular.synth.evaluation.verdict import (
    association_finding,
    detection_finding,
    exact_finding,
    nearest_finding,
    pair_finding,
    shape_finding,
    utility_finding,
)
from tabular.synth.frames import to_arrow
from tabular.synth.schema import infer

Tables = Mapping[Part, pa.Table]
_PURPOSE = 1
_STEPS = 7


def evaluate(
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    target: str | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Measures how good and how private a synthetic table is.

    Args:
        real: the table the synthesizer learned from; Arrow, pandas or polars.
        synthetic: the table it made.
        holdout: real rows it has not seen; without them privacy can hardly be judged.
        target: the column a model is to predict; the last that suits when not given.
        seed: of every random choice; the same tables and seed give the same report.
        limits: caps on work; see `Limits`.
        progress: called with the fraction done, 0 to 1, after each measure.

    Raises:
        TableError: an empty table, columns that only one side has, values that cannot be
            compared, or a target that cannot be predicted.
    """
    limits = limits or Limits()
    step = _Steps(progress)
    given: dict[Part, Any] = {"real": real, "synthetic": synthetic}
    if holdout is not None:
        given["holdout"] = holdout
    tables = align({part: _arrow(table, part) for part, table in given.items()})
    sampled = _sampled(tables, limits, seed)
    keys = _keys(tables["real"].slice(0, limits.match_rows))
    scores, columns = _encode_all(sampled, keys, target, limits, seed)
    step()
    rows = chosen_rows(columns, limits, seed)
    related = [column for column in columns if not column.identifier]
    pairs = pair_scores(related, rows)
    step()
    association = association_scores(related, rows)
    step()
    near = nearest_share(columns, limits, seed)
    step()
    exact = exact_matches(_match_tables(tables, sampled, limits, seed), keys)
    step()
    told = detection(columns, limits, seed)
    step()
    use = utility(columns, target, limits, seed)
    step()
    shapes = shape_scores(scores, min(sampled[part].num_rows for part in ("real", "synthetic")))
    return Report(
        real_rows=tables["real"].num_rows,
        synthetic_rows=tables["synthetic"].num_rows,
        holdout_rows=tables["holdout"].num_rows if "holdout" in tables else None,
        seed=seed,
        shapes=shapes,
        pairs=pairs,
        association=association,
        detection=told,
        utility=use,
        nearest=near,
        exact=exact,
        findings=(
            shape_finding(shapes),
            pair_finding(pairs),
            association_finding(association),
            detection_finding(told),
            utility_finding(use),
            nearest_finding(near),
            exact_finding(exact),
        ),
        notes=notes(tables, shapes, pairs, len(columns), limits),
    )


def _arrow(table: Any, part: Part) -> pa.Table:
    try:
        return to_arrow(table)[0]
    except TableError as error:
        error.where = error.where or f"the {part} table"
        raise


def _keys(real: pa.Table) -> set[str]:
    """Columns that the synthesizer makes anew in every row: keys and free text."""
    names = [field.name for field in real.schema if family(field.type) is not None]
    roles = infer(real.select(names)).columns
    return {name for name in names if roles[name].role in ("id", "text")}


class _Steps:
    """Tells the caller how far the evaluation is."""

    def __init__(self, progress: Callable[[float], None] | None) -> None:
        self._progress = progress
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done / _STEPS)


def _sampled(tables: Tables, limits: Limits, seed: int) -> dict[Part, pa.Table]:
    return {
        part: _take(table, limits.sampled_rows(table), (seed, _PURPOSE, index))
        for index, (part, table) in enumerate(tables.items())
    }


def _take(table: pa.Table, most: int, seed: tuple[int, ...]) -> pa.Table:
    if table.num_rows <= most:
        return table
    return table.take(pa.array(choose(table.num_rows, most, seed)))


def _match_tables(
    tables: Tables, sampled: Tables, limits: Limits, seed: int
) -> dict[Part, pa.Table]:
    """The synthetic sample, against as much of the real tables as may be searched."""
    return {
        part: sampled[part]
        if part == "synthetic"
        else _take(table, limits.match_rows, (seed, _PURPOSE, 8, index))
        for index, (part, table) in enumerate(tables.items())
    }


def _encode_all(
    tables: Tables, keys: Collection[str], target: str | None, limits: Limits, seed: int
) -> tuple[list[ColumnScore], list[Column]]:
    """Scores of all columns, and the columns kept for the measures that follow."""
    names = tables["real"].column_names
    kept = {names[index] for index in choose(len(names), limits.columns, (seed, _PURPOSE, 9))}
    if target is not None:
        kept.add(target)
    scores, columns = [], []
    for name in names:
        column = encode(
            name, {part: table[name] for part, table in tables.items()}, key=name in keys
        )
        scores.append(score_column(column))
        if name in kept:
            columns.append(column)
    choose_target(columns, target)  # a wrong target is told before the long measures
    return scores, columns

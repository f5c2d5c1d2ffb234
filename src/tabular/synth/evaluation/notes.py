"""What a reader must know to trust the numbers: caps reached, columns left aside, types mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from tabular.synth.evaluation.columns import Part
from tabular.synth.evaluation.kinds import family
from tabular.synth.evaluation.limits import Limits
from tabular.synth.evaluation.results import NotMeasured, PairScores, ShapeScores


def notes(
    tables: Mapping[Part, pa.Table],
    shapes: ShapeScores,
    pairs: PairScores | NotMeasured,
    columns: int,
    limits: Limits,
) -> tuple[str, ...]:
    """One sentence for each thing that was not simply measured whole.

    Args:
        tables: as given, aligned.
        shapes: scores of all columns.
        pairs: scores of the pairs.
        columns: how many columns the pairs, distances and models use.
        limits: the caps in force.
    """
    found = list(_rows(tables, limits))
    if isinstance(pairs, PairScores) and pairs.rows < limits.sampled_rows(tables["real"]):
        found.append(f"Pairs and associations rest on {pairs.rows:,} rows of each table.")
    if columns < len(shapes.columns):
        found.append(
            f"Pairs, associations, distances and models use {columns:,} of "
            f"{len(shapes.columns):,} columns, drawn at random."
        )
    keys = [score.name for score in shapes.columns if score.identifier]
    if keys:
        found.append(f"Keys and free text, left out of all but the column shapes: {_some(keys)}.")
    for part, table in tables.items():
        differing = _differing(tables["real"], table)
        if differing:
            found.append(f"Types in the {part} table differ from the real one: {_some(differing)}.")
    return tuple(found)


def _rows(tables: Mapping[Part, pa.Table], limits: Limits) -> Iterator[str]:
    for part, table in tables.items():
        used = limits.sampled_rows(table)
        if used < table.num_rows:
            yield f"{used:,} of {table.num_rows:,} {part} rows, drawn at random, were measured."
    if tables["real"].num_rows > limits.match_rows:
        yield f"Exact matches were sought in {limits.match_rows:,} training rows."


def _differing(real: pa.Table, other: pa.Table) -> list[str]:
    return [
        f"{field.name} ({field.type} against {other.schema.field(field.name).type})"
        for field in real.schema
        if family(field.type) != family(other.schema.field(field.name).type)
    ]


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(items[:5]) + more

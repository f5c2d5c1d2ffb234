"""Tables of any origin, brought to aligned numpy columns.

Every measure needs the same thing: the same column of the real, the synthetic and the holdout
table on one scale, categories numbered alike. It is done once, here, a column at a time, so
that a wide table never has to be in memory encoded as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tabular.errors import TableError
from tabular.synth.evaluation.kinds import (
    Family,
    as_floats,
    as_text,
    common_family,
    family,
    value_type,
)

Part = Literal["real", "synthetic", "holdout"]
KEY_ROWS = 1_000
"""From this many rows on, whole numbers that are all different are taken for a key."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of every table, on one scale.

    Attributes:
        name: as the tables call it.
        family: what its values are.
        values: per table: float64 with NaN for missing, or, for categories, int64 codes
            with -1 for missing, counted by falling frequency in the real table.
        labels: the text of each code; empty for columns on a number line.
        known: codes below this occur in the real or the holdout table.
        integral: whole numbers in every table.
        identifier: a key or free text: new with every synthetic row, so that it says nothing
            about copying, and would tell every table apart.
    """

    name: str
    family: Family
    values: Mapping[Part, np.ndarray]
    labels: tuple[str, ...]
    known: int
    integral: bool
    identifier: bool

    @property
    def categorical(self) -> bool:
        """Whether the values are categories rather than points on a line."""
        return self.family in ("text", "boolean")

    def missing(self, part: Part) -> np.ndarray:
        """bool per row of a table: True where the value is missing."""
        values = self.values[part]
        gaps: np.ndarray = values < 0 if self.categorical else np.isnan(values)
        return gaps

    def rows(self, part: Part, chosen: np.ndarray) -> np.ndarray:
        """The values of the chosen rows of a table."""
        picked: np.ndarray = self.values[part][chosen]
        return picked


def align(tables: Mapping[Part, pa.Table]) -> dict[Part, pa.Table]:
    """The tables with their columns in the real one's order.

    Raises:
        TableError: a table without rows or columns, a name that occurs twice, or columns
            that only one side has.
    """
    for part, table in tables.items():
        names = table.column_names
        twice = sorted({name for name in names if names.count(name) > 1}) if _doubled(names) else []
        if twice:
            raise TableError(
                f"column names occur twice: {_listed(twice)}", where=f"the {part} table"
            )
        if not names or table.num_rows == 0:
            lacking = "columns" if not names else "rows"
            raise TableError(
                f"there are no {lacking} to measure",
                where=f"the {part} table",
                hint="each table needs at least one row and one column",
                code="table.empty",
            )
    wanted = tables["real"].column_names
    for part, table in tables.items():
        _same_names(part, set(table.column_names), wanted)
    return {part: table.select(wanted) for part, table in tables.items()}


def _doubled(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)


def _same_names(part: Part, given: set[str], wanted: Sequence[str]) -> None:
    lacks = [name for name in wanted if name not in given]
    extra = sorted(given - set(wanted))
    if not lacks and not extra:
        return
    faults = []
    if lacks:
        faults.append(f"it lacks {_listed(lacks)}")
    if extra:
        faults.append(f"it has {_listed(extra)}, which the real table lacks")
    raise TableError(
        "columns differ: " + "; ".join(faults),
        where=f"the {part} table",
        hint="all tables need the same columns; their order does not matter",
        code="table.columns",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def encode(name: str, arrays: Mapping[Part, pa.ChunkedArray], *, key: bool = False) -> Column:
    """One column of every table, aligned.

    Args:
        name: of the column.
        arrays: its values in each table.
        key: known to be a key or free text; whole numbers are looked at besides, because a
            key that was split between training and holdout no longer counts without gaps.

    Raises:
        TableError: its types cannot be compared; see `kinds.common_family`.
    """
    kinds = [array.type for array in arrays.values()]
    found = common_family(name, kinds)
    if found in ("text", "boolean"):
        return _encode_categories(name, found, arrays, key)
    values = {part: as_floats(name, array, found) for part, array in arrays.items()}
    whole = found == "number" and all(
        types.is_integer(value_type(kind)) or family(kind) == "empty" for kind in kinds
    )
    return Column(name, found, values, (), 0, whole, key or (whole and _unique(values["real"])))


def _encode_categories(
    name: str, found: Family, arrays: Mapping[Part, pa.ChunkedArray], key: bool
) -> Column:
    chunks = [chunk for array in arrays.values() for chunk in as_text(array).chunks]
    joined = pa.chunked_array(chunks, type=pa.large_string())
    encoded = pc.dictionary_encode(joined).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    dictionary = encoded.dictionary
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(array) for array in arrays.values()])[:-1]
    values = dict(zip(arrays, np.split(codes, ends), strict=True))
    size = len(dictionary)
    count = {part: np.bincount(item[item >= 0], minlength=size) for part, item in values.items()}
    held = count.get("holdout", np.zeros(size, dtype=np.int64))
    spelling = pc.rank(dictionary).to_numpy()
    order = np.lexsort((spelling, -held, -count["real"]))
    place = np.full(size + 1, -1, dtype=np.int64)
    place[order] = np.arange(size)
    values = {part: place[item] for part, item in values.items()}
    labels = tuple(dictionary.take(pa.array(order)).to_pylist())
    known = int(((count["real"] + held) > 0).sum())
    return Column(name, found, values, labels, known, False, key)


def _unique(values: np.ndarray) -> bool:
    return len(values) >= KEY_ROWS and len(np.unique(values)) == len(values)

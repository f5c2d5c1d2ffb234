"""What a table holds, column by column, before anything is learned from it.

A profile goes where the table may not, so it shows no single row's value unless its owner asks
for exact ones: a value is named only when at least twenty rows hold it, and the range and the
quantiles of numbers and times are rounded as coarsely as twenty neighbouring rows are apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tabular.synth.evaluation.kinds import (
    Family,
    as_floats,
    as_text,
    common_family,
    family,
    value_type,
    written,
)
from tabular.synth.frames import to_arrow
from tabular.synth.schema import infer

SHOWN_FROM = 20
"""A value is named when at least this many rows hold it."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TOP = 10
_MANY = 1_000
_MIXED = 0.05
_READ_AS_TEXT = (
    (
        r"^[-+]?\d{1,3}(\.\d{3})*,\d+$|^[-+]?\d+,\d+$",
        "numbers with decimal commas, such as 0,5",
        "0.5",
    ),
    (r"^\d{1,2}\.\d{1,2}\.\d{4}(\s.*)?$", "dates written d.m.Y", "2024-12-31"),
    (r"^\d{1,2}/\d{1,2}/\d{4}(\s.*)?$", "dates written m/d/Y or d/m/Y", "2024-12-31"),
)
"""What is text to a reader of CSV though it was meant otherwise, and how to write it."""
_NEARLY_ALL = 0.95
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


@dataclass(frozen=True, slots=True)
class TopValue:
    """A value that at least twenty rows hold."""

    value: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column.

    Attributes:
        name: of the column.
        type: its Arrow type.
        role: what the synthesizer would take it for; "unsupported" if it cannot.
        missing: rows without a value.
        missing_share: of all rows, 0 to 1.
        distinct: different values.
        minimum: least value: a number, or a time as text; None for categories. Not exact, it is
            rounded down, without the ten least rows; None where fewer than 40 rows have values.
        maximum: greatest value, likewise.
        mean: of a number.
        quantiles: by their share, such as "0.5"; empty for categories.
        top: most frequent values, none of which fewer than twenty rows hold.
        warnings: what to look at before synthesis.
    """

    name: str
    type: str
    role: str
    missing: int
    missing_share: float
    distinct: int
    minimum: float | str | None
    maximum: float | str | None
    mean: float | None
    quantiles: dict[str, float | str]
    top: tuple[TopValue, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """All columns of a table.

    Attributes:
        rows: how many rows it has.
        columns: in its order.
        exact: whether range and quantiles are values of the table.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    exact: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON data."""
        return {
            "format": 1,
            "rows": self.rows,
            "exact": self.exact,
            "values_shown_from": SHOWN_FROM,
            "columns": [
                {**asdict(c), "top": [asdict(t) for t in c.top], "warnings": list(c.warnings)}
                for c in self.columns
            ],
        }

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def profile(table: Any, *, exact: bool = False) -> Profile:
    """Describes every column of a table.

    Args:
        table: Arrow, pandas or polars; it may have no rows.
        exact: give range and quantiles as they are, which may be single rows' values.

    Raises:
        TableError: no table, or one without columns.
    """
    arrow, _ = to_arrow(table)
    columns = [_column(name, arrow[name], exact=exact) for name in arrow.column_names]
    return Profile(arrow.num_rows, tuple(columns), exact)


def _column(name: str, values: pa.ChunkedArray, *, exact: bool) -> ColumnProfile:
    kind = family(values.type)
    rows, missing = len(values), _missing(values)
    counted = _count(values, kind)
    role = "unsupported" if kind is None else infer(pa.table({name: values})).columns[name].role
    line = kind in ("number", "instant", "clock", "span")
    points = _line(name, values) if line else np.empty(0)
    told = len(points) >= (1 if exact else 2 * SHOWN_FROM)
    shown = _quantile if exact else _coarse
    return ColumnProfile(
        name=name,
        type=str(values.type),
        role=role,
        missing=missing,
        missing_share=_share(missing, rows),
        distinct=len(counted),
        minimum=_point(shown(points, 0.0), values.type) if told else None,
        maximum=_point(shown(points, 1.0), values.type) if told else None,
        mean=round(float(points.mean()), 6) if told and kind == "number" else None,
        quantiles={
            str(share): _point(shown(points, share), values.type)
            for share in (QUANTILES if told else ())
        },
        top=_top(counted, rows),
        warnings=tuple(_warnings(role, values, missing, counted)),
    )


def _line(name: str, values: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Values without missing ones, ascending: whole numbers exact, others as float64."""
    plain = pc.drop_null(pc.cast(values, value_type(values.type)))
    if pa.types.is_integer(plain.type):
        return np.sort(plain.to_numpy())
    points = as_floats(name, values, common_family(name, [values.type]))
    return np.sort(points[~np.isnan(points)])


def _quantile(points: npt.NDArray[Any], share: float) -> Any:
    return points[max(math.ceil(share * len(points)) - 1, 0)]


def _coarse(points: npt.NDArray[Any], share: float) -> Any:
    """About a quantile, told so that twenty neighbouring rows could be meant.

    The ends are rounded outwards. A value that all twenty hold stays as it is. The ten rows at
    either end take no part: one of them may be far away, and tell how far by the rounding.
    """
    half = SHOWN_FROM // 2
    centre = min(max(round(share * len(points)), SHOWN_FROM), len(points) - SHOWN_FROM)
    near = points[centre - half : centre + half]
    if near[0] == near[-1]:
        return near[0]
    whole = np.issubdtype(points.dtype, np.integer)
    low, high = (int(near[0]), int(near[-1])) if whole else (float(near[0]), float(near[-1]))
    step = _step(high - low)
    middle = {0.0: low, 1.0: high}.get(share, near[half].item())
    down = middle // step * step
    if share == 1.0 or (share > 0.0 and middle - down > step / 2):
        down += step
    return down if whole else float(f"{down:.12g}")


def _step(width: float) -> Any:
    """The next of 1, 2, 5, 10, 20 … (or of their fractions) that is not less than a width."""
    power = math.floor(math.log10(width))
    step = next(s for s in (1, 2, 5, 10) if s * 10.0**power >= width * (1 - 1e-12))
    return step * 10**power if power >= 0 else step / 10**-power


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _missing(values: pa.ChunkedArray) -> int:
    """Rows without a value; in a column of floats, not-a-number is none."""
    return int(pc.sum(pc.is_null(values, nan_is_null=True)).as_py() or 0)


def _count(values: pa.ChunkedArray, kind: Family | None) -> pa.Table:
    """Each value as text and how often it occurs, most frequent first.

    Nothing is counted of a type that cannot be compared, nor of missing values.
    """
    texts = pa.array([], pa.large_string()) if kind in (None, "empty") else as_text(values)
    if pa.types.is_floating(value_type(values.type)):
        texts = texts.filter(pc.invert(pc.is_null(values, nan_is_null=True)))
    found = pc.value_counts(pc.drop_null(texts))
    table = pa.table({"value": found.field("values"), "count": found.field("counts")})
    return table.sort_by([("count", "descending"), ("value", "ascending")])


def _point(value: float, kind: pa.DataType) -> float | int | str:
    """A point of the number line as JSON data: whole numbers whole, times as text."""
    found = family(kind)
    if found != "number":
        days = math.inf if pa.types.is_date(value_type(kind)) else 0.0
        return written(float(value), found or "number", days)
    return int(value) if pa.types.is_integer(value_type(kind)) else float(value)


def _top(counted: pa.Table, rows: int) -> tuple[TopValue, ...]:
    frequent = counted.slice(0, _TOP).to_pylist()
    return tuple(
        TopValue(item["value"], item["count"], _share(item["count"], rows))
        for item in frequent
        if item["count"] >= SHOWN_FROM
    )


def _warnings(role: str, values: pa.ChunkedArray, missing: int, counted: pa.Table) -> Iterator[str]:
    """What to look at before synthesis, one sentence each."""
    rows, distinct = len(values), len(counted)
    if role == "unsupported":
        yield f"type {values.type} cannot be synthesized: flatten the column or drop it"
    elif not rows:
        yield "no rows"
    elif missing == rows:
        yield "every value is missing"
    elif distinct == 1:
        yield "constant: one value in all rows that have any"
    elif role == "id":
        yield "probably a key: no value is repeated; new ones are made up"
    elif role == "text" or (role == "categorical" and distinct >= _MANY):
        yield (
            f"high cardinality: {distinct:,} different texts; rare ones are never copied, "
            "others are made up in their place"
        )
    if family(values.type) == "text" and rows > missing:
        yield from _misread(counted)
    if rows > missing >= rows / 2:
        yield f"{missing / rows:.0%} of the values are missing"
    if family(values.type) == "text" and rows > missing:
        numeric = pc.match_substring_regex(counted["value"], _NUMBER)
        share = (pc.sum(counted.filter(numeric)["count"]).as_py() or 0) / (rows - missing)
        if _MIXED <= share < 1:
            yield f"mixed types: {share:.1%} of the texts read as numbers, the rest do not"


def _misread(counted: pa.Table) -> Iterator[str]:
    """Whether nearly all texts look like numbers or dates in the notation of some country."""
    for pattern, what, right in _READ_AS_TEXT:
        alike = pc.mean(pc.match_substring_regex(counted["value"], pattern).cast(pa.int8()))
        if alike.as_py() >= _NEARLY_ALL:
            yield f"read as text, though it looks like {what}: write {right} in the table"

"""What a column holds, as far as measuring is concerned.

Two files of the same table rarely agree on types: a CSV reader guesses integers where Parquet
says strings. The rules for what may still be compared are here, in one place, so that every
measure sees the same values and every refusal names the column and both types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tabular.errors import TableError

Family = Literal["number", "boolean", "text", "instant", "clock", "span", "empty"]

_MICROSECONDS: dict[str, pa.DataType] = {
    "instant": pa.timestamp("us"),
    "clock": pa.time64("us"),
    "span": pa.duration("us"),
}
_TEN_DAYS = 10 * 86_400e6
_FARTHEST = 1e300  # stands for infinity: quantiles interpolate, and inf - inf is not a number


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves: what a dictionary-encoded column encodes."""
    return kind.value_type if types.is_dictionary(kind) else kind


def family(kind: pa.DataType) -> Family | None:
    """The family an Arrow type belongs to, None when its values cannot be compared."""
    kind = value_type(kind)
    rules: tuple[tuple[bool, Family], ...] = (
        (types.is_null(kind), "empty"),
        (types.is_boolean(kind), "boolean"),
        (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind), "number"),
        (types.is_string(kind) or types.is_large_string(kind), "text"),
        (types.is_string_view(kind), "text"),
        (types.is_date(kind) or types.is_timestamp(kind), "instant"),
        (types.is_time(kind), "clock"),
        (types.is_duration(kind), "span"),
    )
    return next((name for holds, name in rules if holds), None)


def common_family(name: str, kinds: Sequence[pa.DataType]) -> Family:
    """The family in which the same column of several tables is compared.

    Text beside numbers or times is read as such; truth values beside text are text, beside
    numbers are 0 and 1. A column that is empty everywhere is text.

    Raises:
        TableError: a nested or binary type, or types that have nothing in common.
    """
    families = [family(kind) for kind in kinds]
    if None in families:
        raise TableError(
            f"values of type {kinds[families.index(None)]} cannot be compared",
            where=f"column {name!r}",
            hint="flatten the column into plain ones, or leave it out of every table",
            code="table.type",
        )
    found = {item for item in families if item not in (None, "empty")}
    if not found:
        return "text"
    if len(found) == 1:
        return found.pop()
    if found == {"boolean", "text"}:
        return "text"
    if found == {"boolean", "number"}:
        return "number"
    rest = found - {"text"}
    if len(rest) == 1 and len(found) == 2:
        return rest.pop()
    raise TableError(
        f"the tables hold different types: {', '.join(str(kind) for kind in kinds)}",
        where=f"column {name!r}",
        hint="give the column one type in every table",
        code="table.type",
    )


def as_floats(name: str, values: pa.ChunkedArray, target: Family) -> np.ndarray:
    """Values on a number line: numbers as they are, times in microseconds.

    Args:
        name: the column, for the error.
        values: the column of one table.
        target: its common family, neither text nor boolean.

    Returns:
        float64, one per row, NaN where missing; infinities become ±1e300.

    Raises:
        TableError: text that is no number or time.
    """
    plain = pc.cast(values, value_type(values.type))
    try:
        if target == "number":
            cast = pc.cast(plain, pa.float64(), safe=False)
        else:
            micro = _MICROSECONDS[target]
            options = pc.CastOptions(
                target_type=_zoned(micro, plain.type), allow_time_truncate=True
            )
            cast = pc.cast(pc.cast(plain, options=options), pa.int64())
            cast = pc.cast(cast, pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise TableError(
            f"{value_type(values.type)} values cannot be read as {target}, "
            "which the column holds in another table",
            where=f"column {name!r}",
            hint="give the column one type in every table",
            code="table.type",
        ) from problem
    floats = np.asarray(cast.to_numpy(), dtype=np.float64) + 0.0  # + 0.0 makes -0.0 equal 0.0
    clipped: np.ndarray = np.clip(floats, -_FARTHEST, _FARTHEST)
    return clipped


def _zoned(micro: pa.DataType, source: pa.DataType) -> pa.DataType:
    """An aware timestamp stays aware in the cast: the instant counts, not the clock on the wall."""
    if types.is_timestamp(source) and source.tz is not None:
        return pa.timestamp("us", source.tz)
    return micro


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values as large strings; truth values as ``true`` and ``false``."""
    plain = pc.cast(values, value_type(values.type))
    if types.is_boolean(plain.type):
        plain = pc.cast(plain, pa.string())
    return pc.cast(plain, pa.large_string())


def written(value: float, kind: Family, span: float = 0.0) -> str:
    """A point of a number line as people write it: a number, a date, a time.

    Args:
        value: the point; microseconds for times.
        kind: the family of its column.
        span: length of the line it is on: over ten days, an instant is written as a date.
    """
    if kind in ("instant", "clock"):
        moment = str(np.datetime64(int(value), "us").astype("datetime64[s]"))
        if kind == "clock":
            return moment.partition("T")[2]
        return moment.partition("T")[0] if span > _TEN_DAYS else moment.replace("T", " ")
    if kind == "span":
        return f"{value / 1e6:.4g} s"
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"

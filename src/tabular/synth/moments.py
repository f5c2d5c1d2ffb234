"""Times as people write them, in the type of the column they are compared with.

Arrow reads some of them and not others: no time of day, no duration, and no clock on the wall of
the place that a zoned column tells of.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_PARTS = {
    "w": 7 * 86_400 * 10**9,
    "d": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "m": 60 * 10**9,
    **_NANOSECONDS,
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SHORT = re.compile(rf"({_NUMBER})\s*(w|d|h|ms|us|ns|m|s)\s*")
_ISO = re.compile(
    rf"P(?:({_NUMBER})W)?(?:({_NUMBER})D)?"
    rf"(?:T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?",
    re.IGNORECASE,
)
_PLAIN = re.compile(rf"[-+]?{_NUMBER}")


def moment(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A date, time or duration as a scalar of that type.

    Args:
        value: text, a number of units for a duration, or one of Python's own types. A text or
            `datetime` without a zone means the zone of the column.
        kind: a temporal Arrow type.

    Raises:
        ValueError, TypeError, OverflowError, pa.ArrowException: it is none.
    """
    if pa.types.is_duration(kind):
        return pa.scalar(_units(value, kind.unit), pa.int64()).cast(kind)
    if pa.types.is_time(kind):
        clock = value if isinstance(value, dt.time) else dt.time.fromisoformat(str(value).strip())
        if clock.tzinfo is not None:
            raise ValueError("a time of day has no zone")
        return pa.scalar(clock, pa.time64("us")).cast(kind)
    if isinstance(value, dt.date | np.datetime64):  # a datetime is a date
        value = str(value.isoformat() if isinstance(value, dt.date) else value)
    if not isinstance(value, str):
        return pa.scalar(value, type=kind)
    text = pa.array([value.strip()], pa.string())
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return (text.cast(pa.date32()) if pa.types.is_date(kind) else text).cast(kind)[0]
    try:
        local = text.cast(pa.timestamp(kind.unit))
    except pa.ArrowInvalid:  # it says its own zone
        return text.cast(kind)[0]
    return pc.assume_timezone(local, kind.tz, ambiguous="earliest", nonexistent="earliest")[0]


def how_to_write(kind: pa.DataType) -> str:
    """How values of a temporal type are written in a condition."""
    if pa.types.is_time(kind):
        return "times of day are written 23:59:59"
    if pa.types.is_duration(kind):
        return f"durations are written 1h30m or PT1H30M, or as a whole number of {kind.unit}"
    if pa.types.is_date(kind):
        return "dates are written 2024-12-31"
    zone = f", in the zone {kind.tz}, or with their own: 2024-12-31T23:59:59Z"
    return f"times are written 2024-12-31T23:59:59{zone if kind.tz else ''}"


def _units(value: Any, unit: str) -> int:
    """A duration as a whole number of units.

    Raises:
        ValueError: unreadable, or finer than the unit.
    """
    if isinstance(value, np.timedelta64):
        count = Decimal(int(value.astype("timedelta64[ns]").astype(np.int64))) / _NANOSECONDS[unit]
    elif isinstance(value, dt.timedelta):
        count = Decimal(value // dt.timedelta(microseconds=1) * 1000) / _NANOSECONDS[unit]
    else:
        text = str(value).strip()
        written = Decimal(text) if _PLAIN.fullmatch(text) else None
        count = _nanoseconds(text) / _NANOSECONDS[unit] if written is None else written
    if count != int(count):
        raise ValueError(f"{value!r} is finer than {unit}")
    return int(count)


def _nanoseconds(text: str) -> Decimal:
    sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
    iso = _ISO.fullmatch(text)
    if iso is not None and any(iso.groups()):
        parts = zip(iso.groups(), "wdhms", strict=True)
        return sign * sum((Decimal(n) * _PARTS[u] for n, u in parts if n), Decimal(0))
    found = _SHORT.findall(text.lower())
    if not found or _SHORT.sub("", text.lower()):
        raise ValueError(f"{text!r} is no duration")
    return sign * sum((Decimal(number) * _PARTS[unit] for number, unit in found), Decimal(0))

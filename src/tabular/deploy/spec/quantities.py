"""Amounts as people write them (`16Gi`, `500m`, `30d`) and as code computes with them.

The letter `m` is a thousandth of a core, a minute, or a mistake, and only the field knows which.
So each kind of amount has its own reader here, and every reader refuses what another would accept
instead of guessing. Formatting is the inverse: ``parse(format(x)) == x`` for every legal ``x``.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal, InvalidOperation

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
UNITS = {**BINARY, **DECIMAL}
MAX_SIZE = 2**60
MAX_CORES = Decimal(1024)
MAX_DURATION = timedelta(days=36_500)
MAX_TEXT = 40
MILLI = Decimal("0.001")

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)([A-Za-z]*)")
_CORES = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m?)")
_DURATION = re.compile(r"(?:[0-9]{1,10}[ywdhms])+")
_PART = re.compile(r"([0-9]+)([ywdhms])")
_SECONDS = {"y": 365 * 86_400, "w": 7 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class QuantityError(ValueError):
    """A text that is no amount of this kind; the message says what was expected."""


def _text(value: object, kind: str) -> str:
    """A scalar as text; numbers come as YAML read them."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise QuantityError(f"expected {kind}")
    text = str(value)
    if len(text) > MAX_TEXT:
        raise QuantityError(f"expected {kind}; this is {len(text)} characters long")
    return text


def parse_size(value: object) -> int:
    """Bytes of ``16Gi`` (binary), ``16G`` (decimal) or ``100B``; part bytes are rounded up.

    A bare number counts as bytes from 1 MiB on, as in Kubernetes; below that it is refused,
    since it is nearly always a forgotten unit.

    Raises:
        QuantityError: no size, zero, or above 1 EiB.
    """
    text = _text(value, "a size such as 16Gi")
    match = _SIZE.fullmatch(text)
    if match is None:
        raise QuantityError("expected a size such as 16Gi")
    number, unit = match.groups()
    if unit and unit != "B" and unit not in UNITS:
        raise QuantityError(f"{unit!r} is no unit of size{_mend_unit(number, unit)}")
    try:
        exact = Decimal(number) * UNITS.get(unit, 1)
        size = int(exact.to_integral_value(rounding=ROUND_CEILING))
    except InvalidOperation as error:
        raise QuantityError("expected a size such as 16Gi") from error
    if not 0 < size <= MAX_SIZE:
        raise QuantityError("a size must be more than nothing and at most 1024Pi")
    if not unit and size < UNITS["Mi"]:
        raise QuantityError(f"a size needs a unit: write {number}Gi or {number}Mi")
    return size


def _mend_unit(number: str, unit: str) -> str:
    """``: write 16Gi`` where it is plain what was meant."""
    if unit == "m":
        return f" (it would be thousandths of a byte): write {number}Mi"
    letter = unit[0].upper()
    if letter in "KMGTP" and unit[1:].lower() in ("", "b", "i", "ib"):
        return f": write {number}{letter}i (or {number}{letter.replace('K', 'k')})"
    return "; use Ki, Mi, Gi, Ti, Pi (binary) or k, M, G, T, P (decimal)"


def format_size(size: int) -> str:
    """The shortest exact text of a number of bytes, binary units before decimal ones."""
    exact = [(size // by, unit) for unit, by in UNITS.items() if size % by == 0]
    number, unit = min(exact, key=lambda pair: pair[0], default=(size, "B"))
    return f"{number}{unit}"


def parse_cores(value: object) -> Decimal:
    """Cores of ``4``, ``0.5`` or ``500m``.

    Raises:
        QuantityError: no number of cores, finer than a thousandth, zero, or above 1024.
    """
    match = _CORES.fullmatch(_text(value, "a number of cores such as 4 or 500m"))
    if match is None:
        raise QuantityError("expected a number of cores such as 4 or 500m")
    number, milli = match.groups()
    cores = Decimal(number) * (MILLI if milli else 1)
    if cores > MAX_CORES:
        raise QuantityError(
            f"{cores} cores are more than any machine has (at most {MAX_CORES}); "
            "this counts cores, not 1/1024 vCPU"
        )
    if cores <= 0 or cores % MILLI:
        raise QuantityError("cores must be more than 0, in steps of 1m (a thousandth)")
    return cores.normalize()


def format_cores(cores: Decimal) -> int | str:
    """``4`` for whole cores, ``500m`` otherwise."""
    return int(cores) if cores == cores.to_integral_value() else f"{int(cores * 1000)}m"


def parse_duration(value: object) -> timedelta:
    """Time of ``30d``, ``15m``, ``1h30m``; units are y (365 d), w, d, h, m (minutes), s.

    Raises:
        QuantityError: no duration, a number without a unit, zero, or above 100 years.
    """
    text = _text(value, "a duration such as 30d or 15m")
    if text.isdecimal():
        raise QuantityError(f"a duration needs a unit: write {text}d, {text}h, {text}m or {text}s")
    if not _DURATION.fullmatch(text):
        raise QuantityError("expected a duration such as 30d or 15m (units y, w, d, h, m, s)")
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= MAX_DURATION.total_seconds():
        raise QuantityError("a duration must be more than nothing and at most 100y")
    return timedelta(seconds=seconds)


def parse_days(value: object) -> timedelta:
    """A duration in which a bare number means days, as retention settings have it.

    Raises:
        QuantityError: as :func:`parse_duration`.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_duration(f"{value}d")
    return parse_duration(value)


def format_duration(duration: timedelta) -> str:
    """The shortest exact text in one unit: ``30d``, ``36h``, ``90m``, ``45s``."""
    seconds = int(duration.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def parse_date(value: object) -> date:
    """A day written ``2027-01-31``.

    Raises:
        QuantityError: anything else.
    """
    if isinstance(value, date):
        return value
    text = _text(value, "a day such as 2027-01-31")
    if not _DATE.fullmatch(text):
        raise QuantityError("expected a day such as 2027-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise QuantityError(f"there is no such day ({error})") from error

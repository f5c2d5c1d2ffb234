"""Five fields of cron as AWS writes them: six fields, other weekdays, and a question mark.

The fields are read into the values they stand for and written anew, so that steps, names and a
Sunday of 7 mean the same there. What AWS cannot say is refused; nothing is made to run at other
times than the spec says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tabular.errors import UnsupportedError, UsageError

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month, in leap years
_FORM = re.compile(r"(?:(?P<star>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,2}))?")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of cron: what it is called, its values, and their names in order."""

    name: str
    first: int
    last: int
    names: Sequence[str] = ()

    @property
    def all(self) -> range:
        return range(self.first, self.last + 1)

    @property
    def highest(self) -> int:
        """That may be written: Sunday is 0 and, as in `5-7`, also 7."""
        return 7 if self.names == _WEEKDAYS else self.last


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Times:
    """The values of each field, in order and each once; weekdays from 0 for Sunday."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]


def read(text: str, *, where: str) -> Times:
    """The times that five fields stand for.

    Args:
        text: minute, hour, day of the month, month, weekday, as crontab(5) has them.
        where: the spec's key, for an error.

    Raises:
        UsageError: a value, range or step that cron does not have, or a day that no month has.
        UnsupportedError: both a day of the month and a weekday, of which cron takes either and
            AWS takes one.
    """
    written = text.split()
    if len(written) != len(_FIELDS):
        raise UsageError(
            f"{text!r} is no schedule", where=where, hint="minute hour day month weekday"
        )
    times = Times(
        *(_values(field, part, where) for field, part in zip(_FIELDS, written, strict=True))
    )
    if _narrow(times.days, 2) and _narrow(times.weekdays, 4):
        raise UnsupportedError(
            f"{text!r} names days of the month and weekdays, and AWS takes one of them",
            where=where,
            hint="write * for the day of the month, or for the weekday",
        )
    if min(times.days) > max(_LONGEST[month - 1] for month in times.months):
        raise UsageError(f"{text!r} names a day that none of its months has", where=where)
    return times


def expression(text: str, *, where: str) -> str:
    """The schedule as EventBridge, Application Auto Scaling and AWS Backup take it.

    AWS: "Cron expressions" of Amazon EventBridge Scheduler: minutes, hours, day of the month,
    month, day of the week (1 is Sunday), year; one of the two days is ``?``.

    Args:
        text: five fields of cron.
        where: the spec's key, for an error.

    Returns:
        E.g. ``cron(0 20 ? * 2-6 *)`` for ``0 20 * * 1-5``.

    Raises:
        UsageError, UnsupportedError: as `read`.
    """
    times = read(text, where=where)
    by_weekday = _narrow(times.weekdays, 4)
    fields = (
        _written(times.minutes, _FIELDS[0].all),
        _written(times.hours, _FIELDS[1].all),
        "?" if by_weekday else _written(times.days, _FIELDS[2].all),
        _written(times.months, _FIELDS[3].all),
        _written([day + 1 for day in times.weekdays], ()) if by_weekday else "?",
        "*",
    )
    return f"cron({' '.join(fields)})"


def _narrow(values: Collection[int], field: int) -> bool:
    return len(values) < len(_FIELDS[field].all)


def _values(field: _Field, text: str, where: str) -> tuple[int, ...]:
    found: set[int] = set()
    for item in text.split(","):
        found.update(_item(field, item, where))
    return tuple(sorted(found))


def _item(field: _Field, text: str, where: str) -> Iterator[int]:
    form = _FORM.fullmatch(text)
    if form is None:
        _refuse(field, text, where)
    step = int(form["step"] or 1)
    if form["star"]:
        first, last = field.first, field.last
    else:
        first = _value(field, form["first"], text, where)
        last = _value(field, form["last"] or form["first"], text, where)
    # `5/10` is from 5 on to some programs, and 5 alone or a mistake to others.
    if not step or first > last or (form["step"] and form["first"] and not form["last"]):
        _refuse(field, text, where)
    return ((value if value <= field.last else 0) for value in range(first, last + 1, step))


def _value(field: _Field, word: str, text: str, where: str) -> int:
    if word.lower() in field.names:
        return field.first + field.names.index(word.lower())
    if not (word.isascii() and word.isdigit()) or not field.first <= int(word) <= field.highest:
        _refuse(field, text, where)
    return int(word)


def _refuse(field: _Field, text: str, where: str) -> NoReturn:
    names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
    raise UsageError(
        f"{text!r} is no {field.name} of a schedule",
        where=where,
        hint=f"{field.first} to {field.last}{names}; also 1-5, 1,5, */5 or 1-5/2",
    )


def _written(values: Sequence[int], everything: Collection[int]) -> str:
    """Values with neighbours drawn together: ``1,3-5``; ``*`` for all there are."""
    if len(values) == len(everything):
        return "*"
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs
    )

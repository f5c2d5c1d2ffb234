"""Schedules on AWS: they run when cron would run them, or they are refused."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.aws.words.cron import expression, read
from tabular.errors import UnsupportedError, UsageError

WHERE = "spec.backup.schedule"


@pytest.mark.parametrize(
    ("cron", "aws"),
    [
        ("0 2 * * *", "cron(0 2 * * ? *)"),
        ("0 20 * * 1-5", "cron(0 20 ? * 2-6 *)"),
        ("0 20 * * MON-FRI", "cron(0 20 ? * 2-6 *)"),
        ("*/15 8-18 * * *", "cron(0,15,30,45 8-18 * * ? *)"),
        ("0 0 1 jan,jul *", "cron(0 0 1 1,7 ? *)"),
        ("0 3 * * 0", "cron(0 3 ? * 1 *)"),
        ("0 3 * * 7", "cron(0 3 ? * 1 *)"),
        ("0 3 * * 5-7", "cron(0 3 ? * 1,6,7 *)"),
        ("0 3 * * 0-7", "cron(0 3 * * ? *)"),
        ("5-20/5,40 */6 * 2 *", "cron(5,10,15,20,40 0,6,12,18 * 2 ? *)"),
        ("0 0 29 2 *", "cron(0 0 29 2 ? *)"),
    ],
)
def test_what_becomes_of_a_schedule(cron: str, aws: str) -> None:
    assert expression(cron, where=WHERE) == aws


@pytest.mark.parametrize(
    ("cron", "word"),
    [
        ("60 2 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 2 0 * *", "day of the month"),
        ("0 2 * 13 *", "month"),
        ("0 2 * foo *", "month"),
        ("0 2 * * 8", "weekday"),
        ("0 2 * * L", "weekday"),
        ("0 22-4 * * *", "hour"),
        ("*/0 2 * * *", "minute"),
        ("5/10 2 * * *", "minute"),
        ("1,,2 2 * * *", "minute"),
        ("1- 2 * * *", "minute"),
        ("0 2 31 2,4 *", "none of its months"),
        ("0 2 * *", "no schedule"),
    ],
)
def test_nonsense_is_refused_with_its_place(cron: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        expression(cron, where=WHERE)
    assert caught.value.where == WHERE


def test_either_of_two_days_is_refused() -> None:
    """Cron runs it on the 1st and on Mondays; AWS has no word for that."""
    with pytest.raises(UnsupportedError, match="weekdays") as caught:
        expression("0 2 1 * 1", where=WHERE)
    assert "*" in str(caught.value.hint)


@st.composite
def _item(draw: st.DrawFn, low: int, high: int) -> tuple[str, set[int]]:
    """A piece of a field as written, and what it stands for."""
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, 9))
    form = draw(st.sampled_from(["one", "range", "step", "star"]))
    return {
        "one": (str(first), {first}),
        "range": (f"{first}-{last}", set(range(first, last + 1))),
        "step": (f"{first}-{last}/{step}", set(range(first, last + 1, step))),
        "star": (f"*/{step}", set(range(low, high + 1, step))),
    }[form]


def _field(low: int, high: int) -> st.SearchStrategy[tuple[str, set[int]]]:
    some = st.lists(_item(low, high), min_size=1, max_size=3).map(
        lambda items: (",".join(text for text, _ in items), set().union(*(v for _, v in items)))
    )
    return st.just(("*", set(range(low, high + 1)))) | some


def _aws_says(expression: str, moment: datetime) -> bool:
    """Whether an expression of AWS has this minute, read by the vendor's rules."""
    fields = expression.removeprefix("cron(").removesuffix(")").split()
    assert len(fields) == 6
    assert (fields[2] == "?") != (fields[4] == "?")
    sunday_first = (moment.weekday() + 1) % 7 + 1
    values = (moment.minute, moment.hour, moment.day, moment.month, sunday_first, moment.year)
    return all(_has(field, value) for field, value in zip(fields, values, strict=True))


def _has(field: str, value: int) -> bool:
    if field in ("*", "?"):
        return True
    ends = [item.split("-") for item in field.split(",")]
    return any(int(one[0]) <= value <= int(one[-1]) for one in ends)


@given(
    minute=_field(0, 59),
    hour=_field(0, 23),
    day=_field(1, 31),
    month=_field(1, 12),
    weekday=_field(0, 6),
    by_weekday=st.booleans(),
    moments=st.lists(
        st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2027, 12, 31)),
        min_size=5,
        max_size=30,
    ),
)
@settings(max_examples=200)
def test_it_runs_when_cron_would_run_it(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    month: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    by_weekday: bool,
    moments: list[datetime],
) -> None:
    if by_weekday:
        day = ("*", set(range(1, 32)))
    else:
        weekday = ("*", set(range(7)))
    text = " ".join(written for written, _ in (minute, hour, day, month, weekday))
    try:
        made = expression(text, where=WHERE)
    except UsageError:
        every_day = (datetime(2024, 1, 1) + timedelta(days=n) for n in range(366))
        assert not any(one.day in day[1] and one.month in month[1] for one in every_day), text
        return
    fitting = [one.replace(minute=min(minute[1]), hour=max(hour[1])) for one in moments]
    for moment in moments + fitting:
        runs = (
            moment.minute in minute[1]
            and moment.hour in hour[1]
            and moment.day in day[1]
            and moment.month in month[1]
            and (moment.weekday() + 1) % 7 in weekday[1]
        )
        assert _aws_says(made, moment) == runs, (text, made, moment)


@given(st.text(alphabet="0123456789*,/-AFJLMNOSTUadefnorstu ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        times = read(text, where=WHERE)
    except (UsageError, UnsupportedError):
        return
    for values in (times.minutes, times.hours, times.days, times.months, times.weekdays):
        assert values

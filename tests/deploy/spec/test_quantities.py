from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.deploy.spec.quantities import (
    MAX_SIZE,
    QuantityError,
    format_cores,
    format_duration,
    format_size,
    parse_cores,
    parse_date,
    parse_days,
    parse_duration,
    parse_size,
)

Gi = 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16Gi", 16 * Gi),
        ("1Ti", 1024 * Gi),
        ("250Gi", 250 * Gi),
        ("16G", 16 * 10**9),
        ("1.5Gi", 3 * Gi // 2),
        ("129e6", 129_000_000),
        (129_000_000.0, 129_000_000),
        (17179869184, 16 * Gi),
        ("100k", 100_000),
        ("0.1Gi", 107_374_183),
        ("7B", 7),
    ],
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (16, "a size needs a unit: write 16Gi or 16Mi"),
        ("16GB", "write 16Gi (or 16G)"),
        ("16gb", "write 16Gi (or 16G)"),
        ("400m", "write 400Mi"),
        ("16Xi", "no unit of size"),
        ("", "expected a size"),
        ("0Gi", "more than nothing"),
        ("9999999999Ti", "at most"),
        ("-1Gi", "expected a size"),
        ("1e99Gi", "at most"),
        (True, "expected a size"),
        (None, "expected a size"),
        ([1], "expected a size"),
        ("9" * 100, "100 characters"),
        ("\u0661Gi", "expected a size"),
    ],
)
def test_wrong_sizes_say_what_to_write(text: Any, said: str) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_size(text)
    assert said in str(caught.value)


@given(st.integers(1, MAX_SIZE))
def test_sizes_round_trip(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("value", "cores", "back"),
    [(4, "4", 4), ("500m", "0.5", "500m"), (0.25, "0.25", "250m"), ("8", "8", 8), (1.0, "1", 1)],
)
def test_cores(value: Any, cores: str, back: Any) -> None:
    assert parse_cores(value) == Decimal(cores)
    assert format_cores(parse_cores(value)) == back


@given(st.integers(1, 1024 * 1000).map(lambda milli: Decimal(milli) / 1000))
def test_cores_round_trip(cores: Decimal) -> None:
    assert parse_cores(format_cores(cores)) == cores


@pytest.mark.parametrize("value", ["0", "0.0005", 4096, "4 cores", "1u", True, None, "-1", "1e3"])
def test_wrong_cores(value: Any) -> None:
    with pytest.raises(QuantityError):
        parse_cores(value)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30d", timedelta(days=30)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("2w", timedelta(days=14)),
        ("1y", timedelta(days=365)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_durations(text: str, time: timedelta) -> None:
    assert parse_duration(text) == time


@given(st.integers(1, 36_500 * 86_400).map(lambda seconds: timedelta(seconds=seconds)))
def test_durations_round_trip(time: timedelta) -> None:
    assert parse_duration(format_duration(time)) == time


@pytest.mark.parametrize(
    "text", [30, "30", "0d", "d", "30 d", "1.5h", "200y", "30D", "", None, True]
)
def test_wrong_durations(text: Any) -> None:
    with pytest.raises(QuantityError):
        parse_duration(text)


def test_a_bare_number_is_days_only_where_days_are_meant() -> None:
    assert parse_days(30) == timedelta(days=30)
    assert parse_days("36h") == timedelta(hours=36)
    with pytest.raises(QuantityError, match="write 30d"):
        parse_duration(30)


def test_m_is_what_the_field_says() -> None:
    assert parse_cores("15m") == Decimal("0.015")
    assert parse_duration("15m") == timedelta(minutes=15)
    with pytest.raises(QuantityError):
        parse_size("15m")


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_nothing_but_a_quantity_error_escapes(value: Any) -> None:
    for parse in (parse_size, parse_cores, parse_duration, parse_days, parse_date):
        try:
            parse(value)
        except QuantityError as error:
            assert len(str(error)) < 300


def test_days_of_the_calendar() -> None:
    assert parse_date("2027-01-31") == date(2027, 1, 31)
    with pytest.raises(QuantityError, match="no such day"):
        parse_date("2027-02-30")

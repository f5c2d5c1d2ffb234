"""What a profile says of each kind of column, and what it keeps to itself."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabular.errors import TableError
from tabular.synth.profile import ColumnProfile, profile


def described(values: pa.Array, name: str = "c") -> ColumnProfile:
    return profile(pa.table({name: values}), exact=True).columns[0]


def test_a_number_has_a_range_a_mean_and_quantiles():
    found = described(pa.array([*range(1, 101), None]))
    assert (found.type, found.minimum, found.maximum, found.mean) == ("int64", 1, 100, 50.5)
    assert found.quantiles == {"0.05": 5, "0.25": 25, "0.5": 50, "0.75": 75, "0.95": 95}
    assert (found.missing, found.distinct) == (1, 100)
    assert found.missing_share == pytest.approx(1 / 101, abs=1e-6)


def test_not_a_number_is_missing():
    found = described(pa.array([1.5, float("nan"), None]))
    assert (found.missing, found.distinct, found.maximum) == (2, 1, 1.5)


def test_only_values_of_twenty_rows_are_named():
    found = described(pa.array(["a"] * 30 + ["b"] * 20 + ["Jane Doe"] * 19))
    assert [(item.value, item.count) for item in found.top] == [("a", 30), ("b", 20)]
    assert found.distinct == 3
    assert "Jane" not in profile(pa.table({"c": ["Jane Doe"] * 19})).to_json()


def test_the_most_frequent_come_first_and_ten_are_enough():
    values = [letter for rank, letter in enumerate("abcdefghijkl") for _ in range(40 - rank)]
    found = described(pa.array(values))
    assert [item.value for item in found.top] == list("abcdefghij")


@pytest.mark.parametrize(
    ("values", "minimum", "maximum"),
    [
        (pa.array([dt.date(2020, 1, 2), dt.date(2021, 3, 4)]), "2020-01-02", "2021-03-04"),
        (
            pa.array([dt.datetime(2020, 1, 2, 3, 4, 5), dt.datetime(2020, 1, 2)]),
            "2020-01-02 00:00:00",
            "2020-01-02 03:04:05",
        ),
        (pa.array([dt.time(9, 30), dt.time(7)]), "07:00:00", "09:30:00"),
    ],
    ids=["date", "datetime", "time"],
)
def test_times_are_written_as_people_write_them(values, minimum, maximum):
    found = described(values)
    assert (found.minimum, found.maximum, found.mean) == (minimum, maximum, None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([3] * 40), "constant"),
        (pa.array([None] * 40, pa.int64()), "every value is missing"),
        (pa.nulls(40), "every value is missing"),
        (pa.array(range(1, 101)), "probably a key"),
        (pa.array([f"word {number}" for number in range(2_000)]), "high cardinality"),
        (pa.array(["0,5", "1.234,75", "-3,0"] * 20), "decimal commas"),
        (pa.array([f"{i % 28 + 1}.{i % 12 + 1}.2023" for i in range(90)]), "d.m.Y"),
        (pa.array([f"{i % 12 + 1:02}/{i % 28 + 1:02}/2023" for i in range(90)]), "m/d/Y"),
        (pa.array(["1", "2.5", "-3e4", "none yet"] * 10), "mixed types: 75.0%"),
        (pa.array([1, None, None] * 20), "67% of the values are missing"),
        (pa.array([[1]] * 40), "cannot be synthesized"),
        (pa.array([], pa.int64()), "no rows"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_what_needs_a_look_is_warned_of(values, words):
    assert any(words in warning for warning in described(values).warnings)


def test_a_plain_column_has_no_warning():
    generator = np.random.default_rng(0)
    assert described(pa.array(generator.normal(size=200))).warnings == ()
    assert described(pa.array(["a", "b"] * 100)).warnings == ()


def test_a_dictionary_column_is_described_by_its_values():
    found = described(pa.array(["x", None, "x"] * 10).dictionary_encode())
    assert (found.missing, found.distinct, found.top[0].value) == (10, 1, "x")


def test_a_pandas_table_will_do():
    found = profile(pd.DataFrame({"a": [1, 2], "b": ["x", None]}))
    assert [column.missing for column in found.columns] == [0, 1]


def test_json_is_whole_and_repeatable():
    table = pa.table({"a": [1.5, float("inf"), None], "b": ["x", "y", "z"]})
    text = profile(table).to_json()
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["rows"] == 3
    assert data["values_shown_from"] == 20
    assert [column["name"] for column in data["columns"]] == ["a", "b"]
    assert text == profile(table).to_json()


def test_a_table_without_columns_is_refused():
    with pytest.raises(TableError, match="no columns"):
        profile(pa.table({}))


def test_whole_numbers_past_2_to_the_53_are_exact() -> None:
    top = 2**64 - 1
    signed = [2**63 - 1 - i for i in range(20)]
    table = pa.table({"u": pa.array([top - i for i in range(20)], pa.uint64()), "i": signed})
    unsigned, other = profile(table, exact=True).columns
    assert (unsigned.minimum, unsigned.maximum) == (top - 19, top)
    assert unsigned.quantiles["0.5"] == top - 10
    assert (other.minimum, other.maximum) == (signed[-1], signed[0])


def test_no_single_value_is_shown_unless_asked_for() -> None:
    random = np.random.default_rng(0)
    salaries = np.round(random.lognormal(10, 1, 500), 2)
    salaries[0], salaries[1] = 98765432.1, -7654321.5
    day = dt.datetime(2024, 1, 1)
    times = [day + dt.timedelta(seconds=int(s)) for s in random.integers(0, 10**7, 500)]
    table = pa.table({"salary": salaries, "time": times, "n": pa.array(range(500))})
    own = {str(value) for value in [*salaries, *times]}
    salary, time, n = profile(table).columns
    for column in (salary, time):
        points = [column.minimum, column.maximum, *column.quantiles.values()]
        assert not own & {str(point) for point in points}
    ordered = np.sort(salaries)
    assert 0 <= salary.minimum <= ordered[10]
    assert ordered[-20] <= salary.maximum < 10 * ordered[-20]
    assert salary.quantiles["0.5"] == pytest.approx(np.median(salaries), rel=0.2)
    assert (n.minimum, n.maximum) == (0, 500)
    assert profile(table, exact=True).columns[0].maximum == 98765432.1


def test_values_of_many_rows_are_exact_and_few_rows_have_no_range() -> None:
    many = profile(pa.table({"a": [0] * 50 + [17] * 50})).columns[0]
    assert (many.minimum, many.maximum, many.quantiles["0.05"]) == (0, 17, 0)
    few = profile(pa.table({"a": range(39)})).columns[0]
    assert (few.minimum, few.maximum, few.mean, few.quantiles) == (None, None, None, {})
    top = 2**64 - 1
    wide = profile(pa.table({"a": pa.array([top - i for i in range(100)], pa.uint64())})).columns[0]
    assert wide.minimum < wide.maximum

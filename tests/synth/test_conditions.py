"""How a condition is read, and that it holds in every row."""

from __future__ import annotations

import datetime as dt
import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tabular.errors import ConstraintError, InputError
from tabular.synth import Synthesizer
from tabular.synth.conditions import parse_where

SCHEMA = pa.schema(
    [('"><b>', pa.string()), ("a", pa.int64()), ("a<b", pa.int64()), ("x=", pa.string())]
)


@pytest.mark.parametrize(
    ("text", "column", "sign", "value"),
    [
        ('"><b>=v', '"><b>', "=", "v"),
        ("a<3", "a", "<", 3),
        ("a<b=3", "a<b", "=", 3),
        (" a >= 2", "a", ">=", 2),
        ("a<>2", "a", "!=", 2),
        ("x==v", "x=", "=", "v"),
    ],
)
def test_a_name_may_hold_signs(text: str, column: str, sign: str, value: object) -> None:
    (condition,) = parse_where(text, SCHEMA)
    assert (condition.column, condition.sign) == (column, sign)
    assert condition.value is not None
    assert condition.value.as_py() == value


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(InputError, match="no column 'b'"):
        parse_where("b=1", SCHEMA)


HOURS = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(400)]


def times() -> pa.Table:
    """A column of each kind of time, all of them telling the same moments."""
    local = pa.array(HOURS, pa.timestamp("us"))
    return pa.table(
        {
            "k": [i % 3 for i in range(400)],
            "naive": local,
            "zoned": pc.assume_timezone(local, "Europe/Berlin"),
            "utc": local.cast(pa.timestamp("s", "UTC")),
            "date": local.cast(pa.date32()),
            "date64": local.cast(pa.date32()).cast(pa.date64()),
            "clock": pa.array([t.time() for t in HOURS], pa.time32("s")),
            "fine": pa.array([t.time() for t in HOURS], pa.time64("ns")),
            "took": pa.array(range(400), pa.int64()).cast(pa.duration("s")),
            "long": pa.array([t - HOURS[0] for t in HOURS], pa.duration("ns")),
            "kind": pa.array([t.date() for t in HOURS]).dictionary_encode(),
        }
    )


@pytest.fixture(scope="module", params=["trees", "bayes"])
def timed(request: pytest.FixtureRequest) -> Synthesizer:
    return Synthesizer(request.param).fit(times())


@pytest.mark.parametrize(
    ("where", "least"),
    [
        ("naive>=2024-01-05T00:00:00", dt.datetime(2024, 1, 5)),
        ("naive>=2024-01-05", dt.datetime(2024, 1, 5)),
        ("zoned>=2024-01-05T00:00:00", dt.datetime(2024, 1, 4, 23, tzinfo=dt.UTC)),
        ("zoned>=2024-01-05", dt.datetime(2024, 1, 4, 23, tzinfo=dt.UTC)),
        ("zoned>=2024-01-05T00:00:00Z", dt.datetime(2024, 1, 5, tzinfo=dt.UTC)),
        ("zoned>=2024-01-05T00:00:00+05:00", dt.datetime(2024, 1, 4, 19, tzinfo=dt.UTC)),
        ("utc>=2024-01-05T00:00:00", dt.datetime(2024, 1, 5, tzinfo=dt.UTC)),
        ("date>=2024-01-05", dt.date(2024, 1, 5)),
        ("date64>=2024-01-05", dt.date(2024, 1, 5)),
        ("kind>=2024-01-05", dt.date(2024, 1, 5)),
        ("clock>=10:00:00", dt.time(10)),
        ("clock>=10:00", dt.time(10)),
        ("fine>=10:30:00.5", dt.time(10, 30, 0, 500_000)),
        ("took>=100", dt.timedelta(seconds=100)),
        ("took>=1m30s", dt.timedelta(seconds=90)),
        ("took>=PT1M30S", dt.timedelta(seconds=90)),
        ("long>=3d 2h", dt.timedelta(days=3, hours=2)),
        ("long>=P1W", dt.timedelta(weeks=1)),
        ("long>=30.5h", dt.timedelta(hours=30, minutes=30)),
    ],
)
def test_times_are_compared_in_the_columns_own_terms(
    timed: Synthesizer, where: str, least: object
) -> None:
    name = where.partition(">")[0]
    drawn = timed.sample(300, where=where)[name].to_pylist()
    assert len(drawn) == 300
    assert min(drawn) >= least  # type: ignore[type-var]
    assert min(timed.sample(300)[name].to_pylist()) < least


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("clock>=late", "23:59:59"),
        ("clock>=25:00:00", "23:59:59"),
        ("took>=soon", "1h30m"),
        ("took>=500ms", "1h30m"),
        ("zoned>=2024-13-05", "Europe/Berlin"),
        ("date>=tomorrow", "2024-12-31"),
        ("naive>=2024-01-05T00:00:00Z", "2024-12-31T23:59:59"),
    ],
)
def test_times_that_cannot_be_read_say_how_to_write_them(
    timed: Synthesizer, where: str, says: str
) -> None:
    with pytest.raises(InputError, match="is no value of column") as caught:
        timed.sample(3, where=where)
    assert says in str(caught.value.hint)


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2024, 1, 5),
        dt.datetime(2024, 1, 4, 23, tzinfo=dt.UTC),
        "2024-01-05T00:00:00",
        np.datetime64("2024-01-05T00:00:00"),
    ],
)
def test_pythons_own_times_mean_the_same(value: object) -> None:
    (condition,) = parse_where({"zoned": value}, times().schema)
    assert condition.value is not None
    assert condition.value.as_py() == dt.datetime(2024, 1, 4, 23, tzinfo=dt.UTC)
    (condition,) = parse_where({"took": dt.timedelta(minutes=2)}, times().schema)
    assert condition.value is not None
    assert condition.value.as_py() == dt.timedelta(seconds=120)


def test_a_range_of_times_in_the_schema_holds() -> None:
    schema = {
        "columns": {
            "clock": {"role": "time", "minimum": "10:00:00", "maximum": "12:00:00"},
            "took": {"role": "time", "maximum": "1m"},
        }
    }
    model = Synthesizer(schema=schema).fit(times())
    drawn = Synthesizer.load(io.BytesIO(model.to_bytes())).sample(200)
    assert {t.hour for t in drawn["clock"].to_pylist()} <= {10, 11, 12}
    assert max(drawn["took"].to_pylist()) <= dt.timedelta(minutes=1)


def test_nothing_fulfils_a_time_beyond_the_data(timed: Synthesizer) -> None:
    for where in ("clock>23:30:00", "long>100d", "zoned<2020-01-01"):
        with pytest.raises(ConstraintError, match="no row can fulfil"):
            timed.sample(3, where=where)


@pytest.mark.parametrize("where", [5, 1.5, object(), [None], [3]])
def test_what_is_no_condition_is_refused(timed: Synthesizer, where: object) -> None:
    with pytest.raises(InputError, match="condition"):
        timed.sample(3, where=where)  # type: ignore[arg-type]

"""Tables at the edge: small, empty, constant, mismatched."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from tabular.errors import TableError
from tabular.synth.evaluation import evaluate


@pytest.mark.parametrize("rows", [1, 2, 3, 19])
def test_a_few_rows_are_enough_for_a_report(make_table, rows):
    report = evaluate(make_table(rows, 1), make_table(rows, 2), holdout=make_table(rows, 3))
    assert 0 <= report.pairs.minimum <= report.pairs.mean <= 1
    assert report.to_html().startswith("<!doctype html>")
    assert report.to_json()


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(30),
        pa.array([None] * 30, pa.float64()),
        pa.array([None] * 30, pa.string()),
        pa.array([5] * 30),
        pa.array(["x"] * 30),
        pa.array([np.inf, -np.inf, np.nan] * 10),
        pa.array([2**63 - 1, -(2**63), 0] * 10),
        pa.array([2**60 + 1] * 30),
        pa.array([2**60, 2**60 + 1, 2**60 + 500] * 10),
        pa.array([dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), None] * 10),
        pa.array([dt.timedelta(seconds=second) for second in range(30)]),
        pa.array(["a", None, "b"] * 10).dictionary_encode(),
        pa.array([True, False, None] * 10),
        pa.array([None, 1.5, 2.5] * 10).cast(pa.decimal128(20, 3)),
    ],
    ids=str,
)
def test_a_single_column_of_any_plain_type(column):
    table = pa.table({"only": column})
    report = evaluate(table, table, holdout=table)
    assert report.shapes.mean == 1.0
    assert report.exact.synthetic_in_training == 1.0
    assert report.to_html()
    assert report.to_json()
    assert "two columns" in report.pairs.reason


@pytest.mark.parametrize("values", [[], [7.5], [7.5] * 19], ids=len)
def test_a_column_of_hardly_any_value_leaves_the_models_working(make_table, values):
    def sparse(seed):
        table = make_table(200, seed)
        held = pa.array([*values, *[None] * (200 - len(values))], pa.float64())
        return table.append_column("sparse", held)

    report = evaluate(sparse(1), sparse(2), holdout=sparse(3))
    assert 0 <= report.detection.auc <= 1
    assert report.utility.rows == 200


@pytest.mark.parametrize("far", [1e16, np.inf])
def test_one_far_value_hides_no_copied_row(far):
    generator = np.random.default_rng(0)
    synthetic = pa.table({"a": generator.random(60), "b": generator.random(60)})
    outlier = pa.table({"a": [far], "b": [0.5]})
    report = evaluate(pa.concat_tables([synthetic, outlier]), synthetic)
    assert report.exact.synthetic_in_training == 1.0


def test_rows_or_columns_must_exist():
    full, bare = pa.table({"a": [1]}), pa.table({"a": pa.array([], pa.int64())})
    with pytest.raises(TableError, match="no rows") as caught:
        evaluate(full, bare)
    assert caught.value.where == "the synthetic table"
    with pytest.raises(TableError, match="no columns"):
        evaluate(pa.table({}), full)


def test_columns_that_one_side_lacks_are_named():
    real = pa.table({"a": [1], "b": [2]})
    with pytest.raises(TableError, match="lacks 'b'; it has 'c', which the real") as caught:
        evaluate(real, pa.table({"a": [1], "c": [2]}))
    assert caught.value.where == "the synthetic table"
    with pytest.raises(TableError) as caught:
        evaluate(real, real, holdout=pa.table({"a": [1]}))
    assert caught.value.where == "the holdout table"


def test_a_name_that_occurs_twice_is_refused():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(TableError, match="'a'") as caught:
        evaluate(pa.table({"a": [1]}), twice)
    assert caught.value.where == "the synthetic table"


def test_what_is_no_table_is_refused():
    with pytest.raises(TableError, match="list"):
        evaluate([1, 2], pa.table({"a": [1]}))


def test_columns_may_come_in_another_order():
    real = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    assert evaluate(real, real.select(["b", "a"])).pairs.mean == 1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([1, 2, 3]), pa.array(["1", "2", "3"])),
        (pa.array([1, 2, 3]), pa.array([1.0, 2.0, 3.0])),
        (pa.array([1, 2, None]), pa.array([1, 2, None], pa.uint8())),
        (pa.array([True, False]), pa.array(["true", "false"])),
        (pa.array([True, False]), pa.array([1, 0])),
        (pa.array([dt.date(2020, 1, 2)]), pa.array(["2020-01-02"])),
        (pa.array([dt.date(2020, 1, 2)]), pa.array([dt.datetime(2020, 1, 2)])),
        (
            pa.array([dt.datetime(2020, 1, 2)], pa.timestamp("ns", "UTC")),
            pa.array([dt.datetime(2020, 1, 2)], pa.timestamp("s")),
        ),
        (pa.array([None, None], pa.null()), pa.array([None, None], pa.int8())),
    ],
    ids=str,
)
def test_types_that_mean_the_same_compare_as_the_same(first, second):
    report = evaluate(pa.table({"c": first}), pa.table({"c": second}))
    assert report.shapes.mean == 1.0
    assert report.exact.synthetic_in_training == 1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([1]), pa.array(["one"])),
        (pa.array([1]), pa.array([dt.date(2020, 1, 1)])),
        (pa.array([dt.time(1)]), pa.array([dt.date(2020, 1, 1)])),
        (pa.array([[1]]), pa.array([[1]])),
        (pa.array([b"1"]), pa.array([b"1"])),
    ],
    ids=str,
)
def test_types_with_nothing_in_common_name_the_column(first, second):
    with pytest.raises(TableError) as caught:
        evaluate(pa.table({"odd": first}), pa.table({"odd": second}))
    assert caught.value.where == "column 'odd'"
    assert caught.value.hint


def test_a_difference_of_types_is_told():
    real, synthetic = pa.table({"c": [1, 2, 3]}), pa.table({"c": ["1", "2", "3"]})
    assert "c (int64 against string)" in " ".join(evaluate(real, synthetic).notes)


def test_a_regenerated_key_hides_no_copied_row(make_table):
    real, other = make_table(1_200, 1), make_table(1_200, 2)

    def keyed(table: pa.Table, start: int) -> pa.Table:
        return table.append_column("key", pa.array(np.arange(start, start + 1_200)))

    report = evaluate(keyed(real, 0), keyed(real, 5_000), holdout=keyed(other, 9_000))
    assert report.exact.synthetic_in_training == 1.0
    assert report.nearest.share > 0.95
    assert "key" in " ".join(report.notes)
    assert {c.name for c in report.shapes.columns if c.identifier} == {"key"}


def test_a_wide_table_is_measured_in_bounded_work():
    generator = np.random.default_rng(0)
    wide = pa.table({f"c{number}": generator.normal(size=40) for number in range(1_500)})
    report = evaluate(wide, wide, holdout=wide)
    assert len(report.shapes.columns) == 1_500
    assert len(report.pairs.columns) == 100
    page = report.to_html()
    assert "columns most alike are not drawn" in page
    assert len(page) < 5_000_000

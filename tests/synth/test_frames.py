"""What pandas, polars and Arrow hold comes back as it was, or is refused by name."""

from __future__ import annotations

import datetime as dt
import io
import random
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tabular.errors import TableError
from tabular.synth import Synthesizer
from tabular.synth.encoding import is_learnable
from tabular.synth.foresight import obstacle
from tabular.synth.tables import read_table

ROWS = 300
K = np.arange(ROWS) % 4
DAYS = pd.to_datetime([f"2020-01-{i % 7 + 1:02d}" for i in range(ROWS)])


@pytest.mark.parametrize("engine", ["trees", "bayes"])
@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(K),
        pd.Categorical(K / 2),
        pd.Categorical(DAYS),
        pd.Categorical(K > 1),
        pd.Categorical(np.where(K == 1, None, K).astype(object)),
        pd.Categorical(K, ordered=True),
        pd.Categorical(np.where(K > 1, "a", "b")),
    ],
    ids=["ints", "floats", "dates", "booleans", "missing", "ordered", "texts"],
)
def test_categories_of_anything_stay_categories(engine: str, values: pd.Categorical) -> None:
    frame = pd.DataFrame({"k": K, "c": values})
    model = Synthesizer(engine).fit(frame)
    drawn = model.sample(200, seed=1)
    assert isinstance(drawn["c"].dtype, pd.CategoricalDtype)
    assert drawn["c"].dtype.ordered == values.ordered
    assert drawn["c"].dtype.categories.dtype == values.categories.dtype
    assert set(drawn["c"].dropna()) <= set(values.categories)
    assert drawn["c"].isna().any() == pd.isna(values).any()
    again = Synthesizer.load(io.BytesIO(model.to_bytes())).sample(200, seed=1)
    pd.testing.assert_frame_equal(drawn, again)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_categories_of_numbers_can_be_written(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"k": K, "c": pd.Categorical(K * 10), "d": pd.Categorical(DAYS)})
    path = tmp_path / f"t.{suffix}"
    Synthesizer().fit(frame).write(path, 100)
    read = read_table(path)
    assert set(read["c"].to_pylist()) <= {0, 10, 20, 30}
    assert len({str(day)[:10] for day in read["d"].to_pylist()}) <= 7


@pytest.mark.parametrize("values", [pa.array(K), pa.array(K * 0.5), pa.array(DAYS)])
def test_arrow_dictionaries_keep_their_type(values: pa.Array) -> None:
    kind = pa.dictionary(pa.int8(), values.type)
    table = pa.table({"k": K, "c": values.dictionary_encode().cast(kind)})
    drawn = Synthesizer().fit(table).sample(100)
    assert drawn.schema == table.schema
    known = set(values.to_pylist())
    assert set(drawn["c"].combine_chunks().dictionary_decode().to_pylist()) <= known


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(["a", "b", None] * 100).cast(pa.string_view()), pa.string()),
        (pa.array([uuid.UUID(int=i).bytes for i in range(ROWS)], pa.uuid()), pa.string()),
        (pa.array(['{"a": 1}', '{"b": 2}'] * 150, pa.json_()), pa.string()),
        (pc.run_end_encode(pa.array(["a", "b", "c"] * 100)), pa.string()),
        (pa.array(["a", "b", None] * 100, pa.large_string()), pa.large_string()),
    ],
)
def test_layouts_of_texts_are_texts(values: pa.Array, kind: pa.DataType) -> None:
    drawn = Synthesizer().fit(pa.table({"k": K, "c": values})).sample(100)
    assert drawn.schema.field("c").type == kind


def test_uuids_of_parquet_are_read_as_they_are_written(tmp_path: Path) -> None:
    made = [uuid.UUID(int=random.getrandbits(128)) for _ in range(ROWS)]
    column: list[bytes | None] = [u.bytes for u in made]
    column[7] = None
    path = tmp_path / "u.parquet"
    pq.write_table(pa.table({"k": K, "u": pa.array(column, pa.uuid())}), path)
    table = read_table(path)
    assert table["u"].to_pylist() == [None if i == 7 else str(u) for i, u in enumerate(made)]
    assert obstacle(table["u"]) is None
    drawn = Synthesizer().fit(table).sample(50)["u"].drop_null().to_pylist()
    assert all(str(uuid.UUID(text)) == text for text in drawn)


REFUSED = {
    "binary": pa.array([b"a"] * ROWS),
    "binary view": pa.array([b"a"] * ROWS).cast(pa.binary_view()),
    "fixed binary": pa.array([random.randbytes(8) for _ in range(ROWS)], pa.binary(8)),
    "large binary": pa.array([b"a"] * ROWS, pa.large_binary()),
    "list": pa.array([[1]] * ROWS),
    "struct": pa.array([{"a": i} for i in range(ROWS)]),
    "interval": pa.array([pa.MonthDayNano([1, i, 0]) for i in range(ROWS)]),
    "dictionary of bytes": pa.array([b"a", b"b"] * 150).dictionary_encode(),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("role", [None, "categorical"])
def test_what_cannot_be_synthesized_is_refused_alike_everywhere(
    name: str, role: str | None
) -> None:
    column = REFUSED[name]
    assert not is_learnable(column.type)
    assert "cannot be synthesized" in str(obstacle(pa.chunked_array([column])))
    schema = {"columns": {"c": role}} if role else None
    with pytest.raises(TableError, match=r"column 'c' has type .* cannot be synthesized"):
        Synthesizer(schema=schema).fit(pa.table({"k": K, "c": column}))


@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2000-01", periods=ROWS, freq="M"),
        pd.cut(np.linspace(0, 1, ROWS), 4),
        pd.arrays.SparseArray(K),
        np.ones(ROWS) + 1j,
        [2**70] * ROWS,
        [object()] * ROWS,
        [1, "a"] * (ROWS // 2),
        [b"a"] * ROWS,
        [[1]] * ROWS,
        [{1}] * ROWS,
    ],
    ids=lambda values: type(values).__name__,
)
def test_pandas_columns_that_cannot_be_read_are_named(values: object) -> None:
    frame = pd.DataFrame({"k": K, "odd": values})
    with pytest.raises(TableError, match="column 'odd'"):
        Synthesizer().fit(frame)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("odd", [2**70] * ROWS, dtype=pl.Int128),
        pl.Series("odd", [object()] * ROWS, dtype=pl.Object),
        pl.Series("odd", [b"a"] * ROWS),
        pl.Series("odd", [[1]] * ROWS),
    ],
    ids=lambda values: str(values.dtype),
)
def test_polars_columns_that_cannot_be_read_are_named(values: pl.Series) -> None:
    with pytest.raises(TableError, match="column 'odd'"):
        Synthesizer().fit(pl.DataFrame({"k": K}).with_columns(values))


def test_pandas_columns_that_share_a_name_are_told_so() -> None:
    with pytest.raises(TableError, match="columns share a name: 'a'"):
        Synthesizer().fit(pd.DataFrame(np.zeros((3, 2)), columns=["a", "a"]))
    with pytest.raises(TableError, match="columns share a name: '1'"):
        Synthesizer().fit(pd.DataFrame(np.zeros((3, 2)), columns=[1, "1"]))


@pytest.mark.parametrize(
    "labels",
    [
        pd.RangeIndex(3),
        pd.Index([2020, 2021, 2022], name="year"),
        pd.Index([0.5, 1.5, 2.5]),
        pd.Index(["a", 1, 2.5], dtype=object),
        pd.Index([True, "b", None], dtype=object),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["p", "q"]),
        pd.date_range("2024-01-01", periods=3),
        pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin"),
    ],
    ids=str,
)
def test_labels_that_are_no_texts_come_back(labels: pd.Index) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 3)), columns=labels)
    model = Synthesizer().fit(frame)
    for fitted in (model, Synthesizer.load(io.BytesIO(model.to_bytes()))):
        drawn = fitted.sample(20)
        assert list(drawn.columns) == list(labels)
        assert drawn.columns.names == labels.names
        assert drawn.columns.dtype == labels.dtype or isinstance(labels, pd.RangeIndex)


def test_infinite_categories_are_foreseen() -> None:
    values = pa.chunked_array([pa.array([1.0, np.inf] * 150).dictionary_encode()])
    assert obstacle(values) == "holds infinite values"
    assert obstacle(pa.chunked_array([pa.array([dt.date(2024, 1, 1)])])) is None

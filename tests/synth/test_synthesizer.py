from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import tabular
from tabular.errors import ConflictError, ConstraintError, InputError, TableError
from tabular.synth import Synthesizer, TableSchema

ENGINES = ["trees", "bayes"]


@pytest.fixture(scope="module", params=ENGINES)
def model(request: pytest.FixtureRequest, table: pa.Table) -> Synthesizer:
    return Synthesizer(request.param).fit(table)


def joined(model: Synthesizer, *args: object, **kwargs: object) -> pa.Table:
    return pa.Table.from_batches(model.sample_batches(*args, **kwargs))  # type: ignore[arg-type]


def test_schema_and_size_are_kept(model: Synthesizer, table: pa.Table) -> None:
    drawn = model.sample(4000)
    assert drawn.schema == table.schema
    assert drawn.num_rows == 4000


def test_roles_are_inferred(model: Synthesizer) -> None:
    roles = {name: column.role for name, column in model.table_schema.columns.items()}
    assert roles == {
        "order_id": "id",
        "code": "id",
        "weight": "numeric",
        "price": "integer",
        "grade": "categorical",
        "fragile": "boolean",
        "note": "text",
        "score": "numeric",
        "seen": "datetime",
        "due": "date",
        "country": "constant",
        "nothing": "constant",
    }


def test_marginals_and_dependence_survive(model: Synthesizer, table: pa.Table) -> None:
    real, drawn = table.to_pandas(), model.sample(6000).to_pandas()
    assert abs(real["weight"].mean() - drawn["weight"].mean()) < 0.3
    assert abs(real["fragile"].mean() - drawn["fragile"].mean()) < 0.04
    assert drawn[["weight", "price"]].corr().iloc[0, 1] > 0.9
    means = drawn.groupby("grade")["weight"].mean()
    assert means["low"] < means["mid"] < means["high"]


def test_missing_values_keep_their_pattern(model: Synthesizer) -> None:
    drawn = model.sample(5000).to_pandas()
    assert 0.15 < drawn["score"].isna().mean() < 0.25
    agree = (drawn["score"].isna() == drawn["note"].isna()).mean()
    assert agree > 0.9
    assert drawn["nothing"].isna().all()


def test_numbers_keep_their_decimals(model: Synthesizer) -> None:
    weight = model.sample(2000)["weight"].to_numpy()
    assert np.abs(weight * 100 - np.rint(weight * 100)).max() < 1e-6


def test_keys_are_unique_and_of_the_same_shape(model: Synthesizer, table: pa.Table) -> None:
    drawn = model.sample(40_000)
    assert pc.count_distinct(drawn["order_id"]).as_py() == 40_000
    assert pc.count_distinct(drawn["code"]).as_py() == 40_000
    assert pc.all(pc.match_substring_regex(drawn["code"], "^[0-9a-f]{6}-[0-9]{2}$")).as_py()


def test_rare_words_are_never_copied(model: Synthesizer, table: pa.Table) -> None:
    real = {note.split()[1] for note in table["note"].drop_null().to_pylist()}
    drawn = [note.split() for note in model.sample(2000)["note"].drop_null().to_pylist()]
    assert all(first == "Call" and last == "today" for first, _, last in drawn)
    assert not real & {middle for _, middle, _ in drawn}


def test_rare_categories_are_never_copied() -> None:
    names = ["common"] * 500 + ["frequent"] * 480 + [f"person {i}" for i in range(20)]
    drawn = Synthesizer().fit(pa.table({"name": names, "x": range(1000)})).sample(5000)
    assert set(drawn["name"].to_pylist()) == {"common", "frequent"}


def test_same_seed_same_rows_whatever_the_parts(model: Synthesizer) -> None:
    whole = joined(model, 40_000, seed=5)
    parts = [joined(model, 15_001, seed=5), joined(model, 24_999, seed=5, start=15_001)]
    assert pa.concat_tables(parts).equals(whole)
    assert not joined(model, 100, seed=6).equals(whole.slice(0, 100))


def test_parts_are_equal_under_conditions_too(model: Synthesizer) -> None:
    where = ["grade=mid", "weight>=5"]
    whole = joined(model, 300, seed=5, where=where)
    assert joined(model, 100, seed=5, where=where, start=200).equals(whole.slice(200))


def test_number_of_workers_does_not_matter(table: pa.Table) -> None:
    one = Synthesizer().fit(table, workers=1).to_bytes()
    two = Synthesizer().fit(table, workers=2).to_bytes()
    assert one == two


def test_saved_model_draws_the_same_rows(model: Synthesizer, tmp_path: Path) -> None:
    model.save(tmp_path / "m.model")
    again = Synthesizer.load(tmp_path / "m.model")
    assert again.sample(3000, seed=9).equals(model.sample(3000, seed=9))
    assert again.describe() == model.describe()
    assert again.to_bytes() == model.to_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]


@pytest.mark.parametrize(
    "where",
    [
        "grade=high",
        ["grade=high", "weight>=9.5"],
        ["price<1000", "fragile=true"],
        ["seen>=2024-02-01T00:00:00Z", "due<2024-03-01"],
        {"grade": "low", "fragile": False},
        {"score": None},
        "grade!=low",
    ],
)
def test_conditions_hold_in_every_row(model: Synthesizer, where: object) -> None:
    drawn = model.sample(500, where=where)  # type: ignore[arg-type]
    assert drawn.num_rows == 500
    if where == "grade=high":
        assert set(drawn["grade"].to_pylist()) == {"high"}
    if where == ["grade=high", "weight>=9.5"]:
        assert pc.min(drawn["weight"]).as_py() >= 9.5
    if where == ["price<1000", "fragile=true"]:
        assert pc.max(drawn["price"]).as_py() < 1000
        assert pc.all(drawn["fragile"]).as_py()
    if where == {"score": None}:
        assert drawn["score"].null_count == 500
    if where == "grade!=low":
        assert "low" not in drawn["grade"].to_pylist()


@pytest.mark.parametrize(
    ("where", "error", "says"),
    [
        ("grade=none", ConstraintError, "low"),
        ("weight>1e9", ConstraintError, "weight"),
        (["grade=low", "grade=high"], ConstraintError, "together"),
        (["grade=low", "weight>30"], ConstraintError, "fulfil"),
        ("grad=low", InputError, "did you mean 'grade'"),
        ("price=cheap", InputError, "int64"),
        ("price", InputError, "cut=Ideal"),
        ("note=x", InputError, "afresh"),
    ],
)
def test_impossible_conditions_say_so(
    model: Synthesizer, where: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        model.sample(10, where=where)  # type: ignore[arg-type]


def test_schema_ranges_and_constraints_hold(table: pa.Table) -> None:
    schema = {
        "columns": {"weight": {"role": "numeric", "minimum": 2, "maximum": 12}},
        "constraints": ["price >= weight", "price > 150"],
    }
    drawn = Synthesizer(schema=schema).fit(table).sample(3000).to_pandas()
    assert drawn["weight"].between(2, 12).all()
    assert (drawn["price"] >= drawn["weight"]).all()
    assert (drawn["price"] > 150).all()


def test_roles_can_be_overridden(table: pa.Table) -> None:
    schema = TableSchema.from_dict({"columns": {"order_id": "integer", "grade": "text"}})
    model = Synthesizer(schema=schema).fit(table)
    assert model.table_schema.columns["order_id"].role == "integer"
    assert set(model.sample(500)["grade"].to_pylist()) <= {"low", "mid", "high"}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_writing_a_file_equals_sampling(model: Synthesizer, tmp_path: Path, suffix: str) -> None:
    fractions: list[float] = []
    written = model.write(tmp_path / f"o.{suffix}", 20_000, seed=4, progress=fractions.append)
    assert written == 20_000
    assert fractions[-1] == 1.0
    if suffix == "parquet":
        assert pq.read_table(tmp_path / "o.parquet").equals(model.sample(20_000, seed=4))
    else:
        read = tabular.synth.tables.read_table(tmp_path / f"o.{suffix}")
        assert read["price"].equals(model.sample(20_000, seed=4)["price"])
    assert len(list(tmp_path.iterdir())) == 1


def test_failed_writing_leaves_no_file(model: Synthesizer, tmp_path: Path) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.write(tmp_path / "o.csv", 100, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_pandas_comes_back_with_its_types(table: pa.Table) -> None:
    frame = table.to_pandas()
    frame["kind"] = frame["grade"].astype("category")
    frame["maybe"] = pd.array([None if i % 7 == 0 else i % 5 for i in range(len(frame))], "Int64")
    model = Synthesizer().fit(frame)
    drawn = model.sample(200)
    assert isinstance(drawn, pd.DataFrame)
    assert drawn.dtypes.to_dict() == frame.dtypes.to_dict()
    again = Synthesizer.load(io.BytesIO(model.to_bytes())).sample(200)
    pd.testing.assert_frame_equal(drawn, again)


def test_polars_comes_back(table: pa.Table) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    drawn = Synthesizer().fit(frame).sample(100)
    assert isinstance(drawn, pl.DataFrame)
    assert drawn.schema == frame.schema


def test_copies_of_unique_rows_are_drawn_again() -> None:
    random = np.random.default_rng(3)
    columns = {f"c{i}": random.integers(0, 6, 2000) for i in range(6)}
    table = pa.table(columns)
    seen: dict[tuple[int, ...], int] = {}
    for row in zip(*columns.values(), strict=True):
        seen[tuple(row)] = seen.get(tuple(row), 0) + 1
    once = {row for row, count in seen.items() if count == 1}
    shares = {}
    for preset in ("fidelity", "balanced", "private"):
        drawn = Synthesizer(preset=preset).fit(table).sample(5000)
        rows = list(zip(*(column.to_pylist() for column in drawn.columns), strict=True))
        shares[preset] = sum(row in once for row in rows) / len(rows)
    assert shares["private"] == 0
    assert shares["private"] < shares["balanced"] < shares["fidelity"]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (pa.table({"a": pa.array([], pa.int64())}), "no rows"),
        (pa.table({"a": [1]}), "one row"),
        (pa.table({}), "no columns"),
        (pa.table([[1, 2], [3, 4]], names=["a", "a"]), "share a name"),
        (pa.table({"a": [1.0, float("inf"), 2.0]}), "infinite"),
        (pa.table({"a": [[1], [2]]}), "flatten"),
        (pa.table({"a": [b"x", b"y"]}), "flatten"),
        ([1, 2], "cannot read a table"),
    ],
)
def test_bad_tables_are_refused(bad: object, says: str) -> None:
    with pytest.raises(TableError, match=says):
        Synthesizer().fit(bad)


@pytest.mark.parametrize(
    "odd",
    [
        pa.table({"a": [7] * 50}),
        pa.table({"a": pa.nulls(50)}),
        pa.table({"a": pa.nulls(50, pa.float64()), "b": range(50)}),
        pa.table({"a": [None] * 49 + ["x"], "b": range(50)}),
        pa.table({"a": [1.5, None]}),
        pa.table({"a": [float("nan"), 1.0, 2.0] * 20}),
        pa.table({"a": pa.array([-(2**63), 2**63 - 1, 0] * 20)}),
        pa.table({"a": pa.array([2**64 - 1, 0, 5] * 20, pa.uint64())}),
        pa.table({"a": pa.array(["1.10", "2.20", "3.30"] * 20).cast(pa.decimal128(6, 2))}),
        pa.table({"": ["x", "y"] * 30, "a b=c": ["p", "q"] * 30}),
    ],
    ids=str,
)
@pytest.mark.parametrize("engine", ENGINES)
def test_odd_tables_work(engine: str, odd: pa.Table) -> None:
    drawn = Synthesizer(engine).fit(odd).sample(100)
    assert drawn.schema == odd.schema
    for name in odd.column_names:
        real = set(odd[name].to_pylist())
        if not any(value != value for value in real):
            assert set(drawn[name].to_pylist()) <= real | {None} or odd.num_columns > 1


def test_unfitted_and_wrong_arguments() -> None:
    with pytest.raises(ConflictError, match="fit"):
        Synthesizer().sample(3)
    with pytest.raises(InputError, match="bayes"):
        Synthesizer("forest")
    with pytest.raises(InputError, match="did you mean 'private'"):
        Synthesizer(preset="privat")
    with pytest.raises(InputError, match="seed"):
        Synthesizer(seed=-1)
    fitted = Synthesizer().fit(pa.table({"a": range(60)}))
    with pytest.raises(InputError, match="rows"):
        fitted.sample(-1)
    assert fitted.sample(0).num_rows == 0


def test_the_front_door_imports_lazily() -> None:
    assert tabular.Synthesizer is Synthesizer
    assert tabular.generate(pa.table({"a": range(60)}), 5).num_rows == 5
    with pytest.raises(AttributeError):
        _ = tabular.nonsense


def test_a_rare_condition_is_drawn_from_the_right_distribution() -> None:
    random = np.random.default_rng(1)
    kind = random.choice(["a", "b", "rare"], 20_000, p=[0.6, 0.39, 0.01])
    size = random.integers(0, 10, 20_000)
    size = np.where(kind == "rare", 7 + size % 3, size)
    model = Synthesizer("trees").fit(pa.table({"kind": kind, "size": size}))
    drawn = model.sample(3000, where="kind=rare")
    sizes = np.bincount(drawn["size"].to_numpy(), minlength=10) / 3000
    real = np.bincount(size[kind == "rare"], minlength=10) / (kind == "rare").sum()
    assert np.abs(sizes - real).sum() < 0.15
    high = model.sample(20_000, where="size>=8")
    expected = (kind[size >= 8] == "rare").mean()
    assert abs((np.array(high["kind"].to_pylist()) == "rare").mean() - expected) < 0.01


def test_a_table_larger_than_is_learnt_from_is_thinned_evenly() -> None:
    rows = 1_500_000
    model = Synthesizer().fit(pa.table({"half": np.arange(rows) % 10 // 5}))
    described = model.describe()
    assert (described["training_rows"], described["rows_learnt_from"]) == (rows, 1_000_000)
    assert abs(np.mean(model.sample(20_000)["half"].to_numpy()) - 0.5) < 0.02


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("smooth", [False, True])
def test_columns_that_must_be_equal_are(engine: str, smooth: bool) -> None:
    random = np.random.default_rng(5)
    net = random.lognormal(3, 1, 5000)
    net = net if smooth else net.round(2)
    table = pa.table({"net": net, "tax": net * 0.2, "copy": net, "k": random.integers(0, 3, 5000)})
    model = Synthesizer(engine, schema={"constraints": ["net = copy"]}).fit(table)
    drawn = model.sample(20_000, seed=1)
    assert drawn.num_rows == 20_000
    assert drawn["net"].equals(drawn["copy"])
    quantiles = [0.1, 0.5, 0.9]
    found = np.quantile(drawn["net"].to_numpy(), quantiles)
    assert found == pytest.approx(np.quantile(net, quantiles), rel=0.15)

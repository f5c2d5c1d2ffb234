"""The copy guard changes copies and nothing else: what is missing stays missing, spreads stay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tabular.synth import Synthesizer

ROWS = 2000


def column(kind: str, random: np.random.Generator, rows: int) -> np.ndarray:
    if kind == "decimals":
        return random.normal(size=rows).round(3)
    if kind == "continuous":
        return random.normal(50, 10, size=rows)
    return np.arange(rows) * 2 + 5


@pytest.mark.parametrize("preset", ["fidelity", "balanced", "private"])
@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("rows", [300, ROWS])
@pytest.mark.parametrize("kind", ["decimals", "continuous", "all different integers"])
def test_missing_share_and_spread_stay(kind: str, rows: int, share: float, preset: str) -> None:
    random = np.random.default_rng(7)
    values = column(kind, random, rows)
    absent = random.random(rows) < share
    table = pa.table({"a": pa.array(values, mask=absent)})
    schema = {"columns": {"a": "integer" if kind.endswith("integers") else "numeric"}}
    drawn = Synthesizer(preset=preset, schema=schema).fit(table).sample(2000, seed=1)["a"]
    assert drawn.null_count / 2000 == pytest.approx(absent.mean(), abs=0.05)
    known = drawn.drop_null().to_numpy()
    real = values[~absent]
    assert known.mean() == pytest.approx(real.mean(), abs=0.2 * real.std())
    assert known.std() == pytest.approx(real.std(), rel=0.2)
    assert real.min() - 1e-9 <= known.min()
    assert known.max() <= real.max() + 1e-9


def test_rows_that_could_be_moved_are_no_copies() -> None:
    random = np.random.default_rng(3)
    values = random.normal(50, 10, size=ROWS)
    real = pa.table({"a": values, "b": random.normal(size=ROWS)})
    drawn = Synthesizer(preset="private").fit(real).sample(2000, seed=1)
    own = set(zip(*(real[name].to_pylist() for name in "ab"), strict=True))
    assert not own & set(zip(*(drawn[name].to_pylist() for name in "ab"), strict=True))


@pytest.mark.parametrize("engine", ["trees", "bayes"])
def test_continuous_columns_stay_where_they_are(engine: str) -> None:
    random = np.random.default_rng(0)
    x = random.normal(50, 10, 4000)
    y = 3 * x + random.normal(0, 5, 4000)
    drawn = Synthesizer(engine).fit(pa.table({"x": x, "y": y})).sample(4000, seed=1)
    for name, real in (("x", x), ("y", y)):
        assert drawn[name].to_numpy().mean() == pytest.approx(real.mean(), abs=0.05 * real.std())
    found = np.corrcoef(drawn["x"].to_numpy(), drawn["y"].to_numpy())[0, 1]
    assert found == pytest.approx(np.corrcoef(x, y)[0, 1], abs=0.05)


def test_the_same_rows_whatever_the_chunks() -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=500).round(2)
    table = pa.table({"a": pa.array(values, mask=random.random(500) < 0.2), "b": values.round()})
    model = Synthesizer().fit(table)
    whole = model.sample(3000, seed=4)
    assert model.sample(1000, seed=4).equals(whole.slice(0, 1000))
    later = pa.Table.from_batches(model.sample_batches(1000, seed=4, start=1500))
    assert later.equals(whole.slice(1500, 1000).combine_chunks()) or (
        later.to_pylist() == whole.slice(1500, 1000).to_pylist()
    )


@pytest.mark.parametrize("engine", ["trees", "bayes"])
@pytest.mark.parametrize(("preset", "floor"), [("fidelity", 5), ("balanced", 10), ("private", 25)])
def test_numbers_that_stand_out_are_not_drawn(engine: str, preset: str, floor: int) -> None:
    random = np.random.default_rng(1)
    values = np.round(random.normal(100, 10, 3000), 2)
    ages = random.integers(20, 60, 3000)
    values[:3], ages[:3] = [987654.32, 876543.21, -55555.55], [117, 118, 3]
    table = pa.table({"salary": values, "age": ages})
    model = Synthesizer(engine, preset).fit(table)
    drawn = model.sample(20_000, seed=1)
    for name, real in (("salary", values), ("age", ages)):
        ascending = np.sort(real)
        found = drawn[name].to_numpy()
        assert ascending[floor - 1] <= found.min()
        assert found.max() <= ascending[-floor]
    assert b"987654" not in model.to_bytes()
    assert model.describe()["privacy"]["rows_at_each_extreme"] == floor


def test_an_extreme_that_many_rows_hold_is_kept() -> None:
    values = [0] * 40 + list(range(1, 1000)) + [99999] * 40
    drawn = Synthesizer().fit(pa.table({"a": values, "b": values})).sample(5000, seed=1)
    assert (min(drawn["a"].to_pylist()), max(drawn["a"].to_pylist())) == (0, 99999)


def narrow_tables() -> dict[str, pa.Table]:
    """Tables of two to four columns, in which many drawn rows are copies by chance."""
    random = np.random.default_rng(0)
    rows = 20_000
    heaped = np.round(random.gamma(2, 3, rows), 1)
    heaped[random.random(rows) < 0.3] = 0
    smooth = np.where(random.random(rows) < 0.6, 0, random.gamma(2, 3, rows))
    return {
        "heaped and small": pa.table({"v": heaped, "k": random.integers(0, 3, rows)}),
        "heaped and three small": pa.table(
            {
                "v": heaped,
                "k": random.integers(0, 3, rows),
                "w": random.integers(0, 5, rows),
                "c": random.choice(list("abcdef"), rows),
            }
        ),
        "heaped and cents": pa.table({"v": smooth, "u": np.round(random.normal(50, 10, rows), 2)}),
        "counts": pa.table(
            {
                "v": np.where(random.random(rows) < 0.6, 0, random.poisson(30, rows)),
                "spend": np.where(
                    random.random(rows) < 0.5, 0, np.round(random.gamma(2, 20, rows))
                ),
                "sex": random.choice(list("MF"), rows),
                "region": random.choice(list("abcdefgh"), rows),
            }
        ),
    }


NARROW = narrow_tables()


def own_rows(table: pa.Table) -> list[tuple[object, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize("engine", ["trees", "bayes"])
@pytest.mark.parametrize("preset", ["fidelity", "balanced", "private"])
@pytest.mark.parametrize("name", NARROW)
def test_narrow_tables_keep_their_marginals(name: str, preset: str, engine: str) -> None:
    table = NARROW[name]
    real = table["v"].to_numpy()
    model = Synthesizer(engine, preset).fit(table.slice(0, 10_000))
    drawn = model.sample(200_000, seed=1)["v"].to_numpy()
    real = real[:10_000]
    assert drawn.mean() == pytest.approx(real.mean(), rel=0.015)
    assert (drawn == 0).mean() == pytest.approx((real == 0).mean(), abs=0.01)
    assert np.quantile(drawn, 0.95) == pytest.approx(np.quantile(real, 0.95), rel=0.03)


@pytest.mark.parametrize("engine", ["trees", "bayes"])
@pytest.mark.parametrize("name", NARROW)
def test_narrow_tables_are_copied_less_than_chance_would(name: str, engine: str) -> None:
    half, other = NARROW[name].slice(0, 10_000), NARROW[name].slice(10_000)
    counts: dict[tuple[object, ...], int] = {}
    for row in own_rows(half):
        counts[row] = counts.get(row, 0) + 1
    chance = np.mean([counts.get(row) == 1 for row in own_rows(other)])
    for preset, most in (("balanced", chance), ("private", 0.005)):
        drawn = Synthesizer(engine, preset).fit(half).sample(20_000, seed=1)
        assert np.mean([counts.get(row) == 1 for row in own_rows(drawn)]) <= most


@pytest.mark.parametrize("preset", ["balanced", "private"])
def test_copies_exchange_values_within_their_category_of_missing(preset: str) -> None:
    random = np.random.default_rng(2)
    rows = 5000
    amount = random.integers(0, 400, rows)
    absent = random.random(rows) < 0.3
    table = pa.table(
        {
            "city": [f"c{z}" for z in random.zipf(1.6, rows) % 60],
            "amount": pa.array(amount, mask=absent),
        }
    )
    drawn = Synthesizer(preset=preset).fit(table).sample(40_000, seed=1)
    assert drawn["amount"].null_count / 40_000 == pytest.approx(absent.mean(), abs=0.01)
    known = drawn["amount"].drop_null().to_numpy()
    assert known.mean() == pytest.approx(amount[~absent].mean(), rel=0.02)

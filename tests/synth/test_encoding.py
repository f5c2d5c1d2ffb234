"""A column's numbers keep their own scale: no decimal is lost, and none is made up."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tabular.synth import Synthesizer
from tabular.synth.encoding import encode

ROWS = 4000
RANDOM = np.random.default_rng(5)
CENTS = np.round(10 ** RANDOM.uniform(0, 12, ROWS), 2)


def quantiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])


@pytest.mark.parametrize("engine", ["trees", "bayes"])
@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(size=ROWS) * 5e-9,
        RANDOM.uniform(4e-9, 6e-9, ROWS),
        1 + RANDOM.normal(size=ROWS) * 1e-8,
    ],
    ids=["around zero", "small", "close to one"],
)
def test_small_differences_are_kept(engine: str, values: np.ndarray) -> None:
    table = pa.table({"v": values, "k": RANDOM.integers(0, 3, ROWS)})
    drawn = Synthesizer(engine).fit(table).sample(ROWS, seed=1)["v"].to_numpy()
    spread = values.std()
    assert quantiles(drawn) == pytest.approx(quantiles(values), abs=0.15 * spread)
    assert drawn.std() == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("engine", ["trees", "bayes"])
def test_a_range_of_many_magnitudes_keeps_its_fractions(engine: str) -> None:
    values = 10 ** RANDOM.uniform(-4, 13.5, ROWS)
    table = pa.table({"v": values, "k": RANDOM.integers(0, 3, ROWS)})
    drawn = Synthesizer(engine).fit(table).sample(ROWS, seed=1)["v"].to_numpy()
    small = drawn[drawn < 100]
    assert len(small) > 0.25 * ROWS
    assert (small != np.rint(small)).mean() > 0.9


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        (CENTS, 2),
        (np.array([0.1 + 0.2, 1.1, 2.2]), 1),
        (np.array([40.123456, 40.5, 41.0]), 6),
        (np.array([1.0, 2.0, 1e15]), 0),
        (np.array([1.25, 2.5, 1000.75], np.float32), 2),
        (np.array([0.1, 20.09, 1234.56], np.float32), 2),
        (np.array([1e-9, 2e-9, 3.5e-9]), -1),
        (np.array([1 / 3, 2 / 3]), -1),
    ],
)
def test_decimals_are_those_that_give_every_value_back(values: np.ndarray, decimals: int) -> None:
    codec, index = encode("v", pa.array(values), ordered=True)
    assert codec.decimals == decimals
    assert codec.numbers is not None
    back = codec.decode_numbers(codec.number_of_index.take(index))
    assert back.to_numpy() == pytest.approx(values, rel=2e-7 if values.itemsize == 4 else 1e-15)


@pytest.mark.parametrize("engine", ["trees", "bayes"])
@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (np.int64, -(2**63), 2**63 - 1),
        (np.int64, -9 * 10**18, 9 * 10**18),
        (np.uint64, 0, 2**64 - 1),
        (np.uint64, 2**63, 2**63 + 10**6),
    ],
)
def test_whole_numbers_of_any_range_stay_within_it(
    engine: str, kind: type, low: int, high: int
) -> None:
    values = RANDOM.integers(low, high, ROWS, kind, endpoint=True)
    table = pa.table({"v": values, "k": RANDOM.integers(0, 3, ROWS)})
    drawn = Synthesizer(engine).fit(table).sample(ROWS, seed=1)["v"].to_numpy()
    assert values.min() <= drawn.min() <= drawn.max() <= values.max()
    scale = float(high - low)
    real = (values.astype(np.float64) - low) / scale
    assert quantiles((drawn.astype(np.float64) - low) / scale) == pytest.approx(
        quantiles(real), abs=0.04
    )


def test_large_unsigned_numbers_keep_every_digit() -> None:
    values = np.uint64(2**63) + np.arange(0, 2000, 2).astype(np.uint64)
    codec, index = encode("v", pa.array(values), ordered=True)
    assert codec.step == 2
    assert codec.decode_index(index.astype(np.intp)).to_numpy().tolist() == values.tolist()
    assert codec.decode_numbers(codec.numbers).to_numpy().tolist() == values.tolist()

"""What one column decides of another in the real table, it decides in the synthetic one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.synth import Synthesizer
from tabular.synth.engines import PRESETS


def hierarchy(seed: int, rows: int) -> pa.Table:
    """Cities within countries, the countries' codes, and columns beside them that vary freely.

    The rarest countries have a few dozen rows, less than a leaf of a tree.
    """
    random = np.random.default_rng(seed)
    cities = int(random.integers(8, 40))
    country_of = np.sort(random.integers(0, 9, cities))
    share = random.dirichlet(np.full(cities, 0.7)) * 0.7 + 0.3 / cities
    city = random.choice(cities, rows, p=share)
    country = country_of[city]
    return pa.table(
        {
            "age": np.clip(random.normal(40 + 3 * country, 12), 18, 90).astype(np.int64),
            "member": random.random(rows) < 0.3,
            "city": [f"city {one}" for one in city],
            "country": [f"country {one}" for one in country],
            "prefix": pa.array((country * 7 + 20).astype(np.int64)),
        }
    )


def pairs(table: pa.Table, one: str, other: str) -> set[tuple[object, object]]:
    return set(zip(table[one].to_pylist(), table[other].to_pylist(), strict=True))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(PRESETS)))
def test_no_pair_is_drawn_that_the_real_table_would_contradict(seed: int, preset: str) -> None:
    real = hierarchy(seed, 4000)
    drawn = Synthesizer("trees", preset).fit(real).sample(4000, seed=seed)
    for one, other in [("country", "prefix"), ("city", "country")]:
        assert pairs(drawn, one, other) <= pairs(real, one, other)


@pytest.mark.parametrize("column", ["city", "country"])
def test_a_condition_on_such_a_column_is_met_as_quickly_as_any(column: str) -> None:
    real = hierarchy(3, 4000)
    model = Synthesizer("trees").fit(real)
    wanted = real[column][0].as_py()
    drawn = model.sample(300, seed=1, where={column: wanted})
    assert set(drawn[column].to_pylist()) == {wanted}
    assert pairs(drawn, "city", "country") <= pairs(real, "city", "country")


def test_what_only_happens_to_fit_is_no_rule() -> None:
    """A nearly unique column decides everything in the table at hand, and nothing beyond it."""
    random = np.random.default_rng(5)
    rows = 2000
    real = pa.table(
        {
            "amount": random.choice(rows // 2, rows).astype(np.int64),
            "flag": random.random(rows) < 0.002,
            "grade": random.choice(["a", "b", "c"], rows),
        }
    )
    table = Synthesizer("trees", "balanced").fit(real).sample(20_000, seed=1)
    assert len(pairs(table, "flag", "grade")) >= 5
    joint = [amount for amount, flag in pairs(table, "amount", "flag") if not flag]
    assert len(joint) > 900

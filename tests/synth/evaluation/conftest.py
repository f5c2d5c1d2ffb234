"""Small tables with every kind of column, made from a seed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

MakeTable = Callable[[int, int], pa.Table]


@pytest.fixture
def make_table() -> MakeTable:
    """Rows of one population; another seed gives other rows of the same."""
    return _table


@pytest.fixture
def shuffle() -> Callable[[pa.Table, int], pa.Table]:
    """The same columns, each in an order of its own: shapes kept, ties gone."""

    def shuffled(table: pa.Table, seed: int) -> pa.Table:
        generator = np.random.default_rng(seed)
        columns = {
            name: table[name].take(pa.array(generator.permutation(len(table))))
            for name in table.column_names
        }
        return pa.table(columns)

    return shuffled


def _table(rows: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    size = generator.normal(size=rows)
    price = np.round(np.exp(size) * 100 + generator.normal(size=rows), 2)
    kind = np.array(["small", "middle", "large"])[np.digitize(size, [-0.5, 0.5])]
    weight = np.where(generator.random(rows) < 0.1, np.nan, size * 2)
    days = np.datetime64("2020-01-01") + generator.integers(0, 1500, rows)
    hours = generator.integers(0, 24, rows)
    return pa.table(
        {
            "size": size,
            "weight": pa.array(weight, from_pandas=True),
            "kind": kind,
            "day": pa.array(days.astype("datetime64[D]")),
            "clock": pa.array([dt.time(int(hour), 30) for hour in hours]),
            "flag": pa.array(size > 1),
            "count": pa.array(generator.poisson(3, rows)),
            "void": pa.nulls(rows),
            "same": np.full(rows, 7),
            "price": price,
        }
    )

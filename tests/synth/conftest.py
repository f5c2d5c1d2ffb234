"""Small tables that hold every kind of column."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest


def mixed_table(rows: int, seed: int = 0) -> pa.Table:
    """A table with one column of each role, some missing values, and two that depend."""
    random = np.random.default_rng(seed)
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    weight = random.gamma(2.0, 3.0, rows).round(2)
    grade = np.array(["low", "mid", "high"])[np.digitize(weight, [4, 8])]
    blank = random.random(rows) < 0.2
    return pa.table(
        {
            "order_id": pa.array(np.arange(1000, 1000 + rows)),
            "code": [
                f"{random.integers(16**6):06x}-{random.integers(100):02d}" for _ in range(rows)
            ],
            "weight": pa.array(weight),
            "price": pa.array(np.rint(weight * 100 + random.normal(0, 20, rows)).astype(np.int64)),
            "grade": pa.array(grade.tolist()),
            "fragile": pa.array(random.random(rows) < 0.3),
            "note": [
                None if gone else f"Call {''.join(random.choice(list('abcdefgh'), 7))} today"
                for gone in blank
            ],
            "score": pa.array(random.normal(size=rows), mask=blank),
            "seen": pa.array(
                [start + dt.timedelta(hours=int(h)) for h in random.integers(0, 2000, rows)],
                pa.timestamp("us", "Europe/Berlin"),
            ),
            "due": pa.array(
                [dt.date(2024, 1, 1) + dt.timedelta(int(d)) for d in random.integers(0, 90, rows)]
            ),
            "country": pa.array(["NL"] * rows),
            "nothing": pa.nulls(rows, pa.string()),
        }
    )


@pytest.fixture(scope="session")
def table() -> pa.Table:
    """3,000 mixed rows."""
    return mixed_table(3000)

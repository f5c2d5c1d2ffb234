"""Whatever table comes, an engine gives rows of the same schema and never a value it dropped."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.synth import Synthesizer
from tabular.synth.encoding import encode
from tabular.synth.engines import BLOCK_ROWS, block_rows, engine_names
from tabular.synth.growth import grow
from tabular.synth.routing import Router

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
WORDS = st.sampled_from(["a", "b", "c", "\u00e9", "", "long word"])


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(2, 60))
    kinds = draw(st.lists(st.sampled_from("ifsbn"), min_size=1, max_size=5))
    elements = {
        "i": st.integers(-(2**40), 2**40),
        "f": FLOATS,
        "s": WORDS,
        "b": st.booleans(),
        "n": st.none(),
    }
    types = {
        "i": pa.int64(),
        "f": pa.float64(),
        "s": pa.string(),
        "b": pa.bool_(),
        "n": pa.float64(),
    }
    columns = {}
    for place, kind in enumerate(kinds):
        cells = st.lists(st.none() | elements[kind], min_size=rows, max_size=rows)
        columns[f"{kind}{place}"] = pa.array(draw(cells), types[kind])
    return pa.table(columns)


@settings(max_examples=40, deadline=None)
@given(tables(), st.sampled_from(["trees", "bayes"]), st.sampled_from(["fidelity", "private"]))
def test_any_table_gives_rows_of_its_schema(table: pa.Table, engine: str, preset: str) -> None:
    model = Synthesizer(engine, preset).fit(table)
    drawn = model.sample(200, seed=1)
    assert drawn.schema == table.schema
    assert Synthesizer.load(io.BytesIO(model.to_bytes())).sample(200, seed=1).equals(drawn)
    floor = model.describe()["privacy"]["rare_category_floor"]
    for name in table.column_names:
        rows = Counter(table[name].drop_null().to_pylist())
        if name[0] == "b":
            assert set(drawn[name].to_pylist()) <= {*rows, None}
        if name[0] == "s" and len(rows) > 1:
            assert not {t for t in rows if rows[t] < floor} & set(drawn[name].to_pylist())
        if name[0] in "if" and table[name].null_count < table.num_rows:
            seen = [value for value in table[name].to_pylist() if value is not None]
            values = [value for value in drawn[name].to_pylist() if value is not None]
            if model.table_schema.columns[name].role != "id":
                margin = 1e-6 * max(abs(min(seen)), abs(max(seen)), 1)
                assert all(min(seen) - margin <= v <= max(seen) + margin for v in values)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_a_tree_keeps_its_smallest_leaf_and_routes_its_own_rows(seed: int, leaf: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 256, (600, 4), dtype=np.uint8)
    codes[:, 3] = codes[:, 0] // 16 + codes[:, 1] // 64
    tree = grow(codes, np.ascontiguousarray(codes[:, 3]), np.arange(3), leaf)
    leaves = np.flatnonzero(tree.feature < 0)
    leaves = leaves[np.argsort(tree.start[leaves])]
    assert tree.size[leaves].min() >= leaf
    assert sorted(tree.rows) == list(range(600))
    number = np.zeros(len(tree.feature), np.int64)
    number[leaves] = np.arange(len(leaves))
    router = Router(tree.feature, tree.threshold, tree.left, number)
    found = router.leaves(np.ascontiguousarray(codes.T))
    assert (found[tree.rows] == np.repeat(np.arange(len(leaves)), tree.size[leaves])).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | FLOATS, min_size=1, max_size=400))
def test_encoding_is_exact_and_fits_a_byte(values: list[float | None]) -> None:
    codec, index = encode("x", pa.array(values, pa.float64()), ordered=True)
    assert codec.code_of_index.max(initial=0) <= 255
    back = codec.decode_index(index.astype(np.intp))
    assert back.to_pylist() == values


@pytest.mark.parametrize(
    ("columns", "rows"), [(1, BLOCK_ROWS), (128, BLOCK_ROWS), (129, 8192), (5000, 256)]
)
def test_wide_tables_have_shorter_blocks(columns: int, rows: int) -> None:
    assert block_rows(columns) == rows


def test_engines_are_found_by_entry_point() -> None:
    assert engine_names() == ["bayes", "trees"]

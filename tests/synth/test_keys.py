"""Keys made afresh, up to the edges of their types."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.errors import TableError
from tabular.synth import Synthesizer
from tabular.synth.keys import KeyMaker

INTEGERS = [pa.int8(), pa.uint8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]


def bounds(kind: pa.DataType) -> tuple[int, int]:
    bits = kind.bit_width
    return (
        (0, 2**bits - 1) if str(kind).startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )


def test_keys_near_2_to_the_64() -> None:
    keys = pa.array([2**64 - 1 - i for i in range(500)], pa.uint64())
    model = Synthesizer().fit(pa.table({"id": keys, "n": [i % 7 for i in range(500)]}))
    drawn = model.sample(2000)["id"]
    assert drawn.type == pa.uint64()
    assert len(set(drawn.to_pylist())) == 2000


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(INTEGERS), st.data(), st.integers(0, 9))
def test_keys_are_unique_in_any_type_and_parts_join(
    kind: pa.DataType, data: st.DataObject, seed: int
) -> None:
    low, high = bounds(kind)
    edges = st.integers(low, high) | st.integers(low, low + 9) | st.integers(high - 9, high)
    values = data.draw(st.lists(edges, min_size=2, max_size=30, unique=True))
    maker = KeyMaker.learn("id", pa.chunked_array([pa.array(values, kind)]))
    whole = maker.make(0, 250, seed, kind).to_pylist()
    assert len(set(whole)) == 250
    cut = data.draw(st.integers(0, 250))
    parts = [maker.make(0, cut, seed, kind), maker.make(cut, 250 - cut, seed, kind)]
    assert [key for part in parts for key in part.to_pylist()] == whole


def test_more_keys_than_a_type_has_are_refused() -> None:
    maker = KeyMaker.learn("id", pa.chunked_array([pa.array(range(100), pa.uint8())]))
    assert sorted(maker.make(0, 256, 0, pa.uint8()).to_pylist()) == list(range(256))
    with pytest.raises(TableError, match="no 257 different values"):
        maker.make(0, 257, 0, pa.uint8())

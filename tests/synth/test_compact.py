"""Thrift's compact protocol: what is read is written back byte for byte."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tabular.synth import compact
from tabular.synth.compact import Struct

INTEGERS = st.integers(-(2**63), 2**63 - 1)
PLAIN = {
    compact.BYTE: st.integers(0, 255),
    compact.I16: st.integers(-(2**15), 2**15 - 1),
    compact.I32: st.integers(-(2**31), 2**31 - 1),
    compact.I64: INTEGERS,
    compact.DOUBLE: st.binary(min_size=8, max_size=8),
    compact.BINARY: st.binary(max_size=300),
}


def typed(depth: int) -> st.SearchStrategy[tuple[int, object]]:
    kinds = [st.tuples(st.just(kind), values) for kind, values in PLAIN.items()]
    if depth:
        kinds += [
            st.tuples(st.just(compact.STRUCT), structs(depth - 1)),
            st.tuples(st.sampled_from([compact.LIST, compact.SET]), lists(depth - 1)),
            st.tuples(st.just(compact.MAP), maps()),
        ]
    return st.one_of(kinds)


def structs(depth: int) -> st.SearchStrategy[Struct]:
    truths = st.tuples(st.sampled_from([compact.TRUE, compact.FALSE]), st.none())
    numbers = st.integers(-40, 400)
    return st.dictionaries(numbers, typed(depth) | truths, max_size=6).map(Struct)


def lists(depth: int) -> st.SearchStrategy[tuple[int, list[object]]]:
    def of(kind: int) -> st.SearchStrategy[tuple[int, list[object]]]:
        values = structs(depth) if kind == compact.STRUCT else PLAIN[kind]
        return st.tuples(st.just(kind), st.lists(values, max_size=20))

    return st.sampled_from([*PLAIN, compact.STRUCT]).flatmap(of)


def maps() -> st.SearchStrategy[tuple[int, int, list[tuple[object, object]]]]:
    pairs = st.lists(st.tuples(PLAIN[compact.BINARY], INTEGERS), min_size=1, max_size=20)
    return st.tuples(st.just(compact.BINARY), st.just(compact.I64), pairs)


@given(structs(3))
def test_what_is_written_is_read_again(value: Struct) -> None:
    raw = compact.encode(value)
    assert compact.decode(raw) == value
    assert compact.encode(compact.decode(raw)) == raw


@given(st.binary(max_size=200))
def test_any_bytes_are_a_struct_or_an_error(raw: bytes) -> None:
    try:
        found = compact.decode(raw)
    except ValueError:
        return
    assert compact.decode(compact.encode(found)) == found


@given(structs(2), st.data())
def test_half_a_struct_is_an_error(value: Struct, data: st.DataObject) -> None:
    raw = compact.encode(value)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ValueError, match="end is missing"):
        compact.decode(raw[:cut])


def test_a_nest_of_structs_ends() -> None:
    with pytest.raises(ValueError, match="deeply"):
        compact.decode(bytes([0x1C]) * 10_000)


def test_a_footer_by_arrow_is_written_as_arrow_wrote_it() -> None:
    sink = io.BytesIO()
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None], "c": [[1.5], None, [2.5, None]]})
    parquet.write_table(table, sink, write_page_index=True)
    raw = sink.getvalue()
    footer = raw[-8 - int.from_bytes(raw[-8:-4], "little") : -8]
    assert compact.encode(compact.decode(footer)) == footer

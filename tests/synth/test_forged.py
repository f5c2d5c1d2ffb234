"""A well-sealed file with a wrong header: refused as a model file, or it draws; never a crash."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import struct
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabular.errors import ConstraintError, ModelFileError
from tabular.synth import Synthesizer

PREFIX = struct.Struct("<18sIQ")
ROWS = 300


def frame() -> pd.DataFrame:
    random = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "a": random.integers(0, 10**6, ROWS),
            "s": random.choice(["a", "b"], ROWS),
            "id": [f"K{i:05d}" for i in range(ROWS)],
            "f": random.normal(size=ROWS),
            "p": np.round(random.normal(size=ROWS), 2),
            "t": [f"n {i} w" for i in range(ROWS)],
            "d": pd.date_range("2024-01-01", periods=ROWS),
            "c": pd.Categorical(random.integers(0, 5, ROWS)),
            7: random.random(ROWS) < 0.5,
        }
    )


@pytest.fixture(scope="module", params=["trees", "bayes"])
def raw(request: pytest.FixtureRequest) -> bytes:
    schema = {"columns": {"a": {"role": "integer", "minimum": 5}}, "constraints": ["f < 3"]}
    return Synthesizer(request.param, schema=schema).fit(frame()).to_bytes()


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    _, _, length = PREFIX.unpack_from(data)
    return json.loads(data[PREFIX.size : PREFIX.size + length]), data[PREFIX.size + length : -32]


def sealed(header: dict[str, Any], payload: bytes, like: bytes) -> bytes:
    magic, version, _ = PREFIX.unpack_from(like)
    head = json.dumps(header).encode()
    body = PREFIX.pack(magic, version, len(head)) + head + payload
    return body + hashlib.sha256(body).digest()


def paths(part: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(part, dict):
        keys: list[Any] = list(part)
    else:
        keys = list(range(len(part))) if isinstance(part, list) else []
    return [q for key in keys for q in ((*before, key), *paths(part[key], (*before, key)))]


def changed(header: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    found = copy.deepcopy(header)
    part: Any = found
    for key in path[:-1]:
        part = part[key]
    if value is GONE:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return found


def try_out(data: bytes) -> str:
    try:
        model = Synthesizer.load(io.BytesIO(data))
    except ModelFileError:
        return "refused"
    try:
        assert len(model.sample(20)) == 20
        model.describe()
    except (ModelFileError, ConstraintError):  # a condition may be changed to one without rows
        return "refused"
    return "drawn"


GONE = object()
VALUES = [None, -1, 0, 1, 10**30, 2**31, 2**64, 1e308, -1.5, True, "x", "", "7", [], {}, [1], GONE]


def test_the_file_as_it_is_draws(raw: bytes) -> None:
    assert try_out(sealed(*header_of(raw), like=raw)) == "drawn"


def test_every_part_of_the_header_with_odd_values(raw: bytes) -> None:
    """A ninth of the pairs, each value with a ninth of the parts."""
    header, payload = header_of(raw)
    known = paths({name: part for name, part in header.items() if name != "arrays"})
    for place, path in enumerate(known):
        for value in VALUES[place % 9 :: 9]:
            try_out(sealed(changed(header, path, value), payload, raw))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 10**6),
    st.sampled_from(VALUES)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)
def test_any_part_of_the_header_may_be_anything(raw: bytes, place: int, value: Any) -> None:
    header, payload = header_of(raw)
    known = paths(header)
    forged = changed(header, known[place % len(known)], value)
    try:
        json.dumps(forged, allow_nan=False)
    except ValueError:
        return
    try_out(sealed(forged, payload, raw))


@pytest.mark.parametrize("rows", [1, 2])
def test_arrays_of_another_shape_are_refused_or_drawn(raw: bytes, rows: int) -> None:
    header, payload = header_of(raw)
    for number, entry in enumerate(header["arrays"]):
        size = int(np.prod(entry["shape"]))
        if size % rows == 0 and number % 3 == rows:
            for shape in ([rows, size // rows], [size // rows, rows]):
                forged = changed(header, ("arrays", number, "shape"), shape)
                try_out(sealed(forged, payload, raw))


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "int32", "int64", "uint64", "float64"])
def test_arrays_of_another_type_are_refused_or_drawn(raw: bytes, kind: str) -> None:
    header, payload = header_of(raw)
    for number, entry in enumerate(header["arrays"]):
        size = int(np.prod(entry["shape"])) * np.dtype(entry["type"]).itemsize
        mine = (number + len(kind)) % 4 == 0
        if mine and size % np.dtype(kind).itemsize == 0 and len(entry["shape"]) == 1:
            forged = changed(header, ("arrays", number, "type"), kind)
            forged["arrays"][number]["shape"] = [size // np.dtype(kind).itemsize]
            try_out(sealed(forged, payload, raw))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("state",), None),
        (("state", "order"), "012"),
        (("keys",), None),
        (("codecs", 0, "origin"), "x"),
        (("codecs", 0, "origin"), 10**30),
        (("codecs", 0, "step"), "x"),
        (("codecs", 0, "decimals"), 10**30),
        (("kind",), "xls"),
        (("engine",), "none such"),
        (("preset",), "none such"),
        (("seed",), -1),
        (("schema", "columns", "a", "minimum"), "soon"),
        (("schema", "constraints"), ["nothing < 3"]),
    ],
)
def test_a_wrong_header_is_a_damaged_model(
    raw: bytes, path: tuple[Any, ...], value: object
) -> None:
    header, payload = header_of(raw)
    with pytest.raises(ModelFileError):
        Synthesizer.load(io.BytesIO(sealed(changed(header, path, value), payload, raw)))


def test_a_table_of_arrow_is_checked_too() -> None:
    data = Synthesizer().fit(pa.table({"u": pa.array(range(0, 900, 3), pa.uint64())})).to_bytes()
    header, payload = header_of(data)
    for path in paths({"codecs": header["codecs"], "keys": header["keys"]}):
        for value in VALUES:
            try_out(sealed(changed(header, path, value), payload, data))

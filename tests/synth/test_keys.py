"""Keys made afresh, up to the edges of their types."""

from __future__ import annotations

import io
import random
import re
import string
import uuid

import numpy as np
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


def made(keys: list[str], rows: int, seed: int = 5) -> list[str]:
    maker = KeyMaker.learn("id", pa.chunked_array([pa.array(keys)]), 10)
    found: list[str] = maker.make(0, rows, seed, pa.string()).to_pylist()
    cut = rows // 3
    parts = [maker.make(0, cut, seed, pa.string()), maker.make(cut, rows - cut, seed, pa.string())]
    assert [key for part in parts for key in part.to_pylist()] == found
    again = KeyMaker.from_dict(maker.to_dict(), maker.known)
    assert again.make(cut, 50, seed, pa.string()).to_pylist() == found[cut : cut + 50]
    assert len(set(found)) == rows
    assert not set(keys) & set(found)
    return found


def kinds() -> dict[str, tuple[list[str], str]]:
    """Real keys, and what made ones must match."""
    lot = random.Random(1)
    pick = lot.choice
    return {
        "prefix": ([f"CUST-{i:05d}" for i in range(1, 2001)], r"CUST-\d{5}"),
        "growing": ([f"CUST-{i}" for i in range(2000)], r"CUST-(\d|[1-9]\d+)"),
        "email": (
            [
                f"{pick(['anna', 'bob', 'carla'])}.{pick(['smith', 'lee'])}{i}"
                f"@{pick(['gmail.com', 'acme.org', 'x.io'])}"
                for i in range(2000)
            ],
            r"(anna|bob|carla)\.(smith|lee)\d+@(gmail|acme|x)\.(com|org|io)",
        ),
        "url": (
            [f"https://a.example.com/{pick(['b', 'cc'])}/{i}?ref={i * 7}" for i in range(2000)],
            r"https://a\.example\.com/(b|cc)/\d+\?ref=\d+",
        ),
        "mixed": (
            ["".join(lot.choices(string.ascii_uppercase + string.digits, k=8)) for _ in range(900)],
            r"[A-Z0-9]{8}",
        ),
        "symbols": (["".join(lot.choices("!@#$%^&*()", k=12)) for _ in range(900)], r"[^\w\s]{12}"),
        "lengths": (
            [
                "".join(lot.choices(string.ascii_lowercase, k=lot.randint(6, 60))) + "@x.io"
                for _ in range(60)
            ],
            r"[a-z]{6,60}@x\.io",
        ),
    }


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_keys_keep_their_shape(kind: str) -> None:
    keys, shape = kinds()[kind]
    assert [
        key
        for key in made(keys, 3000 if kind != "lengths" else 300)
        if not re.fullmatch(shape, key)
    ] == []


def test_keys_of_all_lengths_are_none_of_them() -> None:
    found = made(["a" * (i + 3) + f"{i:02d}z" for i in range(55)], 300)
    assert all(re.fullmatch(r"[a-z]+\d\dz", key) for key in found)


def test_where_all_keys_of_a_shape_are_taken_further_ones_are_longer() -> None:
    found = made([f"{i:03d}" for i in range(1000)], 3000)
    assert {len(key) for key in found} == {4}
    assert made([a + b for a in string.ascii_lowercase for b in string.ascii_lowercase], 900)


def test_uuids_keep_their_version_and_look_random() -> None:
    lot = random.Random(0)
    keys = [str(uuid.UUID(int=lot.getrandbits(128), version=4)) for _ in range(1000)]
    found = made(keys, 4000)
    parsed = [uuid.UUID(key) for key in found]
    assert {key.version for key in parsed} == {4}
    assert {key.variant for key in parsed} == {uuid.RFC_4122}
    digits = np.array([list(key.hex) for key in parsed])
    # No digit follows from the row before's, whichever of its digits one looks at.
    for place in (0, 5, 13, 20, 31):
        for other in range(32):
            same = np.mean(digits[1:, place] == digits[:-1, other])
            assert same < 0.5 if other in (12, 16) else same < 0.1


def test_real_numbers_come_last() -> None:
    real = random.Random(3).sample(range(100_000, 200_000), 10_000)
    maker = KeyMaker.learn("n", pa.chunked_array([pa.array(real)]))
    assert not set(maker.make(0, 12_000, 1, pa.int64()).to_pylist()) & set(real)


@pytest.mark.parametrize("kind", ["uuid", "integer", "float", "nan"])
def test_missing_keys_stay_a_pattern(kind: str) -> None:
    lot = random.Random(0)
    absent = [i % 4 == 0 for i in range(1200)]
    texts = kind == "uuid"
    keys = [
        str(uuid.UUID(int=lot.getrandbits(128))) if texts else 10**6 + 7 * i for i in range(1200)
    ]
    column = pa.array([None if gone else key for gone, key in zip(absent, keys, strict=True)])
    if kind in ("float", "nan"):
        column = column.cast(pa.float64())
    if kind == "nan":
        column = column.fill_null(float("nan"))
    model = Synthesizer().fit(
        pa.table({"user_id": column, "g": ["no" if a else "yes" for a in absent]})
    )
    assert model.table_schema.columns["user_id"].role == "id"
    drawn = Synthesizer.load(io.BytesIO(model.to_bytes())).sample(4000, seed=2)
    assert drawn.equals(model.sample(4000, seed=2)) or kind == "nan"
    assert drawn.schema.field("user_id").type == column.type
    missing = drawn["user_id"].combine_chunks().is_null(nan_is_null=True).to_pylist()
    assert abs(np.mean(missing) - 0.25) < 0.03
    assert missing == [g == "no" for g in drawn["g"].to_pylist()]
    there = [
        key for key, gone in zip(drawn["user_id"].to_pylist(), missing, strict=True) if not gone
    ]
    assert len(set(there)) == len(there)
    assert (drawn["user_id"].null_count == 0) == (kind == "nan")

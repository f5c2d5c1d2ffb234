from __future__ import annotations

import hashlib
import io
import json
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.errors import ModelFileError
from tabular.synth import Synthesizer
from tabular.synth.modelfile import FORMAT, MAGIC, read_model, write_model

PREFIX = struct.Struct("<18sIQ")


@pytest.fixture(scope="module", params=["trees", "bayes"])
def raw(request: pytest.FixtureRequest) -> bytes:
    random = np.random.default_rng(0)
    x = random.normal(size=900).round(3)
    table = pa.table({"x": x, "y": (x * 2).round(2), "c": random.choice(["a", "b"], 900)})
    return Synthesizer(request.param).fit(table).to_bytes()


def load(data: bytes) -> Synthesizer:
    return Synthesizer.load(io.BytesIO(data))


def resealed(data: bytes, change: object) -> bytes:
    """The file with another header and a right checksum, as an attacker would make it."""
    _, version, length = PREFIX.unpack_from(data)
    header = json.loads(data[PREFIX.size : PREFIX.size + length])
    change(header)  # type: ignore[operator]
    head = json.dumps(header).encode()
    body = PREFIX.pack(MAGIC, version, len(head)) + head + data[PREFIX.size + length : -32]
    return body + hashlib.sha256(body).digest()


def test_same_fit_same_bytes(raw: bytes) -> None:
    assert load(raw).to_bytes() == raw


@pytest.mark.parametrize("cut", [0, 5, 20, 100, -33, -1])
def test_a_cut_file_is_refused(raw: bytes, cut: int) -> None:
    with pytest.raises(ModelFileError):
        load(raw[:cut])


def test_every_kind_of_flipped_bit_is_noticed(raw: bytes) -> None:
    for place in range(0, len(raw), max(1, len(raw) // 97)):
        bad = bytearray(raw)
        bad[place] ^= 4
        with pytest.raises(ModelFileError):
            load(bytes(bad))


@pytest.mark.parametrize("foreign", [b"PK\x03\x04" + b"0" * 99, b"\x80\x04pickle", b"", b"{}"])
def test_foreign_files_are_refused(foreign: bytes) -> None:
    with pytest.raises(ModelFileError, match="not a model file"):
        load(foreign)


def test_a_newer_format_says_to_upgrade(raw: bytes) -> None:
    newer = raw[:18] + struct.pack("<I", 99) + raw[22:]
    with pytest.raises(ModelFileError, match="format 99"):
        load(newer)


def test_a_bomb_is_refused_before_it_inflates() -> None:
    packed = pa.compress(b"\0" * 10_000_000, codec="zstd", asbytes=True)
    entry = {"name": "a", "type": "uint8", "shape": [1 << 40], "offset": 0, "stored": len(packed)}
    head = json.dumps({"arrays": [entry]}).encode()
    body = PREFIX.pack(MAGIC, FORMAT, len(head)) + head + packed
    with pytest.raises(ModelFileError, match="inflate"):
        read_model(io.BytesIO(body + hashlib.sha256(body).digest()))


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(engine="pickle"),
        lambda h: h.pop("state"),
        lambda h: h["state"].update(order=[0, 0, 1]),
        lambda h: h["state"].update(order=[7, 1, 2]),
        lambda h: h["arrays"].pop(),
        lambda h: h["arrays"][0].update(offset=10**12),
        lambda h: h["arrays"][0].update(type="object"),
        lambda h: h["arrays"][0].update(shape=[-1]),
        lambda h: h["codecs"].pop(),
        lambda h: h["codecs"][0].update(name="other"),
        lambda h: h.update(arrays=3),
        lambda h: h.update(schema={"columns": {"x": "nonsense"}}),
        lambda h: h.update(texts=["x"]),
        lambda h: h.update(rows="many"),
    ],
)
def test_a_forged_header_is_refused(raw: bytes, change: object) -> None:
    with pytest.raises(Exception) as caught:
        load(resealed(raw, change))
    assert type(caught.value).__module__ == "tabular.errors"


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 10**6))
def test_forged_arrays_never_crash(raw: bytes, random: object, seed: int) -> None:
    """Arrays of right type and shape but other content: refused, or they draw something."""
    header, arrays = read_model(io.BytesIO(raw))
    names = [name for name in arrays if name.startswith("engine/")]
    chosen = names[seed % len(names)]
    rng = np.random.default_rng(seed)
    forged = dict(arrays)
    old = forged[chosen]
    if old.dtype.kind == "f":
        forged[chosen] = rng.normal(size=old.shape) * 1e6
    else:
        info = np.iinfo(old.dtype)
        forged[chosen] = rng.integers(info.min, info.max, old.shape, old.dtype, endpoint=True)
    file = io.BytesIO()
    write_model(file, header, forged)
    try:
        drawn = load(file.getvalue()).sample(100)
    except ModelFileError:
        return
    assert drawn.num_rows == 100

"""Bytes that changed behind the service's back are found, on every store."""

from __future__ import annotations

import json

import pytest

from tabular.errors import IntegrityError, UnavailableError
from tabular.infra.storage import ObjectStore
from tabular.infra.storage.record import BLOCK
from tests.infra.storage.conftest import RANGES, Place

RECORD = {
    "format": 1,
    "version": "0" * 16,
    "size": 0,
    "sha256": "0" * 64,
    "block": 4,
    "crc32": [],
}
SIZE = 2 * BLOCK + 1000


@pytest.fixture
def stored(store: ObjectStore, place: Place) -> str:
    """An object of three blocks; gives the name of its data blob."""
    store.put("k", bytes(range(256)) * (SIZE // 256 + 1))
    return place.data_of("k")


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def test_one_flipped_bit_is_found(store: ObjectStore, place: Place, stored: str) -> None:
    whole = place.outside.read(stored)
    place.outside.write(stored, flip(whole, BLOCK + 77))
    delivered = bytearray()
    how = f"object k is damaged: bytes {BLOCK} to {2 * BLOCK} are not as written"
    with pytest.raises(IntegrityError, match=how):
        for chunk in store.get("k"):
            delivered += chunk
    assert len(delivered) < len(whole), "a damaged object must not be delivered whole"


def test_a_range_is_verified_by_its_own_blocks(
    store: ObjectStore, place: Place, stored: str
) -> None:
    place.needs(RANGES)
    whole = place.outside.read(stored)
    place.outside.write(stored, flip(whole, BLOCK + 77))
    assert b"".join(store.get_range("k", 0, BLOCK)) == whole[:BLOCK]
    with pytest.raises(IntegrityError, match=f"bytes {BLOCK} to {2 * BLOCK} are not as written"):
        list(store.get_range("k", BLOCK, 1))
    with store.reader("k") as file, pytest.raises(IntegrityError):
        file.seek(BLOCK + 1)
        file.read(1)


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_another_length_is_found(
    store: ObjectStore, place: Place, stored: str, change: int
) -> None:
    whole = place.outside.read(stored)
    place.outside.write(stored, whole[:-1] if change < 0 else whole + b"x")
    with pytest.raises(IntegrityError, match=f"{len(whole)} were written"):
        list(store.get("k"))


def test_vanished_data_is_found(store: ObjectStore, place: Place, stored: str) -> None:
    place.outside.remove(stored)
    with pytest.raises(IntegrityError, match="its data is gone"):
        store.get("k")
    with pytest.raises(IntegrityError, match="its data is gone"):
        list(store.get_range("k", 0, 1))


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"format": 2}',
        json.dumps(RECORD | {"version": "../../x"}).encode(),
    ],
)
def test_a_damaged_record_is_found_and_can_be_deleted(
    store: ObjectStore, place: Place, stored: str, record: bytes
) -> None:
    place.outside.write("k@ref", record)
    with pytest.raises(IntegrityError, match="record"):
        store.head("k")
    assert issubclass(IntegrityError, UnavailableError)
    store.delete("k")
    assert not store.exists("k")
    assert store.sweep(older_than=-60) == 1
    assert place.outside.names() == []


def test_a_damaged_record_does_not_stop_the_sweep(
    store: ObjectStore, place: Place, stored: str
) -> None:
    place.outside.write("k@ref", b"not json")
    place.outside.write("z@0123456789abcdef", b"left behind")
    assert store.sweep(older_than=-60) == 1
    assert place.outside.names() == sorted([stored, "k@ref"])

"""What every storage driver must do, asserted on the blobs that somebody else sees there."""

from __future__ import annotations

import hashlib
import io
import json
import random
import threading
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabular.errors import ConflictError, InputError, NotFoundError, UnavailableError
from tabular.infra.storage import ObjectInfo, ObjectStore
from tabular.infra.storage.record import BLOCK
from tests.infra.storage.conftest import CONDITIONS, RANGES, Place

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 12_345]


def pattern(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(store: ObjectStore, place: Place, size: int) -> None:
    data = pattern(size)
    info = store.put("tables/one.csv", pieces(data, 777_777))
    assert info == ObjectInfo("tables/one.csv", size, hashlib.sha256(data).hexdigest())
    assert b"".join(place.open().get("tables/one.csv")) == data
    assert place.open().head("tables/one.csv") == info


def test_the_other_side_sees_the_bytes_and_their_checksum(store: ObjectStore, place: Place) -> None:
    data = pattern(BLOCK + 5)
    store.put("a/b.parquet", data)
    assert place.outside.read(place.data_of("a/b.parquet")) == data
    record = json.loads(place.outside.read("a/b.parquet@ref"))
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["size"] == len(data)


def test_list_is_by_folder_and_sorted(store: ObjectStore) -> None:
    for key in ("d/7/b", "d/7/a", "d/70/c", "d/7", "e"):
        store.put(key, key.encode())
    assert [info.key for info in store.list()] == ["d/7", "d/7/a", "d/7/b", "d/70/c", "e"]
    assert [info.key for info in store.list("d/7")] == ["d/7/a", "d/7/b"]
    assert [info.key for info in store.list("d/7/")] == ["d/7/a", "d/7/b"]
    assert list(store.list("nothing")) == []
    assert next(store.list("d/7")).size == len("d/7/a")


def test_replacing_leaves_one_version(store: ObjectStore, place: Place) -> None:
    store.put("k", b"first")
    store.put("k", b"second")
    assert b"".join(store.get("k")) == b"second"
    assert place.outside.read(place.data_of("k")) == b"second"


def test_if_absent_keeps_the_first(store: ObjectStore, place: Place) -> None:
    store.put("k", b"first", if_absent=True)
    with pytest.raises(ConflictError, match="exists already"):
        store.put("k", b"second", if_absent=True)
    assert place.outside.read(place.data_of("k")) == b"first"


def test_if_absent_lets_one_of_many_through(store: ObjectStore, place: Place) -> None:
    place.needs(CONDITIONS)
    barrier, won, refused = threading.Barrier(6), [], []

    def attempt(number: int) -> None:
        def chunks() -> Iterator[bytes]:
            barrier.wait()  # all have looked, none has committed
            yield str(number).encode()

        try:
            store.put("k", chunks(), if_absent=True)
            won.append(number)
        except ConflictError:
            refused.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 5)
    assert place.outside.read(place.data_of("k")) == str(won[0]).encode()


@pytest.mark.parametrize("good", [0, 1, 5])
def test_an_error_of_the_caller_leaves_nothing(store: ObjectStore, place: Place, good: int) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(good):
            yield pattern(BLOCK)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        store.put("k", chunks())
    assert place.outside.names() == []
    assert list(store.list()) == []


def test_an_error_of_the_caller_keeps_the_old_object(store: ObjectStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"new"
        raise KeyError("mine")

    store.put("k", b"old")
    with pytest.raises(KeyError):
        store.put("k", chunks())
    assert b"".join(store.get("k")) == b"old"


def test_delete_is_idempotent_and_complete(store: ObjectStore, place: Place) -> None:
    store.put("a/b/c", b"x")
    store.put("a/keep", b"y")
    store.delete("a/b/c")
    store.delete("a/b/c")
    store.delete("never/was")
    assert {name.partition("@")[0] for name in place.outside.names()} == {"a/keep"}
    assert not store.exists("a/b/c")


def test_what_is_missing_is_said_at_once(store: ObjectStore) -> None:
    for look in (store.get, store.head, store.reader, lambda key: store.get_range(key, 0)):
        with pytest.raises(NotFoundError, match="no object gone"):
            look("gone")


@pytest.mark.parametrize(
    "key",
    [
        *("", "/etc/passwd", "../x", "a/../x", "a/./x", "a//b", "a/", "a\0b", "x" * 513, "y" * 201),
        *("a@ref", ".hidden", "-rf", "a b", "ä", "a\\b", "a\n", "~", "%2e%2e/x"),
    ],
)
def test_illegal_keys_are_refused(store: ObjectStore, place: Place, key: str) -> None:
    calls = (
        lambda: store.put(key, b"x"),
        lambda: store.get(key),
        lambda: store.get_range(key, 0),
        lambda: store.reader(key),
        lambda: store.head(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
    )
    for call in calls:
        with pytest.raises(InputError):
            call()
    assert place.outside.names() == []


def test_ranges(store: ObjectStore, place: Place) -> None:
    place.needs(RANGES)
    data = pattern(2 * BLOCK + 100)
    store.put("k", data)
    for start, length in [
        (0, 10),
        (BLOCK - 5, 10),
        (5, 2 * BLOCK),
        (2 * BLOCK + 90, 1000),
        (len(data), 5),
        (len(data) + 10, 5),
        (7, 0),
        (BLOCK, None),
    ]:
        stop = len(data) if length is None else start + length
        assert b"".join(store.get_range("k", start, length)) == data[start:stop]
    with pytest.raises(ValueError, match="negative"):
        store.get_range("k", -1, 5)


def test_reader_is_a_seekable_file(store: ObjectStore, place: Place) -> None:
    place.needs(RANGES)
    data = pattern(3 * BLOCK + 17)
    store.put("k", data)
    dice, plain = random.Random(1), io.BytesIO(data)
    with store.reader("k") as file:
        for _ in range(40):
            offset, count = dice.randrange(len(data) + 100), dice.randrange(200_000)
            assert file.seek(offset) == plain.seek(offset)
            assert file.read(count) == plain.read(count)
        assert file.seek(-10, io.SEEK_END) == len(data) - 10
        assert file.read() == data[-10:]


def test_reader_feeds_parquet(store: ObjectStore, place: Place) -> None:
    place.needs(RANGES)
    table = pa.table({"n": list(range(100_000)), "s": [f"row {i}" for i in range(100_000)]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=10_000)
    store.put("t.parquet", sink.getvalue())
    with store.reader("t.parquet") as file:
        assert pq.ParquetFile(file).read_row_group(7).equals(table.slice(70_000, 10_000))


def test_a_reader_of_a_replaced_object_sees_one_whole_version_or_is_told(
    store: ObjectStore,
) -> None:
    versions = [bytes([number]) * 300_000 for number in range(8)]
    store.put("k", versions[0])
    stop = threading.Event()

    def replace() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % len(versions)
            store.put("k", versions[number])

    writer = threading.Thread(target=replace)
    writer.start()
    whole = 0
    try:
        for _ in range(25):
            try:
                assert b"".join(store.get("k")) in versions
                whole += 1
            except UnavailableError as error:  # S3 may drop what is deleted while it is read
                assert error.code == "unavailable.replaced"
    finally:
        stop.set()
        writer.join()
    assert whole > 5


def test_sweep_removes_what_no_record_names(store: ObjectStore, place: Place) -> None:
    store.put("a/b", b"kept")
    place.outside.write("a/b@00000000000000ff", b"half")
    place.outside.write("c@00000000000000ff", b"half")
    seen: list[None] = []
    assert store.sweep(older_than=3600, each=lambda: seen.append(None)) == 0
    # A large store takes an hour, in which whoever sweeps is to be seen alive.
    assert len(seen) >= 2 * 3
    assert store.sweep(older_than=-60) == 2
    assert b"".join(store.get("a/b")) == b"kept"
    assert len(place.outside.names()) == 2


def test_ping(store: ObjectStore, place: Place) -> None:
    store.ping()
    assert place.outside.names() == []


def test_prefixes_of_one_store_are_apart(place: Place) -> None:
    from dataclasses import replace

    path, mark, query = place.url.partition("?")
    inner = replace(place, url=f"{path}/inner{mark}{query}").open()
    inner.put("k", b"x")
    assert [info.key for info in inner.list()] == ["k"]
    assert [info.key for info in place.open().list()] == ["inner/k"]

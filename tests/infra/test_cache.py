"""What every cache must do, asserted through a second client where there is one."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.errors import ConfigError, InputError, UnavailableError
from tabular.infra.cache import Cache, MemoryBackend, open_cache
from tabular.infra.queue import open_queue
from tabular.infra.ratelimit import open_limiter
from tabular.infra.websocket import open_hub
from tests.testbed.memcached import memcached_server
from tests.testbed.ports import free_port

WRONG_REDIS = ["redis://", "redis://u:canary@h/zero", "redis://u:canary@h/0?timeout=3"]


MEMCACHED = pytest.param("memcached_url", marks=pytest.mark.debian)


@pytest.fixture(params=["memory", "valkey_url", MEMCACHED])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    """Every cache driver, empty."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue(request.param)
    opened = open_cache(url)
    yield opened
    opened.close()


def test_bytes_and_json(cache: Cache) -> None:
    assert cache.get("k") is None
    cache.set("k", b"\x00\xff")
    assert cache.get("k") == b"\x00\xff"
    cache.set_json("j", {"a": [1, None, "ä"]})
    assert cache.get_json("j") == {"a": [1, None, "ä"]}
    assert cache.get_json("k") is None, "what is not JSON counts as absent"
    assert cache.get_json("nothing") is None
    cache.delete("k")
    cache.delete("k")
    assert cache.get("k") is None


def test_time_to_live(cache: Cache) -> None:
    cache.set("short", b"x", ttl=0.15)
    cache.set("long", b"y", ttl=60)
    assert cache.get("short") == b"x"
    time.sleep(0.25)
    assert cache.get("short") is None
    assert cache.get("long") == b"y"


def test_counter_keeps_its_first_expiry(cache: Cache) -> None:
    assert cache.incr("n", ttl=0.4) == 1
    time.sleep(0.25)
    assert cache.incr("n", 5, ttl=0.4) == 6
    time.sleep(0.25)
    assert cache.incr("n", ttl=0.4) == 1, "it expired 0.4 s after it was created"
    assert cache.incr("free") == 1
    assert cache.incr("free", -3) == -2


def test_counter_is_exact_between_threads(cache: Cache) -> None:
    def count() -> None:
        for _ in range(50):
            cache.incr("n", ttl=60)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.incr("n", 0) == 400


def test_what_is_no_counter_is_refused(cache: Cache) -> None:
    cache.set("word", b"word")
    with pytest.raises(InputError, match="not a whole number"):
        cache.incr("word")


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", "a\0b"])
def test_illegal_keys(cache: Cache, key: str) -> None:
    for call in (lambda: cache.get(key), lambda: cache.set(key, b""), lambda: cache.incr(key)):
        with pytest.raises(InputError):
            call()


def test_limits_of_values_and_times(cache: Cache) -> None:
    with pytest.raises(InputError, match="at most"):
        cache.set("k", bytes(8 * 1024 * 1024 + 1))
    for ttl in (0, -1, float("nan")):
        with pytest.raises(InputError, match="not positive"):
            cache.set("k", b"", ttl=ttl)


def test_ping(cache: Cache) -> None:
    cache.ping()


def test_the_server_holds_plain_bytes_with_an_expiry(valkey_url: str) -> None:
    import redis

    open_cache(valkey_url).set_json("k", {"a": 1}, ttl=60)
    with redis.Redis.from_url(valkey_url) as other:
        assert other.get("tabular:cache:k") == b'{"a":1}'
        assert 50 < other.ttl("tabular:cache:k") <= 60


def test_memory_is_bounded_and_forgets_the_least_used() -> None:
    now = [0.0]
    cache = Cache(MemoryBackend(max_entries=3, clock=lambda: now[0]))
    for key in "abc":
        cache.set(key, key.encode(), ttl=10)
    cache.get("a")
    cache.set("d", b"d")
    assert [cache.get(key) for key in "abcd"] == [b"a", None, b"c", b"d"]
    now[0] = 10.0
    assert [cache.get(key) for key in "acd"] == [None, None, b"d"]


@pytest.mark.parametrize(
    "url", ["redis://user:canary-password@127.0.0.1:{}/0", "memcached://127.0.0.1:{}"]
)
def test_a_dead_server_is_unavailable_without_its_password(url: str) -> None:
    cache = open_cache(url.format(free_port()))
    for call in (lambda: cache.get("k"), lambda: cache.incr("k"), cache.ping):
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="the cache does not answer") as caught:
            call()
        assert time.monotonic() - start < 5
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", ["pickled", "counter"])
@pytest.mark.parametrize("server", ["valkey_url", MEMCACHED])
def test_a_planted_pickle_is_never_loaded(
    request: pytest.FixtureRequest, server: str, key: str, tmp_path: Path
) -> None:
    url = request.getfixturevalue(server)
    opened = tmp_path / "opened"
    planted = pickle.dumps(_Bomb(opened))
    if server == "valkey_url":
        import redis

        with redis.Redis.from_url(url) as other:
            other.set(f"tabular:cache:{key}", planted)
    else:
        # As the library's own pickling client would store it, flagged as a pickle.
        from pymemcache.client.base import Client
        from pymemcache.serde import PickleSerde

        other = Client(("127.0.0.1", int(url.rpartition(":")[2])), serde=PickleSerde())
        digest = hashlib.sha256(f"tabular:cache:{key}".encode()).hexdigest()
        other.set(f"tabular:{digest}", _Bomb(opened), noreply=False)
        other.set(f"tabular:{digest}", b"\0" * 8 + planted, noreply=False, flags=1)
    cache = open_cache(url)
    assert cache.get(key) == planted
    assert cache.get_json(key) is None
    with pytest.raises(InputError, match="not a whole number"):
        cache.incr(key)
    cache.close()
    assert not opened.exists()
    pickle.loads(planted)
    assert opened.exists(), "the pickle would have run"


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._file,)


@pytest.mark.debian
def test_memcached_keys_belong_to_one_of_several_servers(
    memcached_url: str, tmp_path: Path
) -> None:
    with memcached_server(tmp_path) as second:
        cache = open_cache(f"{memcached_url},127.0.0.1:{second.port}")
        alone = open_cache(second.url)
        keys = [f"key {number} ä" for number in range(100)]
        for key in keys:
            cache.set(key, key.encode())
        assert [cache.get(key) for key in keys] == [key.encode() for key in keys]
        there = [key for key in keys if alone.get(key) is not None]
        assert 20 < len(there) < 80
        cache.ping()
    here = next(key for key in keys if key not in there)
    assert cache.get(here) == here.encode()
    for call in (lambda: cache.get(there[0]), cache.ping):
        with pytest.raises(UnavailableError):
            call()
    cache.close()


@pytest.mark.debian
def test_memcached_comes_back_and_too_large_values_are_not_kept(tmp_path: Path) -> None:
    port = free_port()
    cache = open_cache(f"memcached://127.0.0.1:{port}")
    with memcached_server(tmp_path, port=port):
        cache.set("k", b"small", ttl=40 * 86_400)
        assert cache.get("k") == b"small"
        cache.set("k", bytes(2 * 1024 * 1024))
        assert cache.get("k") is None
    with pytest.raises(UnavailableError):
        cache.get("k")
    with memcached_server(tmp_path, port=port):
        assert cache.get("k") is None
        cache.set("k", b"again")
        assert cache.get("k") == b"again"
        cache.close()


WRONG_MEMCACHED = [
    *("memcached://", "memcached://h:x", "memcached://u:p@h", "memcached://h/0"),
    *("memcached://h?timeout=3", "memcached://h,,i"),
]


@pytest.mark.parametrize("url", WRONG_MEMCACHED)
def test_wrong_memcached_urls_are_refused_by_every_driver(url: str) -> None:
    for open_it in (open_cache, open_limiter, open_hub):
        with pytest.raises(ConfigError):
            open_it(url)


def test_a_scheme_without_a_driver_names_those_that_have_one() -> None:
    with pytest.raises(ConfigError) as caught:
        open_cache("reddis://h")
    assert "did you mean 'redis'?" in str(caught.value.hint)
    assert "pip install 'inferloop-tabular[memcached]'" in str(caught.value.hint)


@pytest.mark.parametrize("url", ["reddis://h", "memory://?x=1", "memcached", *WRONG_REDIS])
def test_wrong_urls(url: str) -> None:
    with pytest.raises(ConfigError):
        open_cache(url)


@pytest.mark.parametrize("url", WRONG_REDIS)
def test_wrong_redis_urls_are_refused_by_every_driver(url: str) -> None:
    for open_it in (open_queue, open_limiter, open_hub):
        with pytest.raises(ConfigError) as caught:
            open_it(url)
        assert "canary" not in str(caught.value)


def test_without_the_redis_package_the_rest_works_and_the_extra_is_named() -> None:
    script = """
import asyncio, sys
sys.modules["redis"] = None
sys.modules["pymemcache"] = None
from tabular.errors import ConfigError
from tabular.infra import cache, queue, ratelimit, websocket
cache.open_cache("memory://").set("k", b"v")
asyncio.run(ratelimit.open_limiter("memory://").hit("1/minute", "me"))
websocket.open_hub("memory://").publish("job", {})
queue.open_queue("memory://").send("a")
for open_it in (cache.open_cache, queue.open_queue, ratelimit.open_limiter, websocket.open_hub):
    try:
        open_it("redis://localhost/0")
    except ConfigError as error:
        print(error.hint)
for open_it in (cache.open_cache, ratelimit.open_limiter):
    try:
        open_it("memcached://localhost")
    except ConfigError as error:
        print(error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    redis = ["pip install 'inferloop-tabular[redis]'"] * 4
    memcached = ["pip install 'inferloop-tabular[memcached]'"] * 2
    assert done.stdout.splitlines() == redis + memcached, done.stderr

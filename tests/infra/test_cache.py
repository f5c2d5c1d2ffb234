"""What every cache must do, asserted through a second client where there is one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tabular.errors import ConfigError, InputError, UnavailableError
from tabular.infra.cache import Cache, MemoryBackend, open_cache
from tabular.infra.queue import open_queue
from tabular.infra.ratelimit import open_limiter
from tabular.infra.websocket import open_hub
from tests.testbed.ports import free_port

WRONG_REDIS = ["redis://", "redis://u:canary@h/zero", "redis://u:canary@h/0?timeout=3"]


@pytest.fixture(params=["memory", "valkey"])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    """Every cache driver, empty."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("valkey_url")
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


def test_a_dead_server_is_unavailable_without_its_password() -> None:
    cache = open_cache(f"redis://user:canary-password@127.0.0.1:{free_port()}/0")
    for call in (lambda: cache.get("k"), lambda: cache.incr("k"), cache.ping):
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="the cache does not answer") as caught:
            call()
        assert time.monotonic() - start < 5
        assert "canary" not in str(caught.value)


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
import sys
sys.modules["redis"] = None
from tabular.errors import ConfigError
from tabular.infra import cache, queue, ratelimit, websocket
cache.open_cache("memory://").set("k", b"v")
ratelimit.open_limiter("memory://").hit("1/minute", "me")
websocket.open_hub("memory://").publish("job", {})
queue.open_queue("memory://").send("a")
for open_it in (cache.open_cache, queue.open_queue, ratelimit.open_limiter, websocket.open_hub):
    try:
        open_it("redis://localhost/0")
    except ConfigError as error:
        print(error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["pip install 'inferloop-tabular[redis]'"] * 4, done.stderr

"""A small shared memory by URL: within one process, in Redis or Valkey, or in Memcached.

Values are bytes or JSON, nothing else: whoever can write to the cache must not be able to
run code in the service, so nothing is ever unpickled. A cache may lose anything at any time;
only what can be made again belongs in it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from tabular.errors import InputError
from tabular.infra.breaker import PATIENCE
from tabular.infra.urls import options, split

SCHEMES = {"memory": "", "redis": "redis", "rediss": "redis", "memcached": "memcached"}
MAX_KEY = 256
MAX_VALUE = 8 * 1024 * 1024


class Backend(Protocol):
    """What a cache driver gives; times to live are in seconds, None means for ever."""

    @property
    def where(self) -> str:
        """The place, without credentials."""
        ...

    def get(self, key: str) -> bytes | None:
        """The value, or None when absent or expired."""
        ...

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store a value, replacing one that is there."""
        ...

    def delete(self, key: str) -> None:
        """Remove a value; no error when there is none."""
        ...

    def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add to a counter in one atomic step; `ttl` runs from its creation."""
        ...

    def ping(self) -> None:
        """Return when the cache answers."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


class Cache:
    """Bytes and JSON under short keys. Safe to use from several threads.

    Every method raises UnavailableError when the cache does not answer in time.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def where(self) -> str:
        """The place, without credentials."""
        return self._backend.where

    def get(self, key: str) -> bytes | None:
        """The value, or None when absent or expired."""
        return self._backend.get(_checked(key))

    def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Store bytes.

        Args:
            key: 1 to 256 printable characters.
            value: at most 8 MiB.
            ttl: seconds to live; for ever when None.

        Raises:
            InputError: an illegal key, a larger value, or a time to live that is not positive.
        """
        if len(value) > MAX_VALUE:
            raise InputError(f"the cache value has {len(value)} bytes; at most {MAX_VALUE}")
        self._backend.set(_checked(key), value, _checked_ttl(ttl))

    def get_json(self, key: str) -> Any:
        """The JSON value, or None when absent, expired or not JSON."""
        raw = self.get(key)
        if raw is None:
            return None
        try:
            return json.loads(raw)
        except ValueError:
            return None  # written by something else: as good as absent, it can be made again

    def set_json(self, key: str, value: Any, *, ttl: float | None = None) -> None:
        """Store a JSON value."""
        self.set(key, json.dumps(value, separators=(",", ":")).encode(), ttl=ttl)

    def delete(self, key: str) -> None:
        """Remove a value; no error when there is none."""
        self._backend.delete(_checked(key))

    def incr(self, key: str, by: int = 1, *, ttl: float | None = None) -> int:
        """Add to a counter atomically and return it; `ttl` counts from its creation.

        Raises:
            InputError: the key holds something that is not a whole number.
        """
        return self._backend.incr(_checked(key), by, _checked_ttl(ttl))

    def ping(self) -> None:
        """Return when the cache answers."""
        self._backend.ping()

    def close(self) -> None:
        """Give connections back."""
        self._backend.close()


class MemoryBackend:
    """A cache within one process, bounded by number of entries, oldest use dropped first."""

    where = "memory://"

    def __init__(
        self, *, max_entries: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._max_entries = max_entries
        self._clock = clock
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The value, or None when absent or expired."""
        with self._lock:
            return self._live(key)

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store a value and drop the least recently used above the limit."""
        with self._lock:
            self._store(key, value, None if ttl is None else self._clock() + ttl)

    def delete(self, key: str) -> None:
        """Remove a value."""
        with self._lock:
            self._entries.pop(key, None)

    def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add under the lock; an existing counter keeps its expiry."""
        with self._lock:
            raw = self._live(key)
            if raw is None:
                expires = None if ttl is None else self._clock() + ttl
                count = by
            else:
                expires = self._entries[key][1]
                count = as_int(key, raw) + by
            self._store(key, str(count).encode(), expires)
            return count

    def ping(self) -> None:
        """Nothing to ask."""

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def _live(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, expires = entry
        if expires is not None and self._clock() >= expires:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def _store(self, key: str, value: bytes, expires: float | None) -> None:
        self._entries[key] = (value, expires)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)


def open_cache(url: str, *, patience: float = PATIENCE) -> Cache:
    """The cache at `url`; nothing is contacted before the first call.

    Args:
        url: ``memory://`` or ``redis://[user:password@]host:port/database`` (``rediss://``
            for TLS) or ``memcached://host:port[,host2:port]``.
        patience: seconds for an answer; requests wait for it.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """
    parts = split(url, SCHEMES, what="cache")
    if parts.scheme == "memcached":
        from tabular.infra.memcached_cache import MemcachedBackend

        return Cache(MemcachedBackend(url, patience=patience))
    if parts.scheme == "memory":
        options(parts, (), what="cache")
        return Cache(MemoryBackend())
    from tabular.infra.redis_cache import RedisBackend
    from tabular.infra.redis_client import check_url

    check_url(url, what="cache")
    return Cache(RedisBackend(url, patience=patience))


def _checked(key: str) -> str:
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise InputError(
            f"the cache key {key[:40]!r} is not 1 to {MAX_KEY} printable characters",
            code="input.key",
        )
    return key


def _checked_ttl(ttl: float | None) -> float | None:
    if ttl is not None and not ttl > 0:
        raise InputError(f"a time to live of {ttl} seconds is not positive")
    return ttl


def as_int(key: str, raw: bytes) -> int:
    """The counter in a value.

    Raises:
        InputError: it is no whole number.
    """
    try:
        return int(raw)
    except ValueError:
        raise not_a_counter(key) from None


def not_a_counter(key: str) -> InputError:
    """The error of adding to a value that is no number."""
    return InputError(f"the cache value {key!r} is not a whole number", code="input.counter")

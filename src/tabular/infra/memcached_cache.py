"""The cache in Memcached, which knows whole seconds and numbers from zero up only.

So a value carries its own expiry before its bytes, and a counter is changed by compare-and-swap,
which keeps both exact. The server's own expiry, a little later, only frees the memory.
"""

from __future__ import annotations

import logging
import math
import struct
import time
from collections.abc import Callable

from tabular.errors import UnavailableError
from tabular.infra.cache import as_int
from tabular.infra.memcached_client import Servers, explained, refusal, servers
from tabular.infra.urls import public

_NAMESPACE = "tabular:cache:"
_HEADER = struct.Struct(">d")  # seconds since 1970 at which the value expires; 0 for never
_RELATIVE = 30 * 86_400  # seconds; the server reads more as a moment, not as a length
_TRIES = 1000  # of a compare-and-swap; each means that somebody else's succeeded

_LOG = logging.getLogger(__name__)


class MemcachedBackend:
    """Values under hashed keys.

    Args:
        url: of the servers.
        patience: seconds for an answer.
        clock: the seconds since 1970 that expiries compare to.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._servers = Servers(servers(url, what="cache"), patience=patience)
        self._clock = clock

    @property
    def where(self) -> str:
        """The servers."""
        return public(self._url)

    def get(self, key: str) -> bytes | None:
        """The value, or None; what is not in our form counts as absent."""
        with explained(self._url, "cache"):
            return self._open(self._servers.get(_NAMESPACE + key))

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store; what is larger than the server takes (1 MiB by default) is just not kept."""
        expires = self._expiry(ttl)
        with explained(self._url, "cache"):
            try:
                self._store(key, value, expires)
            except refusal() as error:
                if b"too large" not in _bytes_of(error):
                    raise
                _LOG.debug("a value of %d bytes is not kept: %s", len(value), error)
                self._servers.delete(_NAMESPACE + key)

    def delete(self, key: str) -> None:
        """Remove a value."""
        with explained(self._url, "cache"):
            self._servers.delete(_NAMESPACE + key)

    def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add by compare-and-swap; an existing counter keeps its expiry."""
        with explained(self._url, "cache"):
            for _ in range(_TRIES):
                raw, version = self._servers.gets(_NAMESPACE + key)
                value = self._open(raw)
                expires = self._expiry(ttl) if value is None else _HEADER.unpack(raw[:8])[0]
                count = by if value is None else as_int(key, value) + by
                sealed, expire = self._sealed(str(count).encode(), expires)
                if raw is None:
                    done = self._servers.add(_NAMESPACE + key, sealed, expire=expire)
                else:
                    done = self._servers.cas(_NAMESPACE + key, sealed, version, expire=expire)
                if done:
                    return count
        raise UnavailableError("too many change the counter at once", where=self.where)

    def ping(self) -> None:
        """Ask every server."""
        with explained(self._url, "cache"):
            self._servers.ping()

    def close(self) -> None:
        """Close the connections."""
        self._servers.close()

    def _store(self, key: str, value: bytes, expires: float) -> None:
        sealed, expire = self._sealed(value, expires)
        self._servers.set(_NAMESPACE + key, sealed, expire=expire)

    def _expiry(self, ttl: float | None) -> float:
        return 0.0 if ttl is None else self._clock() + ttl

    def _sealed(self, value: bytes, expires: float) -> tuple[bytes, int]:
        """The stored form and the server's expiry: one second later, as it rounds down."""
        if not expires:
            return _HEADER.pack(0.0) + value, 0
        left = max(1, math.ceil(expires - self._clock()) + 1)
        return _HEADER.pack(expires) + value, left if left < _RELATIVE else math.ceil(expires) + 1

    def _open(self, raw: object) -> bytes | None:
        if not isinstance(raw, bytes) or len(raw) < _HEADER.size:
            return None
        (expires,) = _HEADER.unpack(raw[: _HEADER.size])
        if expires and not self._clock() < expires:
            return None
        return raw[_HEADER.size :]


def _bytes_of(error: Exception) -> bytes:
    return b" ".join(item if isinstance(item, bytes) else str(item).encode() for item in error.args)

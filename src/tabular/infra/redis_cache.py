"""The cache in Redis or Valkey, shared by every process of a deployment."""

from __future__ import annotations

from typing import Any

from tabular.infra.cache import not_a_counter
from tabular.infra.redis_client import brief, connect, explained, redis_module
from tabular.infra.urls import public

_NAMESPACE = "tabular:cache:"

# One script, so that a counter never exists without its expiry.
_INCR = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > 0 and redis.call('PTTL', KEYS[1]) == -1 and count == tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return count
"""


class RedisBackend:
    """Values under ``tabular:cache:``; times to live are kept by the server.

    Args:
        url: of the server.
        patience: seconds for an answer.
    """

    def __init__(self, url: str, *, patience: float) -> None:
        self._url = url
        self._client: Any = connect(url, **brief(patience))

    @property
    def where(self) -> str:
        """The server, without credentials."""
        return public(self._url)

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        with explained(self._url, "cache"):
            value: bytes | None = self._client.get(_NAMESPACE + key)
            return value

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store with an expiry in milliseconds."""
        with explained(self._url, "cache"):
            self._client.set(_NAMESPACE + key, value, px=_milliseconds(ttl))

    def delete(self, key: str) -> None:
        """Remove a value."""
        with explained(self._url, "cache"):
            self._client.delete(_NAMESPACE + key)

    def incr(self, key: str, by: int, ttl: float | None) -> int:
        """Add in one script."""
        redis = redis_module()
        with explained(self._url, "cache"):
            try:
                count = self._client.eval(_INCR, 1, _NAMESPACE + key, by, _milliseconds(ttl) or 0)
            except redis.ResponseError as error:
                if "not an integer" in str(error):
                    raise not_a_counter(key) from None
                raise
        return int(count)

    def ping(self) -> None:
        """Ask the server."""
        with explained(self._url, "cache"):
            self._client.ping()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _milliseconds(ttl: float | None) -> int | None:
    return None if ttl is None else max(1, round(ttl * 1000))

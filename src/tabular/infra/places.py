"""Places that are held for as long as something is open, such as a websocket, and counted exactly.

A place is held by a token and runs out by itself unless it is renewed, so that a process which is
killed gives its places back. The time is the store's own, as in `moving_window`.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Literal, Protocol

from tabular.errors import UnavailableError
from tabular.infra.breaker import PATIENCE, Breaker
from tabular.infra.cache import SCHEMES
from tabular.infra.urls import split

TTL = 45.0  # seconds that a place is held without being renewed
RENEW_EVERY = 15.0
_NAMESPACE = "tabular:places:"

_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1])
    and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""


class Keeper(Protocol):
    """A store of places."""

    def take(self, who: str, token: str, limit: int) -> bool:
        """Take a place or renew it; False when all are held."""
        ...

    def give_back(self, who: str, token: str) -> None:
        """Free it."""
        ...


class Places:
    """Counts what each principal holds.

    Args:
        keeper: the store.
        on_failure: whether places are given while the store does not answer.
        breaker: of the store, shared with whatever else asks it; one of its own when None.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        on_failure: Literal["open", "closed"],
        breaker: Breaker | None = None,
    ) -> None:
        self._keeper = keeper
        self._on_failure = on_failure
        self._breaker = breaker or Breaker()

    def take(self, who: str, token: str, limit: int) -> bool:
        """Take a place, or renew the one that this token holds.

        Args:
            who: is counted.
            token: names the place; random.
            limit: how many there are.
        """
        try:
            return self._breaker.ask(lambda: self._keeper.take(who, token, limit))
        except UnavailableError:
            return self._on_failure == "open"

    def give_back(self, who: str, token: str) -> None:
        """Free a place; one that cannot be freed runs out."""
        try:
            self._breaker.ask(lambda: self._keeper.give_back(who, token))
        except UnavailableError:
            return


class InMemory:
    """Places of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, dict[str, float]] = defaultdict(dict)
        self._lock = threading.Lock()

    def take(self, who: str, token: str, limit: int) -> bool:
        """As the script does."""
        with self._lock:
            now, held = self._clock(), self._held[who]
            for gone in [name for name, until in held.items() if until <= now]:
                del held[gone]
            if token not in held and len(held) >= limit:
                return False
            held[token] = now + TTL
            return True

    def give_back(self, who: str, token: str) -> None:
        """Free it."""
        with self._lock:
            self._held[who].pop(token, None)
            if not self._held[who]:
                del self._held[who]


class InRedis:
    """Places in Redis or Valkey, for every process of a deployment."""

    def __init__(self, url: str) -> None:
        from tabular.infra.redis_client import brief, connect

        self._url = url
        self._client: Any = connect(url, **brief(PATIENCE))
        self._script: Any = self._client.register_script(_SCRIPT)

    def take(self, who: str, token: str, limit: int) -> bool:
        """One script."""
        from tabular.infra.redis_client import explained

        with explained(self._url, "cache"):
            arguments = [token, limit, round(TTL * 1000)]
            return bool(self._script(keys=[_key(who)], args=arguments))

    def give_back(self, who: str, token: str) -> None:
        """Free it."""
        from tabular.infra.redis_client import explained

        with explained(self._url, "cache"):
            self._client.zrem(_key(who), token)


def open_places(
    url: str, *, on_failure: Literal["open", "closed"], breaker: Breaker | None = None
) -> Places:
    """The places whose counts live at `url` (the cache's URL); Memcached counts by process.

    Args:
        url: of the store.
        on_failure: whether places are given while it does not answer.
        breaker: of the store, shared with whatever else asks it.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """
    scheme = split(url, SCHEMES, what="cache").scheme
    if scheme in ("memory", "memcached"):
        return Places(InMemory(), on_failure=on_failure)  # its answers say nothing of the store
    return Places(InRedis(url), on_failure=on_failure, breaker=breaker)


def _key(who: str) -> str:
    return _NAMESPACE + hashlib.sha256(who.encode()).hexdigest()[:32]

"""Limits on requests, by key and by client, exact across every process that shares a store.

A moving window, not fixed ones: at no moment do more than N requests of the last period pass,
where fixed windows let 2 N through around their border. In Redis the count is one script, so
four API processes cannot each let the last request through. Memcached has no scripts: there the
window is estimated from two counters, which is as near as it gets.

When the store does not answer, the default is to let requests through (``open``): a limit
protects the platform from overload, keys are still checked against the database, and an
outage of the cache should not become an outage of everything. ``closed`` is there for who must
hold a limit at any price. Either way the failure is counted and logged by the caller.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.cache import SCHEMES
from tabular.infra.urls import options, public, split

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

_NAMESPACE = "tabular:limit"
_PERIODS = ("second", "minute", "hour", "day")


@dataclass(frozen=True)
class Decision:
    """Whether a request may pass, and what to tell its sender.

    Attributes:
        allowed: let it through.
        limit: requests per period of the tightest rule.
        remaining: requests left in it now.
        reset_after: seconds until the oldest request counted leaves the window.
        retry_after: seconds until the next request would pass; 0 when allowed.
        store_failed: the store did not answer; `allowed` is then the configured answer.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_after: float
    retry_after: float
    store_failed: bool = False

    def headers(self) -> dict[str, str]:
        """``RateLimit-*`` of the IETF draft in its widely read form, and ``Retry-After``."""
        if self.store_failed:
            return {} if self.allowed else {"Retry-After": _seconds(self.retry_after)}
        found = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": _seconds(self.reset_after),
        }
        if not self.allowed:
            found["Retry-After"] = _seconds(max(1.0, self.retry_after))
        return found


@lru_cache(maxsize=256)
def parse_rules(text: str) -> tuple[RateLimitItem, ...]:
    """Rules such as ``600/minute`` or ``10/second;5000/day``.

    Raises:
        ConfigError: not of that form, or a count below 1.
    """
    from limits import parse_many

    try:
        rules = tuple(parse_many(text))
    except ValueError:
        rules = ()
    if not rules or any(rule.amount < 1 for rule in rules):
        raise ConfigError(
            f"{text!r} is no rate limit",
            hint="write COUNT/PERIOD with a period of " + ", ".join(_PERIODS),
        )
    return rules


class RateLimiter:
    """Counts hits in one store. Safe to use from several threads."""

    def __init__(
        self,
        storage: Storage,
        *,
        where: str,
        on_failure: Literal["open", "closed"] = "open",
        clock: Callable[[], float] = time.time,
    ) -> None:
        from limits.storage import MovingWindowSupport
        from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

        moves = isinstance(storage, MovingWindowSupport)
        self._storage = storage
        self._strategy = (
            MovingWindowRateLimiter(storage) if moves else SlidingWindowCounterRateLimiter(storage)
        )
        self._where = where
        self._on_failure = on_failure
        self._clock = clock

    def hit(self, rules: str, *identity: str, cost: int = 1) -> Decision:
        """Count one request of `identity` and decide.

        Args:
            rules: ``COUNT/PERIOD[;…]``; the request passes when it passes every rule.
            *identity: who asks and for what, such as ``"key", key_id``.
            cost: how many requests it counts as.

        Raises:
            ConfigError: `rules` cannot be read.
        """
        items = parse_rules(rules)
        try:
            return self._decide(items, identity, cost)
        except _storage_errors():
            return self._failed(items)

    def ping(self) -> None:
        """Return when the store answers.

        Raises:
            UnavailableError: it does not.
        """
        try:
            healthy = self._storage.check()
        except _storage_errors() as error:
            raise self._unavailable() from error
        if not healthy:
            raise self._unavailable()

    def reset(self) -> None:
        """Forget every count."""
        self._storage.reset()

    def _decide(
        self, items: Sequence[RateLimitItem], identity: Sequence[str], cost: int
    ) -> Decision:
        decision: Decision | None = None
        for item in items:
            allowed = self._strategy.hit(item, *identity, cost=cost)
            stats = self._strategy.get_window_stats(item, *identity)
            oldest_leaves = max(0.0, stats.reset_time - self._clock())
            current = Decision(
                allowed=allowed,
                limit=item.amount,
                remaining=0 if not allowed else max(0, stats.remaining),
                reset_after=oldest_leaves,
                retry_after=0.0 if allowed else oldest_leaves,
            )
            if decision is None or not allowed or current.remaining < decision.remaining:
                decision = current
            if not allowed:
                break  # a refused request is not charged to the rules after this one
        assert decision is not None  # parse_rules gives at least one rule
        return decision

    def _failed(self, items: Sequence[RateLimitItem]) -> Decision:
        allowed = self._on_failure == "open"
        limit = items[0].amount
        return Decision(allowed, limit, limit if allowed else 0, 0.0, 0.0 if allowed else 5.0, True)

    def _unavailable(self) -> UnavailableError:
        return UnavailableError("the rate-limit store does not answer", where=self._where)


def open_limiter(url: str, *, on_failure: Literal["open", "closed"] = "open") -> RateLimiter:
    """The limiter whose counts live at `url` (the cache's URL).

    Args:
        url: ``memory://``, ``redis://…`` or ``memcached://…``.
        on_failure: what `RateLimiter.hit` answers while the store is down.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """
    parts = split(url, SCHEMES, what="rate-limit")
    if parts.scheme == "memcached":
        return RateLimiter(_in_memcached(url), where=public(url), on_failure=on_failure)
    if parts.scheme == "memory":
        from limits.storage import MemoryStorage

        options(parts, (), what="rate-limit")
        return RateLimiter(MemoryStorage(), where="memory://", on_failure=on_failure)
    from tabular.infra.redis_client import check_url, connection_options, explained

    check_url(url, what="rate-limit")
    settings = connection_options()
    from limits.storage import RedisStorage

    with explained(url, "rate-limit store"):
        storage = RedisStorage(url, wrap_exceptions=True, key_prefix=_NAMESPACE, **settings)
    return RateLimiter(storage, where=public(url), on_failure=on_failure)


def _in_memcached(url: str) -> Storage:
    from tabular.infra.memcached_client import Servers, servers

    clients: Any = Servers(servers(url, what="rate-limit"))
    from limits.storage import MemcachedStorage

    # The client knows the servers; the address here is only one that can be read.
    return MemcachedStorage(
        "memcached://localhost:11211", wrap_exceptions=True, client_getter=lambda *_: clients
    )


def client_address(peer: str, forwarded_for: str | None, trusted: Iterable[str]) -> str:
    """The address of the client behind proxies that we trust, and no further.

    ``X-Forwarded-For`` is read from its right end: each address was added by the one to its
    right, so the walk stops at the first that is not a trusted proxy. What a client wrote into
    the header itself stands left of that and is never believed.

    Args:
        peer: address of the connection.
        forwarded_for: the header, all its lines joined by commas.
        trusted: addresses or networks of our own proxies.
    """
    networks = [ipaddress.ip_network(item, strict=False) for item in trusted]
    client = peer
    hops = [] if forwarded_for is None else [hop.strip() for hop in forwarded_for.split(",")]
    while hops and _inside(client, networks):
        candidate = _address(hops.pop())
        if candidate is None:
            break  # not an address: the last one that we could verify stands
        client = candidate
    return client


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _inside(text: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def _storage_errors() -> tuple[type[Exception], ...]:
    from limits.errors import StorageError

    return (StorageError, OSError)


def _seconds(value: float) -> str:
    return str(max(0, math.ceil(value)))

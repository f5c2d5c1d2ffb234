"""Limits on requests, by key and by client, exact across every process that shares a store.

How requests are counted stands in `moving_window`; here it becomes a decision and its headers.

When the store does not answer, the default is to let requests through (``open``): a limit
protects the platform from overload, keys are still checked against the database, and an
outage of the cache should not become an outage of everything. ``closed`` is there for who must
hold a limit at any price. Either way the failure is counted and logged by the caller, and the
store is left alone for a while (see `breaker`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.breaker import PATIENCE, Breaker
from tabular.infra.cache import SCHEMES
from tabular.infra.moving_window import Counted, Counter, Estimated, InMemory, InRedis
from tabular.infra.redis_client import check_url
from tabular.infra.urls import options, split

if TYPE_CHECKING:
    from limits import RateLimitItem

_PERIODS = ("second", "minute", "hour", "day")
_RETRY = 5.0  # seconds that are told to wait while it is down


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
        policies: every rule: its name, requests, seconds, requests left, seconds to its reset.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_after: float
    retry_after: float
    store_failed: bool = False
    policies: tuple[tuple[str, int, int, int, float], ...] = ()

    def headers(self) -> dict[str, str]:
        """``RateLimit`` and ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers-10.

        With them its widely read older form, ``RateLimit-Limit`` and so on, and ``Retry-After``.
        """
        if self.store_failed:
            return {} if self.allowed else {"Retry-After": _seconds(self.retry_after)}
        found = {
            "RateLimit-Policy": ", ".join(f'"{n}";q={q};w={w}' for n, q, w, _, _ in self.policies),
            "RateLimit": ", ".join(
                f'"{n}";r={r};t={_seconds(t)}' for n, _, _, r, t in self.policies
            ),
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
    """Counts hits in one store. Safe to use from several event loops.

    Args:
        counter: the store.
        on_failure: what `hit` answers while the store is down.
    """

    def __init__(self, counter: Counter, *, on_failure: Literal["open", "closed"] = "open") -> None:
        self._counter = counter
        self._on_failure = on_failure

    async def hit(self, rules: str, *identity: str, cost: int = 1) -> Decision:
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
            passes, counted = await self._counter.hit(items, identity, cost)
        except UnavailableError:
            return self._failed(items)
        return _decided(items, passes, counted)

    async def close(self) -> None:
        """Give back what the present event loop has open."""
        await self._counter.close()

    def _failed(self, items: Sequence[RateLimitItem]) -> Decision:
        allowed, limit = self._on_failure == "open", items[0].amount
        wait = 0.0 if allowed else _RETRY
        return Decision(allowed, limit, limit if allowed else 0, 0.0, wait, True)


def _decided(items: Sequence[RateLimitItem], passes: bool, counted: Sequence[Counted]) -> Decision:
    """The decision, in the words of the rule that refuses for longest or has least left."""
    lefts = [max(0, item.amount - c.count) for item, c in zip(items, counted, strict=True)]
    tightest = min(range(len(items)), key=lambda i: (-counted[i].retry_after, lefts[i]))
    return Decision(
        allowed=passes,
        limit=items[tightest].amount,
        remaining=lefts[tightest] if passes else 0,
        reset_after=max(0.0, counted[tightest].reset_after),
        retry_after=0.0 if passes else max(0.0, counted[tightest].retry_after),
        policies=tuple(
            (_name(item), item.amount, item.get_expiry(), left, c.reset_after)
            for item, left, c in zip(items, lefts, counted, strict=True)
        ),
    )


def open_limiter(
    url: str,
    *,
    on_failure: Literal["open", "closed"] = "open",
    breaker: Breaker | None = None,
) -> RateLimiter:
    """The limiter whose counts live at `url` (the cache's URL).

    Args:
        url: ``memory://``, ``redis://…`` or ``memcached://…``.
        on_failure: what `RateLimiter.hit` answers while the store is down.
        breaker: of the store, shared with whatever else asks it; one of its own when None.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """
    parts = split(url, SCHEMES, what="rate-limit")
    breaker = breaker or Breaker()
    counter: Counter
    if parts.scheme == "memcached":
        counter = _in_memcached(url, breaker)
    elif parts.scheme == "memory":
        options(parts, (), what="rate-limit")
        counter = InMemory()
    else:
        check_url(url, what="rate-limit")
        counter = InRedis(url, breaker)
    return RateLimiter(counter, on_failure=on_failure)


def _in_memcached(url: str, breaker: Breaker) -> Estimated:
    from tabular.infra.memcached_client import Servers, servers

    clients: Any = Servers(servers(url, what="rate-limit"), patience=PATIENCE)
    from limits.storage import MemcachedStorage

    # The client knows the servers; the address here is only one that can be read.
    storage = MemcachedStorage(
        "memcached://localhost:11211", wrap_exceptions=True, client_getter=lambda *_: clients
    )
    return Estimated(storage, breaker)


def _name(item: RateLimitItem) -> str:
    every = "" if item.multiples == 1 else f"{item.multiples}-"
    return f"per-{every}{item.GRANULARITY.name}"


def _seconds(value: float) -> str:
    return str(max(0, math.ceil(value)))

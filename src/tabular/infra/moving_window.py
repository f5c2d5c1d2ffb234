"""Where requests are counted: one log of moments for each identity and rule, in one atomic step.

A log and not a token bucket, because "600 a minute" is then true to the letter: between any
moment and the one a period later, no more than N pass, at the border of windows too. It costs nine
bytes of Valkey for each request of the last period.

The moments are those of the store's own clock, read inside the script: processes whose clocks
differ count alike. A request passes every rule or is charged to none.
"""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tabular.errors import UnavailableError
from tabular.infra.breaker import Breaker
from tabular.infra.redis_script import Script

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

NAMESPACE = "tabular:limit:"
_MICRO = 1_000_000
_SWEEP_EVERY = 4096  # hits between looks for identities that are gone

# ARGV: the cost, then amount and period in µs of each key. Newest moments stand first. Time that
# went back is taken to stand still; where it went back by more than a period, the log is of a
# future that never came.
_SCRIPT = """
local time = redis.call('TIME')
local real = time[1] * 1000000 + time[2]
local now, cost, passes = real, tonumber(ARGV[1]), 1
for i, key in ipairs(KEYS) do
  local newest = tonumber(redis.call('LINDEX', key, 0) or 0)
  if newest > real + tonumber(ARGV[2 * i + 1]) then
    redis.call('DEL', key)
  elseif newest > now then
    now = newest
  end
end
for i, key in ipairs(KEYS) do
  local amount, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  while tonumber(redis.call('LINDEX', key, -1) or now) <= now - period do
    redis.call('RPOP', key)
  end
  if redis.call('LLEN', key) + cost > amount then passes = 0 end
end
local answer = {passes}
for i, key in ipairs(KEYS) do
  local amount, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  if passes == 1 then
    for _ = 1, cost do redis.call('LPUSH', key, string.format('%.0f', now)) end
    redis.call('PEXPIRE', key, math.ceil((now - real + period) / 1000))
  end
  local count = redis.call('LLEN', key)
  local oldest = tonumber(redis.call('LINDEX', key, -1) or now - period)
  local over = count + cost - amount
  local wait = 0
  if passes == 0 and over > 0 then
    wait = tonumber(redis.call('LINDEX', key, -over) or now) + period - now
  end
  answer[#answer + 1] = count
  answer[#answer + 1] = oldest + period - now
  answer[#answer + 1] = wait
end
return answer
"""


@dataclass(frozen=True)
class Counted:
    """One rule after a request.

    Attributes:
        count: requests in the last period, this one too when it passed.
        reset_after: seconds until the oldest of them leaves the window.
        retry_after: seconds until as much as was asked would pass; 0 when it did, or when it
            is another rule that refuses.
    """

    count: int
    reset_after: float
    retry_after: float


class Counter(Protocol):
    """A store of counts, asked in an event loop."""

    async def hit(
        self, rules: Sequence[RateLimitItem], identity: Sequence[str], cost: int
    ) -> tuple[bool, Sequence[Counted]]:
        """Whether every rule lets the request pass, and each rule afterwards.

        Raises:
            UnavailableError: the store does not answer, or did not a moment ago.
        """
        ...

    async def close(self) -> None:
        """Give back what the present event loop has open."""
        ...


class InMemory:
    """Counts of one process, by a clock that cannot be set."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logs: dict[tuple[str, int], deque[float]] = {}
        self._lock = threading.Lock()
        self._hits = 0

    async def hit(
        self, rules: Sequence[RateLimitItem], identity: Sequence[str], cost: int
    ) -> tuple[bool, Sequence[Counted]]:
        """As the script does."""
        name = "\0".join(identity)
        with self._lock:
            now = self._clock()
            self._sweep(now)
            logs = [self._current((name, rule.get_expiry()), now) for rule in rules]
            pairs = list(zip(rules, logs, strict=True))
            passes = all(len(log) + cost <= rule.amount for rule, log in pairs)
            if passes:
                for log in logs:
                    log.extend([now] * cost)
            return passes, [self._counted(rule, log, now, cost, passes) for rule, log in pairs]

    async def close(self) -> None:
        """Nothing is open."""

    def _current(self, key: tuple[str, int], now: float) -> deque[float]:
        log = self._logs.setdefault(key, deque())
        while log and now - log[0] >= key[1]:
            log.popleft()
        return log

    def _counted(
        self, rule: RateLimitItem, log: deque[float], now: float, cost: int, passes: bool
    ) -> Counted:
        period = rule.get_expiry()
        over = len(log) + cost - rule.amount
        # Ages first: the clock's moment and a period may add up to more than the period.
        wait = 0.0
        if not passes and over > 0:
            wait = period - (now - log[over - 1]) if over <= len(log) else period
        return Counted(len(log), period - (now - log[0]) if log else 0.0, wait)

    def _sweep(self, now: float) -> None:
        self._hits += 1
        if self._hits % _SWEEP_EVERY == 0:
            gone = [key for key, log in self._logs.items() if not log or now - log[-1] >= key[1]]
            for key in gone:
                del self._logs[key]


class InRedis:
    """Counts in Redis or Valkey, for every process of a deployment.

    Args:
        url: of the server.
        breaker: of the server.
    """

    def __init__(self, url: str, breaker: Breaker) -> None:
        self._script = Script(url, _SCRIPT, what="rate-limit store", breaker=breaker)

    async def hit(
        self, rules: Sequence[RateLimitItem], identity: Sequence[str], cost: int
    ) -> tuple[bool, Sequence[Counted]]:
        """One script, one round trip."""
        # Hashed: who asks is not for the cache. In braces: one node of a cluster has them all.
        name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:32]
        keys = [f"{NAMESPACE}{{{name}}}:{rule.get_expiry()}" for rule in rules]
        numbers = [n for rule in rules for n in (rule.amount, rule.get_expiry() * _MICRO)]
        passes, *found = await self._script.run(keys, [cost, *numbers])
        counted = [
            Counted(found[i], found[i + 1] / _MICRO, found[i + 2] / _MICRO)
            for i in range(0, len(found), 3)
        ]
        return bool(passes), counted

    async def close(self) -> None:
        """Close the connections of the present event loop."""
        await self._script.close()


class Estimated:
    """Counts in Memcached, which has no scripts: two counters, weighed by the time between them.

    Of those that race for the last places all may be refused; no more than the limit pass.

    Args:
        storage: of the library.
        breaker: of the servers.
        clock: seconds since 1970.
    """

    def __init__(
        self, storage: Storage, breaker: Breaker, clock: Callable[[], float] = time.time
    ) -> None:
        from limits.strategies import SlidingWindowCounterRateLimiter

        self._strategy = SlidingWindowCounterRateLimiter(storage)
        self._breaker = breaker
        self._clock = clock

    async def hit(
        self, rules: Sequence[RateLimitItem], identity: Sequence[str], cost: int
    ) -> tuple[bool, Sequence[Counted]]:
        """In a thread: the client has no other way."""
        from anyio import to_thread

        return await to_thread.run_sync(
            self._breaker.ask, functools.partial(self._hit, rules, identity, cost)
        )

    async def close(self) -> None:
        """Its connections are no loop's, and end with the process."""

    def _hit(
        self, rules: Sequence[RateLimitItem], identity: Sequence[str], cost: int
    ) -> tuple[bool, Sequence[Counted]]:
        """Rule by rule; a refused request is not charged to those after the one that refused."""
        from limits.errors import StorageError

        counted = []
        passes = True
        try:
            for rule in rules:
                passes = passes and self._strategy.hit(rule, *identity, cost=cost)
                stats = self._strategy.get_window_stats(rule, *identity)
                leaves = max(0.0, stats.reset_time - self._clock())
                count = rule.amount - max(0, stats.remaining)
                counted.append(Counted(count, leaves, 0.0 if passes else leaves))
        except (StorageError, OSError) as error:
            raise UnavailableError("the rate-limit store does not answer") from error
        return passes, counted

"""A rate limiter as a test asks it: from an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from tabular.infra.ratelimit import Decision, RateLimiter


class Asked:
    """Asks in one event loop, of the thread that made this.

    Args:
        limiter: is asked.
        runner: of the loop.
    """

    def __init__(self, limiter: RateLimiter, runner: asyncio.Runner) -> None:
        self.limiter = limiter
        self._runner = runner

    def hit(self, rules: str, *identity: str) -> Decision:
        """See `RateLimiter.hit`."""
        return self._runner.run(self.limiter.hit(rules, *identity))

    def at_once(self, number: int, rules: str, *identity: str) -> list[Decision]:
        """As many hits that begin together."""

        async def ask() -> list[Decision]:
            return await asyncio.gather(
                *(self.limiter.hit(rules, *identity) for _ in range(number))
            )

        return self._runner.run(ask())


@contextlib.contextmanager
def asked(limiter: RateLimiter) -> Iterator[Asked]:
    """Ask it for the time of the block."""
    with asyncio.Runner() as runner:
        yield Asked(limiter, runner)
        runner.run(limiter.close())

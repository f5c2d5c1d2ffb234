"""States to a client that takes them slowly, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tabular.api.following import DONE, TOO_SLOW, TRY_AGAIN, relay
from tabular.errors import UnavailableError
from tabular.infra.websocket import Event


async def many(count: int) -> AsyncIterator[Event]:
    for number in range(count):
        yield {"event_id": number}
        await asyncio.sleep(0)


def test_of_states_that_wait_only_the_newest_is_sent() -> None:
    seen: list[int] = []

    async def slowly(state: Event) -> None:
        seen.append(state["event_id"])
        await asyncio.sleep(0.05)

    assert asyncio.run(relay(many(1000), slowly, 5.0)) == DONE
    assert seen[-1] == 999
    assert len(seen) < 10


def test_who_takes_nothing_is_given_up() -> None:
    async def never(state: Event) -> None:
        await asyncio.sleep(60)

    assert asyncio.run(relay(many(1000), never, 0.05)) == TOO_SLOW


def test_an_outage_says_try_again() -> None:
    async def away() -> AsyncIterator[Event]:
        yield {"event_id": 1}
        raise UnavailableError("away")

    async def send(state: Event) -> None:
        return

    assert asyncio.run(relay(away(), send, 1.0)) == TRY_AGAIN

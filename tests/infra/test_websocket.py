"""Progress events from any thread or process to whoever follows a job."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.errors import InputError, UnavailableError
from tabular.infra.websocket import KEPT_EVENTS, Event, Hub, follow, open_hub
from tests.testbed.ports import free_port
from tests.testbed.valkey import valkey_server


@pytest.fixture(params=["memory", "valkey"])
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    """Every hub driver."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("valkey_url")
    opened = open_hub(url)
    yield opened
    opened.close()


def is_final(state: Event) -> bool:
    return state.get("status") == "done"


def test_events_reach_their_followers_from_another_thread(hub: Hub) -> None:
    async def run() -> list[Event | None]:
        async with hub.subscribe("a") as first, hub.subscribe("a") as second:
            threading.Thread(target=publish).start()
            found = [await first.next(3), await first.next(3), await second.next(3)]
            return [*found, await first.next(0.1)]

    def publish() -> None:
        hub.publish("b", {"other": True})
        hub.publish("a", {"rows": 1})
        hub.publish("a", {"rows": 2})

    assert asyncio.run(run()) == [{"rows": 1}, {"rows": 2}, {"rows": 1}, None]


def test_nobody_listening_is_no_error(hub: Hub) -> None:
    hub.publish("nobody", {"rows": 1})
    hub.ping()


def test_waiting_is_bounded(hub: Hub) -> None:
    async def run() -> float:
        async with hub.subscribe("a") as subscription:
            start = time.monotonic()
            assert await subscription.next(0.2) is None
            return time.monotonic() - start

    assert asyncio.run(run()) < 1.0


def test_large_events_are_refused(hub: Hub) -> None:
    with pytest.raises(InputError, match="at most"):
        hub.publish("a", {"text": "x" * 70_000})


def test_over_memcached_the_database_tells_of_progress() -> None:
    hub = open_hub(f"memcached://127.0.0.1:{free_port()}")
    states = iter([{"status": "running"}, {"status": "running"}, {"status": "done"}])

    async def read_state() -> Event:
        return next(states)

    async def run() -> list[Event]:
        found = follow(hub, "a", read_state, is_final=is_final, interval=0.05)
        return [state async for state in found]

    hub.publish("a", {"status": "unseen"})
    hub.ping()
    assert asyncio.run(run()) == [{"status": "running"}, {"status": "done"}]


def test_a_slow_reader_in_memory_loses_the_oldest() -> None:
    hub = open_hub("memory://")

    async def run() -> list[Event | None]:
        async with hub.subscribe("a") as subscription:
            for number in range(KEPT_EVENTS + 10):
                hub.publish("a", {"n": number})
            return [await subscription.next(0.1) for _ in range(KEPT_EVENTS + 1)]

    found = asyncio.run(run())
    assert found[0] == {"n": 10}
    assert found[-1] is None


def test_across_processes(valkey_url: str) -> None:
    script = (
        "import sys; from tabular.infra.websocket import open_hub\n"
        "open_hub(sys.argv[1]).publish('a', {'rows': 7})"
    )
    hub = open_hub(valkey_url)

    async def run() -> Event | None:
        async with hub.subscribe("a") as subscription:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, valkey_url)
            event = await subscription.next(10)
            await process.wait()
            return event

    assert asyncio.run(run()) == {"rows": 7}


def test_foreign_messages_are_skipped(valkey_url: str) -> None:
    import redis

    hub = open_hub(valkey_url)

    async def run() -> Event | None:
        async with hub.subscribe("a") as subscription:
            with redis.Redis.from_url(valkey_url) as other:
                other.publish("tabular:progress:a", b"\x80not json")
                other.publish("tabular:progress:a", b"[1]")
            hub.publish("a", {"mine": True})
            return await subscription.next(3)

    assert asyncio.run(run()) == {"mine": True}


async def collect(hub: Hub, states: list[Event], interval: float) -> list[Event]:
    """Follow a job whose database shows `states` one after the other."""

    async def read_state() -> Event:
        return states.pop(0) if len(states) > 1 else states[0]

    following = follow(hub, "a", read_state, is_final=is_final, interval=interval)
    return [state async for state in following]


def test_follow_polls_the_database_when_no_event_comes(hub: Hub) -> None:
    states: list[Event] = [{"rows": 0}, {"rows": 0}, {"rows": 5}, {"rows": 9, "status": "done"}]
    found = asyncio.run(collect(hub, states, 0.02))
    assert found == [{"rows": 0}, {"rows": 5}, {"rows": 9, "status": "done"}]


def test_follow_is_woken_by_events_but_believes_the_database_about_the_end(hub: Hub) -> None:
    database: Event = {"rows": 0}

    async def read_state() -> Event:
        return dict(database)

    async def run() -> tuple[list[Event], float]:
        found: list[Event] = []
        start = time.monotonic()
        async for state in follow(hub, "a", read_state, is_final=is_final, interval=30):
            found.append(state)
            if len(found) == 1:
                hub.publish("a", {"rows": 3, "event_id": 7})
            elif len(found) == 2:
                hub.publish("a", {"rows": 99, "status": "done"})  # before it is so
                database.update(rows=4, status="done")
        return found, time.monotonic() - start

    found, seconds = asyncio.run(run())
    assert found == [{"rows": 0}, {"rows": 3, "event_id": 7}, {"rows": 4, "status": "done"}]
    assert seconds < 5


def test_a_dead_broker_leaves_the_database(tmp_path: Path) -> None:
    hub = open_hub(f"redis://user:canary-password@127.0.0.1:{free_port()}/0")
    with pytest.raises(UnavailableError) as caught:
        hub.publish("a", {})
    assert "canary" not in str(caught.value)
    found = asyncio.run(collect(hub, [{"rows": 0}, {"rows": 1, "status": "done"}], 0.02))
    assert found[-1] == {"rows": 1, "status": "done"}


def test_a_broker_that_hangs_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = open_hub(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        begun = time.monotonic()
        for _ in range(100):
            with pytest.raises(UnavailableError):
                hub.publish("a", {})
        found = asyncio.run(collect(hub, [{"rows": 0}, {"rows": 1, "status": "done"}], 0.02))
        assert time.monotonic() - begun < 20  # each alone would wait for half a second or more
    assert found[-1] == {"rows": 1, "status": "done"}


def test_a_broker_that_dies_while_followed_leaves_the_database(tmp_path: Path) -> None:
    database: Event = {"rows": 0}
    port = free_port()
    hub = open_hub(f"redis://127.0.0.1:{port}/0")

    async def read_state() -> Event:
        return dict(database)

    async def run() -> list[Event]:
        found: list[Event] = []
        server = valkey_server(tmp_path, port=port)
        server.__enter__()
        async for state in follow(hub, "a", read_state, is_final=is_final, interval=0.05):
            found.append(state)
            if len(found) == 1:
                server.__exit__(None, None, None)
                database["rows"] = 1
            elif len(found) == 2:
                database["status"] = "done"
        return found

    assert asyncio.run(run()) == [{"rows": 0}, {"rows": 1}, {"rows": 1, "status": "done"}]

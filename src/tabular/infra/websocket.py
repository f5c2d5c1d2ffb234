"""Live progress of jobs, from the process that runs a job to the one that holds the websocket.

The database is the truth about a job; what travels here is only its freshness. An event that is
lost costs a moment until the next look into the database, so publishing needs no
acknowledgement and a slow reader loses the oldest events, never the service's memory.

``memory://`` reaches readers within one process; ``redis://`` reaches every replica. `follow`
joins both with looks into the database, and that alone suffices where worker and API are
different processes without Redis, or with Memcached, which has nothing to subscribe to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from tabular.errors import InputError, UnavailableError
from tabular.infra.cache import SCHEMES
from tabular.infra.urls import options, public, split

EVENTS_PER_BEAT = 1000
MAX_EVENT = 64 * 1024
KEPT_EVENTS = 64

Event = dict[str, Any]

_LOG = logging.getLogger(__name__)


class Subscription(Protocol):
    """The events of one job from the moment of subscribing."""

    async def next(self, timeout: float) -> Event | None:
        """The next event, or None when none comes within `timeout` seconds.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...


class Hub(Protocol):
    """Where events are published and subscribed to. Safe to use from several threads."""

    @property
    def where(self) -> str:
        """The place, without credentials."""
        ...

    def publish(self, job_id: str, event: Mapping[str, Any]) -> None:
        """Send an event to whoever follows the job now.

        Args:
            job_id: the job.
            event: JSON data, at most 64 KiB.

        Raises:
            UnavailableError: the broker does not answer; the job itself must go on.
        """
        ...

    def subscribe(self, job_id: str) -> contextlib.AbstractAsyncContextManager[Subscription]:
        """Follow a job for the time of an ``async with`` block; ready once it is entered."""
        ...

    def ping(self) -> None:
        """Return when the broker answers."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


def event_id(beat: int, count: int = 0) -> int:
    """The number of a state: it grows with each change of a job, in every process.

    Args:
        beat: of the job's row.
        count: of what was told since the row said so, below `EVENTS_PER_BEAT`.
    """
    return beat * EVENTS_PER_BEAT + count


def encode(event: Mapping[str, Any]) -> bytes:
    """An event as JSON.

    Raises:
        InputError: larger than 64 KiB.
    """
    raw = json.dumps(dict(event), separators=(",", ":")).encode()
    if len(raw) > MAX_EVENT:
        raise InputError(f"a progress event has {len(raw)} bytes; at most {MAX_EVENT} are allowed")
    return raw


def decode(raw: bytes) -> Event | None:
    """The event in a message, or None when it is not one of ours."""
    try:
        event = json.loads(raw)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


class MemoryHub:
    """Events within one process, between any threads and event loops."""

    where = "memory://"

    def __init__(self) -> None:
        self._subscribers: dict[str, set[_MemorySubscription]] = {}
        self._lock = threading.Lock()

    def publish(self, job_id: str, event: Mapping[str, Any]) -> None:
        """Hand the event to each subscriber's own loop."""
        raw = encode(event)
        with self._lock:
            subscribers = list(self._subscribers.get(job_id, ()))
        for subscriber in subscribers:
            subscriber.offer(raw)

    @contextlib.asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncIterator[Subscription]:
        """Follow a job."""
        subscription = _MemorySubscription(asyncio.get_running_loop())
        with self._lock:
            self._subscribers.setdefault(job_id, set()).add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                followers = self._subscribers[job_id]
                followers.discard(subscription)
                if not followers:
                    del self._subscribers[job_id]

    def ping(self) -> None:
        """Nothing to ask."""

    def close(self) -> None:
        """Nothing to give back."""


class _MemorySubscription:
    """The last events for one reader; a full buffer drops its oldest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[bytes] = deque(maxlen=KEPT_EVENTS)
        self._arrived = asyncio.Event()

    def offer(self, raw: bytes) -> None:
        """Called from any thread."""
        self._events.append(raw)
        with contextlib.suppress(RuntimeError):  # the reader's loop has ended
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def next(self, timeout: float) -> Event | None:
        """The next event."""
        deadline = self._loop.time() + timeout
        # The notice of an event that was read already may come later: then nothing is there yet.
        while not self._events and (left := deadline - self._loop.time()) > 0:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left)
        return decode(self._events.popleft()) if self._events else None


class SilentHub:
    """No events at all: whoever follows a job looks into the database at each interval."""

    def __init__(self, where: str) -> None:
        self.where = where

    def publish(self, job_id: str, event: Mapping[str, Any]) -> None:
        """Check the event, and let the database tell of it."""
        encode(event)

    @contextlib.asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncIterator[Subscription]:
        """Wait without anything to come."""
        yield _Silence()

    def ping(self) -> None:
        """Nothing to ask."""

    def close(self) -> None:
        """Nothing to give back."""


class _Silence:
    async def next(self, timeout: float) -> Event | None:
        """Nothing, after the time."""
        await asyncio.sleep(timeout)
        return None


def open_hub(url: str) -> Hub:
    """The hub at `url` (the cache's URL); nothing is contacted before the first call.

    Args:
        url: ``memory://``, ``redis://…`` or ``memcached://…``.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """
    parts = split(url, SCHEMES, what="progress")
    if parts.scheme == "memcached":
        from tabular.infra.memcached_client import servers

        servers(url, what="progress")
        return SilentHub(public(url))
    if parts.scheme == "memory":
        options(parts, (), what="progress")
        return MemoryHub()
    from tabular.infra.redis_client import check_url
    from tabular.infra.redis_hub import RedisHub

    check_url(url, what="progress")
    return RedisHub(url)


async def follow(
    hub: Hub,
    job_id: str,
    read_state: Callable[[], Awaitable[Event]],
    *,
    is_final: Callable[[Event], bool],
    interval: float = 1.0,
    after: int | None = None,
) -> AsyncIterator[Event]:
    """The states of a job as they change, up to and including its final one.

    Args:
        hub: where its events are published. One with an ``event_id`` is a state; any other
            says that the database knows more.
        job_id: the job.
        read_state: reads the job's present state from the database.
        is_final: whether nothing comes after a state.
        interval: seconds between looks into the database while no event comes.
        after: the ``event_id`` of the last state that is known already.

    Yields:
        States that differ from the one before and are not older. A final state is always read
        from the database, so an event cannot end a job that the database does not know as
        ended, and always yielded.
    """
    async with _subscribed(hub, job_id) as subscription:
        known = -1 if after is None else after
        last: Event = {}
        state = await read_state()
        while True:
            number = state.get("event_id", known + 1)
            if is_final(state) or (number > known and not _same(state, last)):
                last = state
                yield state
                if is_final(state):
                    return
            known = max(known, number)
            event = await _next(subscription, interval)
            told = event is not None and "event_id" in event and not is_final(event)
            state = event if event is not None and told else await read_state()


def _same(state: Event, other: Event) -> bool:
    return {**state, "event_id": None} == {**other, "event_id": None}


@contextlib.asynccontextmanager
async def _subscribed(hub: Hub, job_id: str) -> AsyncIterator[Subscription | None]:
    """A subscription, or None when the broker is away: the database is looked at then."""
    async with contextlib.AsyncExitStack() as stack:
        subscription: Subscription | None = None
        try:
            subscription = await stack.enter_async_context(hub.subscribe(job_id))
        except UnavailableError as error:
            _LOG.warning("progress of %s is read from the database: %s", job_id, error.message)
        yield subscription


async def _next(subscription: Subscription | None, interval: float) -> Event | None:
    if subscription is not None:
        try:
            return await subscription.next(interval)
        except UnavailableError as error:
            _LOG.debug("no live progress: %s", error.message)
    await asyncio.sleep(interval)
    return None

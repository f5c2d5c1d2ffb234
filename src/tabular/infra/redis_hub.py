"""Progress events through the publish/subscribe of Redis or Valkey, for several replicas."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tabular.infra.breaker import PATIENCE, Breaker
from tabular.infra.optional import require
from tabular.infra.redis_client import (
    CONNECT_TIMEOUT,
    brief,
    connect,
    explained,
    redis_module,
    unavailable,
)
from tabular.infra.urls import public
from tabular.infra.websocket import Event, Subscription, decode, encode

PAUSE = 5.0  # seconds without live events after a failure; the database is looked at meanwhile
_NAMESPACE = "tabular:progress:"


class RedisHub:
    """Events on one channel a job. Publishing is synchronous, following asynchronous."""

    def __init__(self, url: str) -> None:
        self._url = url
        # The heart of a job beats in the thread that publishes: it must never wait for long.
        self._publisher: Any = connect(url, **brief(PATIENCE))
        self._client: Any = connect(url)
        self._breaker = Breaker(PAUSE)

    @property
    def where(self) -> str:
        """The server, without credentials."""
        return public(self._url)

    def publish(self, job_id: str, event: Mapping[str, Any]) -> None:
        """Send to every subscriber of every replica; a server that failed lately is not asked."""
        raw = encode(event)
        self._breaker.ask(lambda: self._send(job_id, raw))

    def _send(self, job_id: str, raw: bytes) -> None:
        with explained(self._url, "progress channel"):
            self._publisher.publish(_NAMESPACE + job_id, raw)

    @contextlib.asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncIterator[Subscription]:
        """Follow a job over a connection of its own."""
        aio = require("redis.asyncio", extra="redis", needed_by="redis:// URLs")
        client = aio.Redis.from_url(self._url, socket_connect_timeout=CONNECT_TIMEOUT)
        channel = client.pubsub(ignore_subscribe_messages=False)
        try:
            with explained(self._url, "progress channel"):
                async with asyncio.timeout(2 * CONNECT_TIMEOUT):  # its greeting has no limit
                    await channel.subscribe(_NAMESPACE + job_id)
                    await channel.get_message(timeout=CONNECT_TIMEOUT)  # the confirmation
            yield _RedisSubscription(self._url, channel)
        finally:
            await channel.aclose()
            await client.aclose()

    def ping(self) -> None:
        """Ask the server."""
        with explained(self._url, "progress channel"):
            self._client.ping()

    def close(self) -> None:
        """Close the publishing connections."""
        self._publisher.close()
        self._client.close()


class _RedisSubscription:
    def __init__(self, url: str, channel: Any) -> None:
        self._url = url
        self._channel = channel

    async def next(self, timeout: float) -> Event | None:
        """The next event; messages that are not ours are skipped."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (left := deadline - loop.time()) > 0:
            message = await self._message(left)
            if message is not None and message["type"] == "message":
                event = decode(message["data"])
                if event is not None:
                    return event
        return None

    async def _message(self, timeout: float) -> Any:
        try:
            return await self._channel.get_message(timeout=timeout)
        except (redis_module().RedisError, OSError) as error:
            raise unavailable(self._url, "progress channel", error) from error

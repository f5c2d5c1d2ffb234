"""Queues in a broker, through kombu: memory for one process; Redis, Valkey or RabbitMQ across
machines.

Kombu retries a dead broker a hundred times by default and hands out messages it has fetched
ahead. Both are wrong here: a request must learn at once that its wake-up was not sent, and a
worker that runs one job must not hold the next. So connections are made without retries, one
message is fetched at a time, and a connection that failed is dropped and made anew; while a
broker cannot be reached, most calls fail at once instead of each waiting for it.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from kombu import connection as kombu_connection
from kombu import simple as kombu_simple

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.queue import Message, acceptable_id, check_id
from tabular.infra.redis_client import (
    ANSWER_TIMEOUT,
    CONNECT_TIMEOUT,
    TLS_OPTIONS,
    check_url,
    redis_module,
)
from tabular.infra.urls import options, public

_LOG = logging.getLogger(__name__)
_NAME = "tabular.jobs"
_AMQP = ("amqp", "amqps")
_SEND_TIMEOUT = 1.0  # seconds; a request waits for it, and the job is found without it
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts to connect

_Connection: Any = kombu_connection.Connection  # kombu ships a type marker and few types
_SimpleQueue: Any = kombu_simple.SimpleQueue


class _Link(NamedTuple):
    connection: Any
    queue: Any


class _ConsumingQueue(_SimpleQueue):  # type: ignore[misc]  # it is Any, see above
    """A queue that is consumed only while somebody waits.

    RabbitMQ pushes: a consumer left open would be handed the next message while its worker
    is busy, and hold it.
    """

    _consuming: bool = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next message."""
        try:
            return super().get(block, timeout)
        except self.Empty:
            self._cancel()
            if self.buffer:  # it came before the server had read that we stop
                return self.buffer.popleft()
            raise
        finally:
            self._cancel()

    def _cancel(self) -> None:
        if self._consuming:
            self._consuming = False
            self.consumer.cancel()


class _Pause(NamedTuple):
    """When to connect next, after so many seconds' pause."""

    until: float
    seconds: float


class BrokerQueue:
    """A queue that kombu reaches. One connection sends, another receives."""

    def __init__(self, url: str, *, visibility_timeout: float) -> None:
        parts = urlsplit(url)
        self._url = url
        self._scheme = parts.scheme
        self._in_memory = parts.scheme == "memory"
        self._name = f"{_NAME}.{parts.netloc}" if self._in_memory else _NAME
        self._tls = _tls_options(parts)
        self._visibility = visibility_timeout
        if parts.scheme in _AMQP:
            _check_amqp(parts)
        elif not self._in_memory:
            check_url(url, what="queue")
            redis_module()
        self._links: dict[str, _Link] = {}
        self._pauses: dict[str, _Pause] = {}
        self._locks = {"send": threading.RLock(), "receive": threading.RLock()}

    @property
    def where(self) -> str:
        """The broker, without credentials."""
        return public(self._url)

    def send(self, id: str) -> None:
        """Publish the id; returns once the broker has it."""
        check_id(id)
        with self._link("send") as link:
            timeouts = {"timeout": _SEND_TIMEOUT, "confirm_timeout": _SEND_TIMEOUT}
            link.queue.put({"id": id}, retry=False, **timeouts)

    def receive(self, timeout: float) -> Message | None:
        """Wait for a message; foreign ones are dropped with a warning."""
        with self._link("receive") as link:
            try:
                raw = link.queue.get(block=True, timeout=max(0.01, timeout))
            except link.queue.Empty:
                link.queue.queue.declare()  # kombu takes a dead broker for an empty queue
                return None
            id = acceptable_id(_field(raw.payload))
            if id is None:
                _LOG.warning("a message that is not a job id was dropped from %s", self.where)
                raw.ack()
                return None
        return Message(
            id, lambda: self._settle(raw, raw.ack), lambda: self._settle(raw, raw.requeue)
        )

    def ping(self) -> None:
        """Declare the queue again, which changes nothing and needs an answer."""
        with self._link("send") as link:
            link.queue.queue.declare()

    def close(self) -> None:
        """Close both connections; messages not acknowledged go back."""
        for side in self._locks:
            with self._locks[side]:
                self._drop(side)

    @contextlib.contextmanager
    def _link(self, side: str) -> Iterator[_Link]:
        """The open connection of one side; an error of the broker drops it."""
        with self._locks[side]:
            link = self._links.get(side)
            if link is None:
                self._check_pause(side)
            connection = link.connection if link else self._connection(side)
            failures = (*connection.connection_errors, *connection.channel_errors, OSError)
            try:
                if link is None:
                    link = self._connect(side, connection)
                yield link
            except failures as error:
                self._drop(side)
                raise self._unavailable(error) from error

    def _check_pause(self, side: str) -> None:
        pause = self._pauses.get(side)
        if pause is not None and time.monotonic() < pause.until:
            reason = f"it was tried within the last {pause.seconds:g} s, in vain"
            raise self._unavailable(ConnectionError(reason))

    def _connect(self, side: str, connection: Any) -> _Link:
        """Open a connection; each failure doubles the time until the next attempt."""
        pause = self._pauses.get(side)
        seconds = _FIRST_PAUSE if pause is None else min(_LONGEST_PAUSE, 2 * pause.seconds)
        link = None
        try:
            link = self._links[side] = self._open(connection)
        finally:
            if link is None:
                self._pauses[side] = _Pause(time.monotonic() + seconds, seconds)
        self._pauses.pop(side, None)
        return link

    def _connection(self, side: str) -> Any:
        brief = _SEND_TIMEOUT if side == "send" else ANSWER_TIMEOUT
        return _Connection(
            self._url.partition("?")[0] if not self._in_memory else "memory://",
            connect_timeout=min(CONNECT_TIMEOUT, brief),
            ssl=self._tls,
            transport_options=_transport_options(self._scheme, self._visibility, brief),
        )

    def _open(self, connection: Any) -> _Link:
        channel = connection.channel()
        if self._scheme in _AMQP:
            queue = _ConsumingQueue(channel, self._name, accept=["json"])
            queue.consumer.qos(prefetch_count=1)
            return _Link(connection, queue)
        if not self._in_memory:
            # At exit kombu would requeue, and pickle to /tmp what a dead broker does not
            # take back. The broker delivers again by itself after the visibility time-out.
            channel.do_restore = False
        queue = _SimpleQueue(channel, self._name, accept=["json"])
        queue.consumer.qos(prefetch_count=1)
        queue.queue.declare()
        return _Link(connection, queue)

    def _drop(self, side: str) -> None:
        link = self._links.pop(side, None)
        if link is None:
            return
        errors = (*link.connection.connection_errors, *link.connection.channel_errors, OSError)
        try:
            link.connection.release()
        except errors as error:
            _LOG.debug("closing a broken connection to %s: %s", self.where, error)

    def _settle(self, raw: Any, action: Callable[[], None]) -> None:
        """Acknowledge or requeue; without the broker it will deliver the message again."""
        with self._locks["receive"]:
            link = self._links.get("receive")
            if link is None or raw.acknowledged:
                return
            errors = (*link.connection.connection_errors, *link.connection.channel_errors, OSError)
            try:
                action()
            except errors as error:
                _LOG.warning("queue message not settled, it will come again: %s", error)
                self._drop("receive")

    def _unavailable(self, error: BaseException) -> UnavailableError:
        return UnavailableError(
            f"the queue does not answer: {str(error) or type(error).__name__}",
            where=self.where,
            hint="check that the broker runs and that TABULAR_QUEUE_URL is right",
        )


def _transport_options(scheme: str, visibility_timeout: float, answer: float) -> dict[str, Any]:
    if scheme == "memory":
        return {"polling_interval": 0.02}
    if scheme in _AMQP:  # where a message comes again as soon as its connection is gone
        return {
            "confirm_publish": True,  # sent means that the broker has it
            "read_timeout": answer,
            "write_timeout": answer,
        }
    return {
        "visibility_timeout": visibility_timeout,
        "global_keyprefix": "tabular:queue:",
        "socket_timeout": answer,
        "socket_connect_timeout": min(CONNECT_TIMEOUT, answer),
        "unacked_restore_throttle": 1,
        "max_retries": 0,
    }


def _check_amqp(parts: SplitResult) -> None:
    options(parts, TLS_OPTIONS if parts.scheme == "amqps" else (), what="queue")
    if not parts.hostname:
        raise ConfigError(
            "the queue URL names no host",
            where=public(parts.geturl()),
            hint="write amqp://user:password@host:5672/vhost",
        )


def _tls_options(parts: SplitResult) -> dict[str, Any] | bool:
    """Verify the broker's certificate and name; kombu's defaults do neither, or only one."""
    if parts.scheme not in ("rediss", "amqps"):
        return False
    given = options(parts, TLS_OPTIONS, what="queue")
    if parts.scheme == "amqps":
        named = {key.removeprefix("ssl_"): value for key, value in given.items()}
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname, **named}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **given}


def _field(payload: Any) -> Any:
    return payload.get("id") if isinstance(payload, dict) else None

"""Queues in a broker, through kombu: memory for one process, Redis or Valkey across machines.

Kombu retries a dead broker a hundred times by default and hands out messages it has fetched
ahead. Both are wrong here: a request must learn at once that its wake-up was not sent, and a
worker that runs one job must not hold the next. So connections are made without retries, one
message is fetched at a time, and a connection that failed is dropped and made anew.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from kombu import connection as kombu_connection
from kombu import simple as kombu_simple

from tabular.errors import InputError, UnavailableError
from tabular.infra.queue import Message, check_id
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

_Connection: Any = kombu_connection.Connection  # kombu ships a type marker and few types
_SimpleQueue: Any = kombu_simple.SimpleQueue


class _Link(NamedTuple):
    connection: Any
    queue: Any


class BrokerQueue:
    """A queue that kombu reaches. One connection sends, another receives."""

    def __init__(self, url: str, *, visibility_timeout: float) -> None:
        parts = urlsplit(url)
        self._url = url
        self._in_memory = parts.scheme == "memory"
        self._name = f"{_NAME}.{parts.netloc}" if self._in_memory else _NAME
        self._tls = _tls_options(parts)
        self._options = _transport_options(self._in_memory, visibility_timeout)
        if not self._in_memory:
            check_url(url, what="queue")
            redis_module()
        self._links: dict[str, _Link] = {}
        self._locks = {"send": threading.RLock(), "receive": threading.RLock()}

    @property
    def where(self) -> str:
        """The broker, without credentials."""
        return public(self._url)

    def send(self, id: str) -> None:
        """Publish the id; returns once the broker has it."""
        check_id(id)
        with self._link("send") as link:
            link.queue.put({"id": id}, retry=False)

    def receive(self, timeout: float) -> Message | None:
        """Wait for a message; foreign ones are dropped with a warning."""
        with self._link("receive") as link:
            try:
                raw = link.queue.get(block=True, timeout=max(0.01, timeout))
            except link.queue.Empty:
                link.queue.queue.declare()  # kombu takes a dead broker for an empty queue
                return None
            id = _id_of(raw.payload)
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
            connection = link.connection if link else self._connection()
            failures = (*connection.connection_errors, *connection.channel_errors, OSError)
            try:
                if link is None:
                    link = self._links[side] = self._open(connection)
                yield link
            except failures as error:
                self._drop(side)
                raise self._unavailable(error) from error

    def _connection(self) -> Any:
        return _Connection(
            self._url.partition("?")[0] if not self._in_memory else "memory://",
            connect_timeout=CONNECT_TIMEOUT,
            ssl=self._tls,
            transport_options=self._options,
        )

    def _open(self, connection: Any) -> _Link:
        channel = connection.connection.create_channel(connection.connection)
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


def _transport_options(in_memory: bool, visibility_timeout: float) -> dict[str, Any]:
    if in_memory:
        return {"polling_interval": 0.02}
    return {
        "visibility_timeout": visibility_timeout,
        "global_keyprefix": "tabular:queue:",
        "socket_timeout": ANSWER_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "unacked_restore_throttle": 1,
        "max_retries": 0,
    }


def _tls_options(parts: SplitResult) -> dict[str, Any] | bool:
    """Verify the broker's certificate and name; kombu's default for ``rediss`` does neither."""
    if parts.scheme != "rediss":
        return False
    given = options(parts, TLS_OPTIONS, what="queue")
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **given}


def _id_of(payload: Any) -> str | None:
    id = payload.get("id") if isinstance(payload, dict) else None
    if not isinstance(id, str):
        return None
    try:
        return check_id(id)
    except InputError:
        return None

"""Wake-ups for workers, by URL: a folder on one machine, a broker through kombu, or a cloud's.

A message is the id of a job and nothing more. The database is the truth, so a message that is
lost or delivered twice does no harm: the sweep of the worker finds the job, and a claim is
taken only once. What the queue adds is speed and a fair spread over workers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tabular.errors import InputError
from tabular.infra.urls import local_path, options, split

__all__ = [
    "SCHEMES",
    "VISIBILITY_TIMEOUT",
    "Message",
    "Queue",
    "acceptable_id",
    "check_id",
    "open_queue",
]

# Each scheme and the pip extra that it needs.
SCHEMES = {
    "filesystem": "",
    "memory": "",
    "redis": "redis",
    "rediss": "redis",
    "amqp": "",
    "amqps": "",
    "sqs": "aws",
    "gcpubsub": "gcp",
    "azureservicebus": "azure",
}
VISIBILITY_TIMEOUT = 60.0  # seconds; twice the default lease of a job

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


@dataclass(frozen=True)
class Message:
    """One delivery. Call `ack` or `reject` once; neither raises when the broker is gone.

    Attributes:
        id: what was sent.
        ack: it was taken over; do not deliver it again.
        reject: give it to another worker at once.
    """

    id: str
    ack: Callable[[], None] = field(repr=False)
    reject: Callable[[], None] = field(repr=False)


class Queue(Protocol):
    """Ids from senders to receivers; each to one receiver, again if it is not acknowledged.

    Methods raise UnavailableError when the broker does not answer; the next call tries
    afresh. Safe to use from several threads.
    """

    @property
    def where(self) -> str:
        """The place, without credentials."""
        ...

    def send(self, id: str) -> None:
        """Put an id at the end.

        Raises:
            InputError: not 1 to 128 letters, digits, ``. _ -``.
        """
        ...

    def receive(self, timeout: float) -> Message | None:
        """The next message, or None when none comes within `timeout` seconds."""
        ...

    def ping(self) -> None:
        """Return when the broker answers."""
        ...

    def close(self) -> None:
        """Give connections back; messages not acknowledged are delivered again."""
        ...


def open_queue(url: str, *, visibility_timeout: float = VISIBILITY_TIMEOUT) -> Queue:
    """The queue at `url`; a broker is not contacted before the first call.

    Args:
        url: ``filesystem:///folder``, ``memory://name`` (one process), ``redis://…``,
            ``amqp://…``, ``sqs://queue?region=…``, ``gcpubsub://project/queue`` or
            ``azureservicebus://namespace/queue``.
        visibility_timeout: seconds after which a message that was neither acknowledged nor
            rejected (its worker died) is delivered again.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """
    parts = split(url, SCHEMES, what="queue")
    if parts.scheme == "filesystem":
        from tabular.infra.queue.spool import SpoolQueue

        options(parts, (), what="queue")
        return SpoolQueue(local_path(parts, what="queue"), visibility_timeout=visibility_timeout)
    if parts.scheme == "sqs":
        from tabular.infra.queue.sqs import SqsQueue

        return SqsQueue(url, visibility_timeout=visibility_timeout)
    if parts.scheme == "gcpubsub":
        from tabular.infra.queue.pubsub import PubSubQueue

        return PubSubQueue(url, visibility_timeout=visibility_timeout)
    if parts.scheme == "azureservicebus":
        from tabular.infra.queue.servicebus import ServiceBusQueue

        return ServiceBusQueue(url, visibility_timeout=visibility_timeout)
    from tabular.infra.queue.broker import BrokerQueue

    return BrokerQueue(url, visibility_timeout=visibility_timeout)


def check_id(id: str) -> str:
    """The id itself when it can be a message.

    Raises:
        InputError: not 1 to 128 letters, digits, ``. _ -``, or it begins with a sign.
    """
    if not _ID.match(id):
        raise InputError(
            f"{id[:40]!r} cannot be the id of a message",
            hint="use 1 to 128 letters, digits, dots, dashes and underscores",
        )
    return id


def acceptable_id(value: object) -> str | None:
    """What a message says, when it is an id; None for what somebody else put there."""
    return value if isinstance(value, str) and _ID.match(value) else None

"""The cache that pods share, and the broker that wakes workers."""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.onprem.secrets.given import GivenSecret
from tabular.deploy.spec.quantities import BINARY

from . import existing as secrets
from .wanted import Values, Wanted, said, size

CACHE_KEY, QUEUE_KEY = "cache-password", "queue-password"


def values(wanted: Wanted) -> Values:
    """Values of Redis and RabbitMQ, each where it is wanted."""
    found: Values = {}
    cache, queue = wanted.cache, wanted.spec.queue
    if cache is not None:
        found["redis"] = said(
            enabled=True,
            **_memory(cache.size),
            auth=secrets.references(cache.password, "spec.cache.password", "password"),
        )
    if wanted.broker and queue is not None:
        found["rabbitmq"] = said(
            enabled=True,
            persistence=said(size=None if queue.size is None else size(queue.size)),
            auth=secrets.references(queue.password, "spec.queue.password", "password"),
        )
    return found


def _memory(amount: int | None) -> Values:
    """What the server holds, and room for what it needs beside it."""
    if amount is None:
        return {}
    mib = -(-amount // BINARY["Mi"])
    return {
        "maxMemory": f"{mib}mb",
        "resources": {
            "requests": {"memory": f"{mib}Mi"},
            "limits": {"memory": f"{max(512, mib * 3 // 2)}Mi"},
        },
    }


def given(wanted: Wanted) -> Iterator[GivenSecret]:
    """Passwords of the servers."""
    cache, queue = wanted.cache, wanted.spec.queue
    if cache is not None:
        yield from secrets.given(cache.password, CACHE_KEY, "spec.cache.password")
    if wanted.broker and queue is not None:
        yield from secrets.given(queue.password, QUEUE_KEY, "spec.queue.password")

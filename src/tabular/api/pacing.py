"""Uploads that come to a standstill, or are too many, must not hold the places of others.

An upload holds a thread until its end. Only the time that the client lets us wait counts: a slow
store is not its fault.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from anyio import fail_after
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from tabular.errors import RateLimitedError


@dataclass(frozen=True)
class Pace:
    """How slowly an upload may come.

    Attributes:
        idle: seconds without a byte.
        grace: seconds of waiting in all after which the pace counts.
        least: bytes per second of waiting, on the average.
    """

    idle: float = 30.0
    grace: float = 60.0
    least: float = 1024.0


def paced(receive: Receive, pace: Pace) -> Receive:
    """`receive` that gives up on a client that sends nothing, or hardly anything.

    It raises an `HTTPException` with 408 then, which closes the connection.
    """
    waited = received = 0.0

    async def following() -> Message:
        nonlocal waited, received
        began = time.monotonic()
        try:
            with fail_after(pace.idle):
                message = await receive()
        except TimeoutError as error:
            raise _too_slow(f"no byte came for {pace.idle:g} seconds") from error
        waited += time.monotonic() - began
        received += len(message.get("body", b""))
        if waited > pace.grace and received < pace.least * waited:
            raise _too_slow(f"the upload came with less than {pace.least:g} bytes a second")
        return message

    return following


def _too_slow(reason: str) -> HTTPException:
    return HTTPException(408, reason, headers={"Connection": "close"})


class Slots:
    """Counts what each key does at once in this process.

    Args:
        most: uploads of one key.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, key: str) -> Iterator[None]:
        """Hold one place of a key.

        Raises:
            RateLimitedError: all of them are held.
        """
        with self._lock:
            if self._taken[key] >= self._most:
                raise RateLimitedError(
                    f"{self._most} uploads of this key are under way",
                    retry_after=5,
                    hint="wait until one of them has ended",
                )
            self._taken[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]

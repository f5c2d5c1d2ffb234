"""Leaves a server alone for a moment after it failed, so that one which hangs costs little.

A server that is gone fails at once; one that hangs takes a time limit each time it is asked. Who
asks again and again, for every request or every step of a job, would spend most of its time
waiting for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Says whether to ask a server at all. Safe to use from several threads.

    Args:
        pause: seconds for which a server that failed is not asked.
        clock: monotonic seconds.
    """

    def __init__(self, pause: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = pause, clock
        self._not_before = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the server failed so lately that it is not to be asked."""
        return self._clock() < self._not_before

    def failed(self) -> None:
        """It failed just now."""
        self._not_before = self._clock() + self._pause

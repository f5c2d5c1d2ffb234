"""The bound on asking a store again, the same for every driver."""

from __future__ import annotations

import random
import time

MAX_RETRIES = 3
TIMEOUT = 30.0
FIRST_WAIT = 0.1
LONGEST_WAIT = 2.0


class Retries:
    """How often and how long one operation may be repeated."""

    def __init__(self) -> None:
        self._count = 0
        self._began = time.monotonic()

    def wait(self, asked: str | None = None) -> bool:
        """Wait before the next try; False when there must be none.

        Args:
            asked: a ``Retry-After`` header in seconds, followed up to the longest wait.
        """
        if self._count >= MAX_RETRIES or time.monotonic() - self._began > TIMEOUT:
            return False
        pause = random.uniform(0.5, 1.0) * FIRST_WAIT * 2**self._count  # noqa: S311 - no secret
        if asked is not None and asked.isdigit():
            pause = max(pause, float(asked))
        time.sleep(min(pause, LONGEST_WAIT))
        self._count += 1
        return True

"""Leaves a server alone for a moment after it failed, so that one which hangs costs little.

A server that is gone fails at once; one that hangs takes a time limit each time it is asked. Who
asks again and again, for every request or every step of a job, would spend most of its time
waiting for it; a few dozen requests that wait are all threads of a process. So after the moment a
few look for all, until one of them has an answer.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tabular.errors import UnavailableError

Result = TypeVar("Result")

PAUSE = 1.0  # seconds for which a server that failed is not asked
PATIENCE = 1.0  # seconds for an answer that every request waits for
LEFT_ALONE = "unavailable.left-alone"
_LOOKS = 4  # questions at once to a server that has not answered again yet


class Breaker:
    """Says whether to ask a server at all. Safe to use from several threads.

    Args:
        pause: seconds for which a server that failed is not asked.
        clock: monotonic seconds.
    """

    def __init__(self, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = pause, clock
        self._not_before = float("-inf")
        self._doubted = False
        self._looking = 0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the server failed so lately that it is not to be asked."""
        return self._clock() < self._not_before

    def failed(self) -> None:
        """It failed just now."""
        self._not_before = self._clock() + self._pause
        self._doubted = True

    def ask(
        self,
        question: Callable[[], Result],
        failures: tuple[type[Exception], ...] = (UnavailableError,),
    ) -> Result:
        """The answer to a question, unless the server is left alone; see `asking`.

        Args:
            question: asks the server.
            failures: what it raises when the server does not answer; raised here too.

        Raises:
            UnavailableError: it failed a moment ago and is not asked.
        """
        with self.asking(failures):
            return question()

    @contextlib.contextmanager
    def asking(self, failures: tuple[type[Exception], ...] = (UnavailableError,)) -> Iterator[None]:
        """Ask the server within the block, which may wait in an event loop too.

        Args:
            failures: what the block raises when the server does not answer; raised here too.

        Raises:
            UnavailableError: it failed a moment ago and is not asked.
        """
        looks = self._doubted
        if looks:
            self._begin_look()
        try:
            yield
        except failures:
            self.failed()
            raise
        else:
            self._doubted = False
        finally:
            if looks:
                with self._lock:
                    self._looking -= 1

    def _begin_look(self) -> None:
        with self._lock:
            if self.is_open or self._looking >= _LOOKS:
                raise UnavailableError(
                    "a server that did not answer a moment ago is left alone", code=LEFT_ALONE
                )
            self._looking += 1

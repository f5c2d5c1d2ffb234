"""Signs of life of a worker's main loop, also while one step of it takes long.

The loop says again and again how long it may be silent. A thread gives the signs meanwhile: one
step that takes minutes, such as removing many objects, is no hanging, and a loop that hangs falls
silent when its time is over. A stopped process falls silent at once, its thread with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

EVERY = 5.0  # seconds between signs
STEP = 600.0  # seconds that one step between two turns of the loop may take


class Heart:
    """Gives signs of life as long as the loop is not overdue.

    Args:
        sign: gives one; called from a thread.
        step: seconds that the loop may be silent.
        every: seconds between signs.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        sign: Callable[[], None],
        *,
        step: float = STEP,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sign = sign
        self._step = step
        self._every = every
        self._clock = clock
        self._over = threading.Event()
        self._until = clock() + step
        self._thread = threading.Thread(target=self._go_on, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to give signs."""
        self._sign()
        self._thread.start()

    def turn(self) -> None:
        """The loop turns: it may be silent for another step."""
        self._until = self._clock() + self._step

    def close(self) -> None:
        """Give no more signs."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _go_on(self) -> None:
        while not self._over.wait(self._every):
            if self._clock() < self._until:
                self._sign()

"""Work that goes on when nobody looks: a thread that does it, and an iterator that tells of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from tabular.deploy.events import Event


class Work:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._do, args=(call,), daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it did all it does."""
        return not self._thread.is_alive()

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self._error is not None

    def error(self) -> BaseException | None:
        """Wait for its end; what it raised, None if nothing."""
        self._thread.join()
        return self._error

    def result(self) -> None:
        """Wait for its end, and raise what it raised."""
        error = self.error()
        if error is not None:
            raise error

    def _do(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error


def in_background(steps: Iterator[Event]) -> Iterator[Event]:
    """The same events; the steps are gone to their end also when this iterator is dropped."""
    told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def go() -> None:
        try:
            for event in steps:
                told.put(event)
        finally:
            told.put(None)

    work = Work(go)
    while (event := told.get()) is not None:
        yield event
    work.result()

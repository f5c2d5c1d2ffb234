"""What a library writes into a file, as pieces for whoever reads.

Writers of Parquet and of age push their bytes into a file; a store pulls them. Between the two
stands a thread, and a few pieces at most, so that neither holds the whole.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

_WAITING = 8  # pieces between the thread that writes and the one that reads
_PIECE = 1024 * 1024


def streamed(write: Callable[[BinaryIO], None]) -> Iterator[bytes]:
    """What `write` writes into a file, as pieces, while it writes them.

    Args:
        write: called in a thread of its own; what it raises is raised here.
    """
    pipe = _Pipe()
    failure: list[BaseException] = []

    def produce() -> None:
        try:
            write(cast(BinaryIO, pipe))
            pipe.flush_last()
        except _ReaderGoneError:
            return
        except BaseException as error:  # noqa: BLE001 - carried over to the reading thread
            failure.append(error)
        pipe.end()

    thread = threading.Thread(target=produce, name="writer", daemon=True)
    thread.start()
    try:
        yield from pipe.pieces()
    finally:
        pipe.abandon()
        thread.join()
    if failure:
        raise failure[0]


class _ReaderGoneError(Exception):
    """Nobody reads any more."""


class _Pipe:
    """A file that can only be written, whose bytes another thread takes."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._buffer = bytearray()
        self._position = 0
        self._abandoned = threading.Event()
        self.closed = False

    def write(self, data: Any) -> int:
        """Take bytes; waits while the reader is behind."""
        size = memoryview(data).nbytes
        self._buffer += data
        self._position += size
        if len(self._buffer) >= _PIECE:
            self._put(bytes(self._buffer))
            self._buffer.clear()
        return size

    def flush_last(self) -> None:
        """Hand over what is left."""
        if self._buffer:
            self._put(bytes(self._buffer))
            self._buffer.clear()

    def flush(self) -> None:
        """Pieces go out when they are full."""

    def tell(self) -> int:
        """Bytes written so far."""
        return self._position

    def readable(self) -> bool:
        """No."""
        return False

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """Writers close what they are given; the end is told by `end`."""
        self.closed = True

    def end(self) -> None:
        """Nothing follows."""
        if not self._abandoned.is_set():
            self._put(None)

    def abandon(self) -> None:
        """The reader is gone: let the writer stop at its next write."""
        self._abandoned.set()
        while not self._queue.empty():
            self._queue.get_nowait()

    def pieces(self) -> Iterator[bytes]:
        """What is written, until its end."""
        while (piece := self._queue.get()) is not None:
            yield piece

    def _put(self, piece: bytes | None) -> None:
        while True:
            if self._abandoned.is_set():
                raise _ReaderGoneError
            try:
                self._queue.put(piece, timeout=0.5)
            except queue.Full:
                continue
            return

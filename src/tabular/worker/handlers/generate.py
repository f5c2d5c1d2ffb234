"""Draws rows from a model, straight into the store, in bounded memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from tabular.synth.synthesizer import Synthesizer
from tabular.worker.handlers.bench import Workbench
from tabular.worker.wire import Task

_WAITING = 8  # pieces between the thread that draws and the one that stores
_PIECE = 1024 * 1024


def generate(task: Task, bench: Workbench) -> dict[str, Any]:
    """Draw rows; into an object below ``folder``, or into the file ``path`` of this machine.

    Raises:
        ConstraintError: no row fulfils the conditions.
        ModelFileError: the model is damaged or too new.
    """
    synthesizer = Synthesizer.load(bench.fetch(task["model"]))
    rows, kind = task["rows"], task["format"]
    counted = 0

    def report(fraction: float) -> None:
        nonlocal counted
        made = round(fraction * rows)
        bench.report(fraction, made - counted)
        counted = made

    def write(target: Path | BinaryIO) -> None:
        synthesizer.write(
            target,
            rows,
            seed=task["seed"],
            where=task["where"],
            format=kind,
            progress=report,
        )

    if "path" in task:
        write(Path(task["path"]))
        return {"format": kind, "rows": rows}
    info = bench.store.put(f"{task['folder']}/rows.{kind}", streamed(write))
    return {
        "key": info.key,
        "size": info.size,
        "sha256": info.sha256,
        "format": kind,
        "rows": rows,
    }


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

"""Draws one sample with many processes, of this machine or of a Dask cluster, into one file.

An executor maps tasks to part files, in order, and has a few of them under way at a time. Which
one it is, and how many processes it has, cannot be seen from the file: the parts depend on the
rows alone, and are joined into what one process would have written.
"""

from __future__ import annotations

import io
import queue
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from tabular.errors import TabularError, UnavailableError
from tabular.infra.optional import require
from tabular.infra.storage import open_store
from tabular.synth.conditions import Where
from tabular.synth.joining import Part, head_of, join
from tabular.synth.partition import GROUP_ROWS, partition
from tabular.synth.synthesizer import Synthesizer
from tabular.synth.tables import detect_format
from tabular.synth.writing import whole_file
from tabular.worker import wire
from tabular.worker.process import ChildProcess
from tabular.worker.wire import Task

PART_ROWS = 1 << 20
PATIENCE = 30.0  # seconds for a Dask cluster to answer and to have a worker
_AHEAD = 2  # tasks under way or done and not yet written, for each worker
_COPY = 1 << 20


class Executor(Protocol):
    """Where parts are drawn; a context manager."""

    def map(self, tasks: Sequence[Task]) -> Iterator[BinaryIO]:
        """The file of each task, in order.

        Raises:
            TabularError: what a task raised.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class LocalProcesses:
    """Child processes of this one. They are told what to do in JSON; nothing is pickled.

    Args:
        model: the model file.
        workers: how many processes.
    """

    def __init__(self, model: bytes, workers: int) -> None:
        self._model, self._workers = model, workers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tabular-parts-"))
        self._folder = Path(folder)
        url = f"file://{folder}/store"
        open_store(url).put("model", self._model)
        self._free: queue.SimpleQueue[ChildProcess] = queue.SimpleQueue()
        self._children = [ChildProcess(url, log_level="ERROR") for _ in range(self._workers)]
        for child in self._children:
            child.warm()
            self._free.put(child)
        self._pool = self._stack.enter_context(ThreadPoolExecutor(self._workers))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.close()
        self._stack.close()

    def map(self, tasks: Sequence[Task]) -> Iterator[BinaryIO]:
        """The file of each task."""
        begun = (self._pool.submit(self._draw, *one) for one in enumerate(tasks))
        for path in _in_order(begun, _AHEAD * self._workers, Future[Path].result):
            with path.open("rb") as stream:
                path.unlink()  # it lives as long as it is open
                yield stream

    def _draw(self, number: int, task: Task) -> Path:
        path = self._folder / f"{number}.{task['format']}"
        child = self._free.get()
        try:
            child.run({"kind": "generate", "model": "model", "path": str(path), **task})
        finally:
            self._free.put(child)
        return path


class DaskCluster:
    """A Dask cluster, whose workers have this package installed.

    Args:
        model: the model file; it is sent to the cluster once.
        scheduler: its address, such as ``tcp://host:8786`` or ``tls://host:8786``.
        patience: seconds for it to answer and to have a worker.
    """

    def __init__(self, model: bytes, scheduler: str, patience: float = PATIENCE) -> None:
        self._model, self._scheduler, self._patience = model, scheduler, patience

    def __enter__(self) -> Self:
        distributed = require("distributed", extra="dask", needed_by="Dask clusters")
        self._client: Any = None
        try:
            self._client = distributed.Client(
                self._scheduler, timeout=self._patience, set_as_default=False
            )
            self._client.wait_for_workers(1, timeout=self._patience)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            if self._client is not None:
                self._client.close()
            raise UnavailableError(
                f"the Dask cluster does not answer, or has no worker: {error}",
                where=self._scheduler,
                hint="start one: `dask scheduler`, and `dask worker ADDRESS` where this package is",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def map(self, tasks: Sequence[Task]) -> Iterator[BinaryIO]:
        """The file of each task."""
        model = self._client.scatter(self._model, broadcast=True, hash=True)
        begun = (self._client.submit(draw, model, task, pure=False) for task in tasks)
        threads = sum(self._client.nthreads().values())
        for answer in _in_order(begun, _AHEAD * max(1, threads), self._result):
            if "error" in answer:
                raise wire.error_from_dict(answer["error"])
            yield io.BytesIO(answer["file"])

    def _result(self, future: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = future.result()
        except Exception as error:
            raise TabularError(
                f"the Dask cluster failed: {type(error).__name__}: {error}",
                where=self._scheduler,
                hint="its workers need this release of inferloop-tabular; see their logs",
                code="job.cluster",
            ) from error
        future.release()
        return answer


def draw(model: bytes, task: Task) -> dict[str, Any]:
    """Draw one part; what a worker of a Dask cluster does. Errors travel as data."""
    sink = io.BytesIO()
    try:
        Synthesizer.load(io.BytesIO(model)).write(
            sink,
            task["rows"],
            seed=task["seed"],
            where=task["where"],
            start=task["start"],
            format=task["format"],
        )
    except TabularError as error:
        return {"error": wire.error_to_dict(error)}
    return {"file": sink.getvalue()}


def write(
    executor: Executor,
    synthesizer: Synthesizer,
    target: Path,
    rows: int,
    *,
    seed: int = 0,
    where: Where = None,
    start: int = 0,
    format: str | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
    part_rows: int = PART_ROWS,
) -> int:
    """Draw rows into a file, as `Synthesizer.write` does, byte for byte.

    Args:
        executor: where parts are drawn; entered.
        synthesizer: the model that the executor was given.
        target: the file, written whole or not at all.
        rows, seed, where, start, format, progress: as for `Synthesizer.write`.
        part_rows: rows of one part. A `start` that is no multiple of 262144 makes one part.

    Returns:
        The rows written.
    """
    kind = format or detect_format(target)
    parts = [(0, rows)] if start % GROUP_ROWS or not rows else partition(rows, part_rows)
    tasks = [
        {"rows": count, "seed": seed, "where": where, "format": kind, "start": start + first}
        for first, count in parts
    ]
    with whole_file(target) as out:
        assembly = _Assembly(out, head_of(synthesizer.schema, kind), kind)
        for (first, count), stream in zip(parts, executor.map(tasks), strict=True):
            assembly.add(stream)
            progress((first + count) / max(1, rows))
        assembly.finish()
    return rows


class _Assembly:
    """Part files behind each other; of each only its footer is kept in memory."""

    def __init__(self, out: BinaryIO, head: int, format: str) -> None:
        self._out, self._head, self._format = out, head, format
        self._parts: list[Part] = []

    def add(self, stream: BinaryIO) -> None:
        def read(start: int, stop: int) -> bytes:
            stream.seek(start)
            return stream.read(stop - start)

        size = stream.seek(0, io.SEEK_END)
        ((_, end),) = join([Part(size, self._head, read)], self._format).spans
        footer = read(end, size)
        position = stream.seek(self._head if self._parts else 0)
        while position < end and (chunk := stream.read(min(_COPY, end - position))):
            self._out.write(chunk)
            position += len(chunk)
        self._parts.append(Part(size, self._head, lambda low, high: footer[low - end : high - end]))

    def finish(self) -> None:
        self._out.write(join(self._parts, self._format).tail)


def _in_order(begun: Iterable[Any], ahead: int, result: Callable[[Any], Any]) -> Iterator[Any]:
    """The results of what is begun by iterating, in order, `ahead` of them at a time."""
    waiting: deque[Any] = deque()
    for future in begun:
        waiting.append(future)
        if len(waiting) >= ahead:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())

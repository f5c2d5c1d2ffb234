"""The child's side: reads tasks from standard input, does them, answers on standard output.

It has no database, takes no signals, and ends the moment its parent does, however that died:
a thread waits at standard input, which then reaches its end.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tabular.errors import TabularError, UnavailableError
from tabular.infra import tracing
from tabular.infra.logs import configure_logging, log_context
from tabular.infra.storage import open_store
from tabular.worker import scratch, wire
from tabular.worker.handlers import HANDLERS, Models, Workbench

_LOG = logging.getLogger(__name__)
_PROGRESS_EVERY = 0.2  # seconds
_VICTIM = "500"  # of -1000 to 1000: when memory ends, the kernel takes us before our parent


class Inbox:
    """Tasks from the parent; the process ends when the parent is gone."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.scratch: str | None = None

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def next(self) -> dict[str, Any]:
        """The next message, however long it takes."""
        return self._tasks.get()

    def _listen(self) -> None:
        for line in self._stream:
            self._tasks.put(wire.decode(line))
        if self.scratch is not None:
            scratch.remove(self.scratch)
        os._exit(0)  # the main thread may be deep inside a native library


def _reporter(send: Callable[[dict[str, Any]], None]) -> Callable[[float, int], None]:
    """Progress to the parent, thinned out; rows are added up, so none is lost."""
    last, pending = 0.0, 0

    def report(fraction: float, rows: int) -> None:
        nonlocal last, pending
        pending += rows
        now = time.monotonic()
        if now - last >= _PROGRESS_EVERY or fraction >= 1.0:
            send({"event": wire.PROGRESS, "fraction": min(1.0, fraction), "rows": pending})
            last, pending = now, 0

    return report


def _answer(task: dict[str, Any], bench: Workbench) -> dict[str, Any]:
    """Do one task; the message that ends it, with what it took its time for."""
    spans = tracing.Recording(task["traceparent"] or "")
    with tracing.active(spans), log_context(**task["logged"]):
        return {**_done(task, bench), "spans": spans.spans}


def _done(task: dict[str, Any], bench: Workbench) -> dict[str, Any]:
    try:
        with tracing.subspan(task["kind"], pid=str(os.getpid())):
            result = HANDLERS[task["kind"]](task, bench)
    except UnavailableError as error:
        return _failed(error)
    except TabularError as error:
        return _failed(scratch.no_room(error) or error)
    except MemoryError:
        _LOG.exception("out of memory")
        return _failed(TabularError("it needs more memory than there is", code="job.memory"))
    except Exception as error:  # noqa: BLE001 - the process's edge: told to the parent, logged
        if (full := scratch.no_room(error)) is not None:
            return _failed(full)
        _LOG.exception("unexpected error in a %s task", task["kind"])
        return _failed(
            TabularError(
                f"an unexpected {type(error).__name__}",
                hint="the log of the worker has the details",
                code="job.unexpected",
            )
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"event": wire.DONE, "result": result, "memory": memory}


def _failed(error: TabularError) -> dict[str, Any]:
    return {"event": wire.ERROR, "error": wire.error_to_dict(error)}


def main() -> None:
    """Serve the parent until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides
    with contextlib.suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text(_VICTIM)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer

    def send(message: dict[str, Any]) -> None:
        try:
            out.write(wire.encode(message))
        except BrokenPipeError:
            os._exit(0)

    inbox = Inbox(sys.stdin.buffer)
    inbox.start()
    hello = inbox.next()
    configure_logging(hello["log_level"], secrets=hello["secrets"])
    store, models = open_store(hello["storage_url"]), Models()
    while True:
        task = inbox.next()
        inbox.scratch = task["scratch"]
        bench = Workbench(store, Path(task["scratch"]), _reporter(send), models)
        send(_answer(task, bench))
        inbox.scratch = None


if __name__ == "__main__":
    main()

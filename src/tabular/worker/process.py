"""The child process in which tables are read, models fitted and rows made.

A table that crashes a native library or fills the memory takes its process with it. The
process that holds the lease must live on to record that, beat the heart, and go on with the
next job; and a job can be stopped at any moment only if killing it harms nobody. So the work
is done in a child. It is kept for the next task (starting Python and Arrow costs half a
second) and replaced after it died, was stopped, or has grown.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabular.errors import TabularError, UnavailableError
from tabular.infra import tracing
from tabular.infra.logs import logged_ids
from tabular.worker import scratch, wire
from tabular.worker.wire import Task

_LOG = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "tabular.worker.child")
GROWN = 1024**3  # bytes of resident memory above which a child is not used again
_CHUNK = 65536
_END = 5.0  # seconds that a process may take to end once its output has, or once it is killed

OnProgress = Callable[[float, int], None]


class ChildProcess:
    """Runs tasks one after the other in a child. Safe to share: callers take turns.

    Args:
        storage_url: the store that tasks read from and write to.
        secrets: values that the child's log must not show.
        log_level: of the child's log.
        command: the child's program.
        environ: the variables of this process; our own settings are kept from the child.
    """

    def __init__(
        self,
        storage_url: str,
        *,
        secrets: Sequence[str] = (),
        log_level: str = "INFO",
        command: Sequence[str] = COMMAND,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._hello = {"storage_url": storage_url, "secrets": secrets, "log_level": log_level}
        self._command = list(command)
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._buffer = b""

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return self._process.pid if self._process is not None else None

    def warm(self) -> None:
        """Start the child now, so that the first task need not wait for it."""
        with self._lock:
            self._started()

    def run(
        self,
        task: Task,
        *,
        on_progress: OnProgress = lambda fraction, rows: None,
        tick: Callable[[], None] = lambda: None,
        interval: float = 1.0,
        limit: float = float("inf"),
        limit_hint: str | None = None,
    ) -> dict[str, Any]:
        """Do a task and return its result.

        Args:
            task: what to do.
            on_progress: called with the fraction done and the rows made since the last call.
            tick: called about every `interval` seconds; what it raises stops the task.
            interval: seconds.
            limit: seconds after which the task is stopped.
            limit_hint: what to do about a task that takes longer.

        Raises:
            TabularError: what the task raised; code ``job.crashed`` when the child died,
                ``job.unexpected`` when it met an error that nobody foresaw, ``job.timeout``
                when it was stopped.
        """
        with self._lock:
            deadline = time.monotonic() + limit

            def timed_tick() -> None:
                if time.monotonic() > deadline:
                    raise TabularError(
                        f"not done after {limit:g} s", hint=limit_hint, code=wire.TIMEOUT
                    )
                tick()

            folder = scratch.make()
            finished = False
            try:
                told = {**task, "scratch": folder, "logged": logged_ids()}
                told["traceparent"] = tracing.traceparent()
                result = self._converse(told, on_progress, timed_tick, interval)
                finished = True
                return result
            except TaskError as failure:
                finished = True
                raise failure.error from None
            finally:
                if not finished:
                    self._kill()
                scratch.remove(folder)

    def close(self) -> None:
        """End the child; a task that runs is stopped."""
        self._kill()

    def _converse(
        self, task: Task, on_progress: OnProgress, tick: Callable[[], None], interval: float
    ) -> dict[str, Any]:
        process = self._started()
        beat = _Beat(tick, interval)
        self._send(process, task, beat)
        while True:
            message = self._receive(process, beat.left())
            beat.if_due()
            if message is None:
                continue
            tracing.replay(tracing.as_spans(message.get("spans")))
            if message["event"] == wire.PROGRESS:
                on_progress(message["fraction"], message["rows"])
            elif message["event"] == wire.ERROR:
                raise TaskError(wire.error_from_dict(message["error"]))
            elif message["event"] == wire.DONE:
                if message["memory"] > GROWN:
                    self._kill()
                result: dict[str, Any] = message["result"]
                return result

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._buffer = b""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=_without_ours(self._environ),
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._send(self._process, self._hello, _Beat(lambda: None, 1.0))
        return self._process

    def _send(self, process: subprocess.Popen[bytes], message: dict[str, Any], beat: _Beat) -> None:
        """Send a message; the heart beats on while a child that hangs does not take it."""
        assert process.stdin is not None
        rest = memoryview(wire.encode(message))
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdin, selectors.EVENT_WRITE)
            while rest:
                if selector.select(beat.left()):
                    try:
                        rest = rest[os.write(process.stdin.fileno(), rest) :]
                    except BrokenPipeError:
                        raise self._died(process) from None
                beat.if_due()

    def _receive(self, process: subprocess.Popen[bytes], timeout: float) -> dict[str, Any] | None:
        """The next message, or None when none comes in time."""
        if b"\n" not in self._buffer:
            self._buffer += self._read(process, timeout)
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return wire.decode(line)

    def _read(self, process: subprocess.Popen[bytes], timeout: float) -> bytes:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout):
                # Who died and left its pipe to a process of its own never gives us its end.
                if process.poll() is not None and not selector.select(0):
                    raise self._died(process)
                return b""
        chunk = os.read(process.stdout.fileno(), _CHUNK)
        if not chunk:
            raise self._died(process)
        return chunk

    def _died(self, process: subprocess.Popen[bytes]) -> TabularError:
        try:
            code = process.wait(_END)
        except subprocess.TimeoutExpired:  # it has closed its output and lives on
            process.kill()
            code = process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if code >= 0:
            # It ended by itself, which no task makes it do: the installation is broken.
            return UnavailableError(
                f"the process for the work ended {how}",
                hint="see the log of the worker",
                code="unavailable.child",
            )
        memory = "it may have run out of memory" if code == -signal.SIGKILL else None
        return TabularError(
            f"the process that did the work ended {how}",
            hint=memory or "see the log of the worker",
            code="job.crashed",
        )

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            # The kernel holds it, in a device that does not answer. We must not wait with it.
            _LOG.error("the killed process %d does not end", process.pid)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class _Beat:
    """Calls `tick` about every `interval` seconds, as long as it is asked to."""

    def __init__(self, tick: Callable[[], None], interval: float) -> None:
        self._tick = tick
        self._interval = interval
        self._due = time.monotonic() + interval

    def left(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._due - time.monotonic())

    def if_due(self) -> None:
        """Tick when it is time."""
        if time.monotonic() >= self._due:
            self._tick()
            self._due = time.monotonic() + self._interval


class TaskError(Exception):
    """A task failed in good order: the child is whole and can be used again."""

    def __init__(self, error: TabularError) -> None:
        super().__init__(error.message)
        self.error = error


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables without our own settings: the child needs no database and no keys."""
    ours = ("TABULAR_", "PROMETHEUS_MULTIPROC_DIR")
    return {name: value for name, value in environ.items() if not name.startswith(ours)}

"""The client's half: handing an operation to the supervisor, and reading what it says.

The client writes the operation down and wakes the supervisor; from there on it only reads. So
it may be killed at any moment, and another client reads the same file from its beginning.
"""

from __future__ import annotations

import errno
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tabular.deploy.events import Event, utc_now
from tabular.deploy.files import storage_error
from tabular.deploy.standalone import journal
from tabular.deploy.standalone.children import last_lines
from tabular.deploy.standalone.identity import is_alive
from tabular.deploy.standalone.launch import inherited
from tabular.deploy.standalone.layout import Layout, is_removed, remove_tree
from tabular.deploy.standalone.model import Operation, State
from tabular.deploy.standalone.operations import END, error_from
from tabular.deploy.standalone.program import program
from tabular.deploy.standalone.supervisor import ALREADY_RUNS
from tabular.errors import BusyError, EngineError, PreflightError, WaitTimeoutError

LOCK_TIMEOUT = 10.0
LONGEST_OPERATION = 1800.0
_REVIVALS = 6
_STARTS = 3
_SILENCE = 3.0


def read_state(layout: Layout) -> State | None:
    """The deployment's record; None if there is none."""
    return journal.read_as(layout.state_file, State.from_dict)


def read_operation(layout: Layout) -> Operation | None:
    """The operation that runs or the last one; None if there never was any."""
    return journal.read_as(layout.operation_file, Operation.from_dict)


def new_id() -> str:
    """An id for an operation that sorts by time and never repeats."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def wake(layout: Layout, word: bytes = b"w") -> bool:
    """Wake the supervisor; False where none listens."""
    try:
        descriptor = os.open(layout.wake, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    try:
        os.write(descriptor, word)
    except (BlockingIOError, BrokenPipeError):
        # A full pipe wakes it as well; a broken one means it just ended.
        return False
    finally:
        os.close(descriptor)
    return True


def ensure_supervisor(layout: Layout) -> None:
    """Have a supervisor of this very code look after the deployment.

    Raises:
        EngineError: it does not start, or would be a copy's.
    """
    state = read_state(layout)
    _refuse_copy(layout, state)
    state = outlasted(layout, state)
    if journal.is_locked(layout.supervisor_lock):
        if state is None or state.program in ("", program()):
            return
        # It may be in the middle of an operation, and leave long after this command has ended.
        journal.write_json(layout.successor, {"argv": _supervisor_argv(layout)})
        wake(layout, b"q")
        deadline = time.monotonic() + LOCK_TIMEOUT
        while journal.is_locked(layout.supervisor_lock) and time.monotonic() < deadline:
            if (read_state(layout) or state).program == program():
                return
            time.sleep(0.05)
    for _ in range(_STARTS):
        try:
            done = _start_supervisor(layout)
        except (OSError, subprocess.SubprocessError) as error:
            raise _no_supervisor(layout, str(error)) from error
        if done.returncode in (0, ALREADY_RUNS):
            return
        if done.returncode > 0:
            break
    said = done.stderr.decode(errors="replace").strip()[-600:]
    raise _no_supervisor(layout, said or f"it ended with {done.returncode}")


def outlasted(layout: Layout, state: State | None) -> State | None:
    """The record once a killed supervisor's lock is free: its threads may hold it a moment more."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while (
        state is not None
        and state.born
        and not is_alive(state.pid, state.born)
        and journal.is_locked(layout.supervisor_lock)
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
        state = read_state(layout)
    return state


def _refuse_copy(layout: Layout, state: State | None) -> None:
    """A copy's record names the processes of the original: it would stop these as its own."""
    if state is None or not state.place or not Path(state.place).exists():
        return
    if layout.state.samefile(state.place):
        return
    original = read_state(Layout(Path(state.place), layout.data))
    if original is not None and original.uid == state.uid:
        raise EngineError(
            "this is a copy of a deployment that is still there",
            where=f"{layout.state}, copied from {state.place}",
            hint="keep it as a backup; to use it, first destroy or move away the original",
            code="engine.copy",
        )


def _supervisor_argv(layout: Layout) -> list[str]:
    folders = [str(layout.state), str(layout.data)]
    return [sys.executable, "-m", "tabular.deploy.standalone.supervisor", *folders]


def _start_supervisor(layout: Layout) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        _supervisor_argv(layout),
        env=inherited(os.environ), stdin=subprocess.DEVNULL, capture_output=True, check=False,
        cwd="/", timeout=60,
    )  # fmt: skip


def _no_supervisor(layout: Layout, reason: str) -> EngineError:
    return EngineError(
        f"the supervisor does not start: {reason}",
        where=str(layout.state),
        hint="`inferloop-tabular doctor` looks at what it needs",
        code="engine.supervisor",
    )


def submit(layout: Layout, operation: Operation, check: Callable[[], None]) -> Iterator[Event]:
    """Hand in an operation and give the events that follow.

    Args:
        layout: paths.
        operation: what to do.
        check: called while nobody else can hand in anything; raises to refuse.

    Raises:
        BusyError: another operation runs there.
    """
    layout.make()
    with journal.held(layout.client_lock, timeout=LOCK_TIMEOUT) as alone:
        running = read_operation(layout)
        if not alone or (running is not None and not running.done):
            # Its supervisor may have been killed: see to it that it goes on.
            ensure_supervisor(layout)
            what = running.kind if running and not running.done else "operation"
            raise BusyError(
                f"another {what} runs there",
                where=f"{operation.target['environment']}/{operation.target['name']}",
                hint="`inferloop-tabular status` shows how far it is; try again when it ended",
            )
        check()
        if operation.kind == "destroy":
            layout.reserve.unlink(missing_ok=True)
        else:
            journal.reserve(layout.reserve)
        events = layout.events(operation.id)
        try:
            events.touch(mode=0o600)
        except OSError as error:
            raise storage_error(error, events) from error
        journal.write_json(layout.operation_file, asdict(operation))
    try:
        ensure_supervisor(layout)
    except EngineError:
        if operation.kind == "destroy" and not layout.state.exists():
            # The supervisor that was up already has carried it out meanwhile, folder and all.
            return follow(layout, operation)
        # Nobody will carry it out: take it back, so that it does not start days later.
        if not journal.is_locked(layout.supervisor_lock):
            _take_back(layout, operation, running)
        raise
    wake(layout)
    return follow(layout, operation)


def _take_back(layout: Layout, operation: Operation, before: Operation | None) -> None:
    """As if it had never been handed in: it neither ran nor ended."""
    if before is not None:
        journal.write_json(layout.operation_file, asdict(before))
    else:
        layout.operation_file.unlink(missing_ok=True)
    layout.events(operation.id).unlink(missing_ok=True)


def follow(layout: Layout, operation: Operation) -> Iterator[Event]:
    """Events of an operation from its first to its last, whoever handed it in.

    Raises:
        EngineError: how the operation ended, if it did not end well.
        WaitTimeoutError: it did not end in time.
    """
    watch = _Watch(layout, operation)
    try:
        for record in journal.follow_lines(layout.events(operation.id), idle=watch):
            watch.seen()
            if END not in record:
                yield Event.from_dict(record)
                continue
            # The last line is written before the last acts: whoever looks next must see them.
            watch.until(partial(_is_over, layout, operation, record))
            if record[END] == "failed":
                raise error_from(record)
            return
    except FileNotFoundError as error:
        # Removed, folder and all, between the look and the opening.
        if operation.kind == "destroy":
            return
        raise EngineError(
            f"the deployment was destroyed before the {operation.kind} began",
            where=str(layout.state),
            hint="run the same command again",
        ) from error


def _is_over(layout: Layout, operation: Operation, end: dict[str, Any]) -> bool:
    if operation.kind == "destroy" and end[END] == "done":
        if not layout.state.exists():
            # The supervisor may have been killed after the rename, its very last act but one.
            remove_tree(layout.state, prune=True)
        return is_removed(layout.state)
    now = read_operation(layout)
    return now is None or now.id != operation.id or now.done


class _Watch:
    """Sees to it that somebody works on an operation while a client waits for it."""

    def __init__(self, layout: Layout, operation: Operation) -> None:
        self._layout = layout
        self._operation = operation
        self._revived = 0
        self._deadline = time.monotonic() + LONGEST_OPERATION + operation.ready_timeout
        self.seen()

    def seen(self) -> None:
        """Something came: no need to look for a second."""
        self._last = time.monotonic()
        self._next_look = self._last + 1.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 1.0
        if now > self._deadline:
            raise WaitTimeoutError(
                f"the {self._operation.kind} did not end within {LONGEST_OPERATION:.0f} s",
                hint="`inferloop-tabular status` shows what it waits for",
            )
        if not self._layout.state.exists():
            return
        if now - self._last >= _SILENCE:
            self._require_room()
        if journal.is_locked(self._layout.supervisor_lock):
            return
        self._revived += 1
        if self._revived > _REVIVALS:
            said = last_lines(self._layout.supervisor_log, 0)
            raise EngineError(f"the supervisor does not stay up: {said}", code="engine.supervisor")
        ensure_supervisor(self._layout)

    def _require_room(self) -> None:
        """Whoever works on it cannot go on, nor tell so, where nothing can be written."""
        try:
            journal.require_room(self._layout.state)
        except PreflightError as error:
            if not self._layout.state.exists():
                return
            raise PreflightError(
                f"the {self._operation.kind} cannot go on: {error.message}",
                where=error.where,
                hint="it goes on by itself as soon as there is room; what served before serves on, "
                "and the same command shows the rest",
                code=error.code,
            ) from error

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for the supervisor's last act."""
        while not reached():
            self()
            time.sleep(0.02)

"""The process that keeps a deployment up and carries out its operations; one per deployment.

It is no child of the command that started it, so it survives that command. It may be killed
itself: its children go on serving, and the next command that needs it starts another, which
adopts them. Whoever holds the lock is the supervisor; a second one leaves at once.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn
from uuid import uuid4

from tabular.deploy.programs import run
from tabular.deploy.standalone import journal
from tabular.deploy.standalone.carry_out import carry_out
from tabular.deploy.standalone.children import Children
from tabular.deploy.standalone.identity import birth
from tabular.deploy.standalone.journal import read_as, read_json, write_json
from tabular.deploy.standalone.launch import Launch, inherited, launch
from tabular.deploy.standalone.layout import Layout, remove_tree
from tabular.deploy.standalone.liveness import Limits
from tabular.deploy.standalone.logs import rotate
from tabular.deploy.standalone.model import Operation, Release, Slot, State
from tabular.deploy.standalone.operations import Context
from tabular.deploy.standalone.program import program
from tabular.errors import EngineError, TabularError

ALREADY_RUNS = 17
TICK = 0.5
_ROTATE_EVERY = 120
_log = logging.getLogger(__name__)


class Supervisor:
    """Keeps one deployment up.

    Args:
        layout: paths.
        lock: descriptor of the lock it holds.
        limits: how long a silent process counts as alive.
    """

    def __init__(self, layout: Layout, lock: int, limits: Limits | None = None) -> None:
        self.layout = layout
        self._lock = lock
        self._leave = False
        known = read_as(layout.state_file, State.from_dict)
        self.state = known or State(uid=uuid4().hex)
        self.state.program, self.state.pid = program(), os.getpid()
        self.state.born = birth(os.getpid()) or ""
        self.state.place = str(layout.state)
        self._releases: dict[str, Release] = {}
        self.children = Children(layout, self.state, self._save, self._launch, limits=limits)

    def _processes(self) -> bool:
        """Whether processes of its own serve; containers are kept up by their engine."""
        return bool(self.state.history) and self.state.runtime == "process"

    def _save(self) -> None:
        write_json(self.layout.state_file, asdict(self.state))

    def _launch(self, slot: Slot) -> Launch:
        if slot.release not in self._releases:
            release = read_as(self.layout.release(slot.release), Release.from_dict)
            if release is None:
                raise EngineError(f"the description of release {slot.release} is gone")
            self._releases[slot.release] = release
        return launch(self.layout, self._releases[slot.release], self.state, slot)

    def run(self) -> None:
        """Serve until there is nothing left to look after, or somebody else shall take over."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        wake = os.open(self.layout.wake, os.O_RDWR | os.O_NONBLOCK)
        journal.remove_leftovers(self.layout.state)
        self._guarded(self.children.recover)
        ticks = 0
        while not self._leave:
            self._guarded(self._operate)
            if not self.state.slots and not self._processes():
                return
            self._guarded(self.children.tick)
            ticks += 1
            if ticks % _ROTATE_EVERY == 0:
                self._guarded(lambda: rotate(self.layout))
            if self._listen(wake):
                return

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        _log.info("leaving on %s; the processes go on", signal.Signals(number).name)
        self._leave = True

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (TabularError, OSError) as error:
            # A full disk must not take down what serves; the next tick tries again.
            _log.error("%s", error)

    def _listen(self, wake: int) -> bool:
        select.select([wake], [], [], TICK)
        try:
            words = os.read(wake, 4096)
        except BlockingIOError:
            words = b""
        if b"q" in words:
            _log.info("another version takes over; the processes go on")
            self._hand_over()
            return True
        if not journal.is_locked(self.layout.supervisor_lock):
            # Somebody removed the folder by hand: end what would have no owner any more.
            _log.warning("the folder of the deployment is gone: stopping its processes")
            self._save_nothing()
            self.children.stop(list(self.state.slots))
            return True
        return False

    def _hand_over(self) -> None:
        """Start whoever shall take over: the client that asked may have ended long ago."""
        said = read_json(self.layout.successor)
        if said is None:
            return
        os.close(self._lock)
        try:
            run(said["argv"], what="the next supervisor", timeout=60.0, env=inherited(os.environ))
        except TabularError as error:
            _log.error("%s; the next command starts one", error)

    def _save_nothing(self) -> None:
        self.children = Children(self.layout, self.state, lambda: None, self._launch)

    def _operate(self) -> None:
        operation = read_as(self.layout.operation_file, Operation.from_dict)
        if operation is None:
            return
        if operation.done:
            self._clean_up(operation)
            return
        context = Context(self.layout, self.state, self.children, operation, self._save)
        _log.info("%s %s, attempt %d", operation.kind, operation.id, operation.attempts + 1)
        carry_out(context)
        self._clean_up(operation)

    def _clean_up(self, operation: Operation) -> None:
        if operation.kind == "destroy" and not self.state.failure:
            self.state.slots.clear()
            self.state.history = []
            remove_tree(self.layout.state, prune=True)


def main(arguments: list[str], *, limits: Limits | None = None) -> NoReturn:
    """Become the supervisor of a deployment, in the background.

    Args:
        arguments: the state folder and the data folder.
        limits: how long a silent process counts as alive.

    The calling process gets exit code 0 when the lock is held and the background process runs,
    and ``ALREADY_RUNS`` when another supervisor holds it.
    """
    layout = Layout(Path(arguments[0]), Path(arguments[1]))
    # A client that looks whether the lock is free holds it for a moment.
    held = journal.lock(layout.supervisor_lock, timeout=0.2)
    if held is None:
        sys.exit(ALREADY_RUNS)
    if os.fork():
        # The lock belongs to the open file that the child shares, so it stays held.
        os._exit(0)
    os.setsid()
    log = os.open(layout.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, number)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        Supervisor(layout, held, limits).run()
    except BaseException:  # noqa: BLE001 - a daemon's last word goes to its log
        _log.exception("the supervisor ends; its processes go on")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])

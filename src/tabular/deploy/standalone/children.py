"""Starting, watching, adopting and stopping processes, so that none is lost and none runs twice.

The intent to start is on the disk before the start, and the process carries a mark that only
this start uses. So whatever moment a supervisor is killed at, the next one finds each process
either by its recorded identity or by its mark.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tabular.deploy.standalone import identity, vault
from tabular.deploy.standalone.identity import MARK
from tabular.deploy.standalone.launch import KEEPER, Launch
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.liveness import Limits, Liveness, heartbeat
from tabular.deploy.standalone.model import Slot, State
from tabular.deploy.standalone.ports import refuse_strangers
from tabular.deploy.standalone.restart import Backoff
from tabular.deploy.standalone.sockets import Inherited, Sockets
from tabular.errors import EngineError, TabularError

STOP_TIMEOUT = 30.0
_REASON_LINES = 8
_ENGINE = "engine/"
_log = logging.getLogger(__name__)


def last_lines(path: Path, start: int, count: int = _REASON_LINES) -> str:
    """The last lines a process wrote.

    Args:
        path: its log.
        start: byte at which this process began to write.
        count: how many lines.
    """
    try:
        with path.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(min(start, end), end - 16_384))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


class Children:
    """The processes of one deployment.

    Args:
        layout: paths.
        state: the record; slots are added and removed here alone.
        save: writes the record to the disk.
        launch: what runs in a slot.
        now: monotonic seconds.
        limits: how long a silent process counts as alive.
    """

    def __init__(
        self,
        layout: Layout,
        state: State,
        save: Callable[[], None],
        launch: Callable[[Slot], Launch],
        *,
        now: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
    ) -> None:
        self._layout = layout
        self._state = state
        self._save = save
        self._launch = launch
        self._now = now
        self._handles: dict[str, subprocess.Popen[bytes]] = {}
        self._backoff: dict[str, Backoff] = {}
        self._started: dict[str, float] = {}
        self._log_start: dict[str, int] = {}
        self.exits: dict[str, int | None] = {}
        self._run = layout.state / "run"
        self._sockets = Sockets(self._run)
        self._liveness = Liveness(self._run, now, limits or Limits())

    def ensure(self, slot: Slot) -> Slot:
        """Have a process in this slot; nothing happens if one is alive there.

        Returns:
            The slot as it is on record: the one given, or the one that is alive already.

        Raises:
            TabularError: it cannot be started at all.
        """
        known = self._state.slots.get(slot.key)
        if known is not None and self.alive(known):
            return known
        self._state.slots[slot.key] = slot
        self._start(slot)
        return slot

    def alive(self, slot: Slot) -> bool:
        """Whether the slot's process runs."""
        handle = self._handles.get(slot.key)
        if handle is not None and handle.pid == slot.pid:
            return handle.poll() is None
        return identity.is_alive(slot.pid, slot.born)

    def reason(self, slot: Slot) -> str:
        """Why the slot's process ended: its status and its last lines, without secrets."""
        code = self.exits.get(slot.key)
        status = "ended" if code is None else _status(code)
        said = last_lines(self._layout.log(slot.component), self._log_start.get(slot.key, 0))
        return vault.redact(
            f"{slot.component} {status}" + (f": {said}" if said else ""), self._layout
        )

    def _mark(self, slot: Slot) -> str:
        owner = _ENGINE if slot.detaches else ""
        return f"{self._state.uid}:{owner}{slot.key}:{slot.nonce}"

    def _own(self, slot: Slot, pids: Iterable[int]) -> list[int]:
        """Of the processes with a slot's mark, those that are to end with its process.

        A container engine leaves daemons of its own, such as the server for names.
        """
        return [pid for pid in pids if not slot.detaches or _session(pid) == slot.pid]

    def _start(self, slot: Slot) -> None:
        what = self._launch(slot)
        inherited = self._inherited(slot, what)
        if slot.port and not inherited.descriptors:
            own = {other.pid for other in self._state.slots.values() if other.pid is not None}
            refuse_strangers(slot.port, own)
        slot.nonce, slot.pid, slot.born = secrets.token_hex(8), None, ""
        slot.probe = inherited.probe
        if slot.component.startswith("worker-"):
            heartbeat(self._run, slot).touch(mode=0o600)
        self._save()
        what.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(what.log, flags, 0o600), "ab") as log:
            self._log_start[slot.key] = log.seek(0, os.SEEK_END)
            handle = subprocess.Popen(
                [*what.argv, *inherited.arguments],
                env={**what.environment, MARK: self._mark(slot)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self._run,
                pass_fds=inherited.descriptors,
            )
        inherited.close()
        self._liveness.started(slot)
        slot.pid, slot.born = handle.pid, identity.birth(handle.pid) or ""
        self._handles[slot.key] = handle
        self._started[slot.key] = self._now()
        self.exits.pop(slot.key, None)
        self._save()
        _log.info("started %s as pid %d for %s", slot.key, handle.pid, slot.release)

    def _inherited(self, slot: Slot, what: Launch) -> Inherited:
        if not what.inherits:
            return Inherited()
        try:
            self._sockets.of(slot.port)
        except EngineError:
            # Supervisor and keeper were killed at once: only the API's own processes hold it.
            own = [s for s in self._state.slots.values() if s.port == slot.port and self.alive(s)]
            if not own:
                raise
            _log.warning("port %d is held by processes that cannot hand it over", slot.port)
            self._end(own, STOP_TIMEOUT)
        if what.inherits == "api":
            return self._sockets.for_api(slot.port)
        return self._sockets.for_keeper(slot.port)

    def recover(self) -> None:
        """After a start of the supervisor: adopt what runs, end what nobody knows."""
        found = identity.find(f"{self._state.uid}:")
        for slot in list(self._state.slots.values()):
            pids = found.pop(self._mark(slot), [])
            if pids and not identity.is_alive(slot.pid, slot.born):
                head = pids[0]
                slot.pid, slot.born = head, identity.birth(head) or ""
            if self.alive(slot):
                self._started[slot.key] = self._now()
                self._liveness.started(slot)
                self._hold(slot)
                _log.info("adopted %s, pid %s", slot.key, slot.pid)
                if slot.task:
                    self._kill(self._own(slot, pids) or [slot.pid or 0])
            if slot.task:
                del self._state.slots[slot.key]
        for mark, pids in found.items():
            if mark.startswith(f"{self._state.uid}:{_ENGINE}"):
                continue
            _log.warning("ended %d unknown process(es) of %s", len(pids), mark)
            self._kill(pids)
        self._save()

    def _hold(self, slot: Slot) -> None:
        """Have the keeper's socket too, so that either of the two may die."""
        try:
            if self._launch(slot).inherits == KEEPER:
                self._sockets.of(slot.port)
        except TabularError as error:
            # It does not answer: another one is started in its place.
            _log.warning("%s: %s", slot.key, error)
            self._kill([slot.pid or 0])

    def _kill(self, pids: Iterable[int]) -> None:
        for pid in pids:
            _send(pid, signal.SIGKILL)

    def tick(self) -> None:
        """Look after every process once: note deaths, start again what is due."""
        for slot in list(self._state.slots.values()):
            if self.alive(slot):
                complaint = self._liveness.complaint(slot)
                if complaint:
                    self._note_death(slot, complaint)
                elif slot.failing and self._now() - self._started.get(slot.key, 0.0) > 10.0:
                    slot.failing, slot.reason = False, ""
                    self._save()
            elif slot.key not in self.exits:
                self._note_death(slot)
            elif not slot.task and self._now() >= self._backoff[slot.key].due:
                self._start_again(slot)

    def _note_death(self, slot: Slot, hung: str = "") -> None:
        if hung:
            self._kill([slot.pid or 0])
        handle = self._handles.pop(slot.key, None)
        if hung and handle is not None:
            handle.wait()
        self.exits[slot.key] = None if handle is None else handle.poll()
        mark = self._mark(slot)
        self._kill(self._own(slot, identity.find(mark).get(mark, [])))
        now = self._now()
        backoff = self._backoff.setdefault(slot.key, Backoff())
        backoff.died(now, now - self._started.get(slot.key, now))
        slot.reason = f"{slot.component} {hung}" if hung else self.reason(slot)
        slot.pid, slot.failing = None, backoff.is_crash_loop
        if slot.task:
            _log.info("%s", slot.reason)
        else:
            _log.warning("%s; next start in %.1f s", slot.reason, backoff.due - now)
        self._save()

    def _start_again(self, slot: Slot) -> None:
        slot.restarts += 1
        try:
            self._start(slot)
        except (TabularError, OSError) as error:
            self._backoff[slot.key].died(self._now(), 0.0)
            slot.reason, slot.failing = str(error), True
            _log.error("%s cannot be started: %s", slot.key, error)
            self._save()

    def stop(self, keys: Iterable[str], timeout: float = STOP_TIMEOUT) -> None:
        """Ask processes to end, wait, end those that do not, and forget their slots.

        Args:
            keys: of slots; unknown ones are passed over.
            timeout: seconds they may take to finish what they do.
        """
        slots = [self._state.slots[key] for key in keys if key in self._state.slots]
        self._end(slots, timeout)
        left = identity.find(f"{self._state.uid}:")
        for slot in slots:
            self._kill(self._own(slot, left.get(self._mark(slot), [])))
            handle = self._handles.pop(slot.key, None)
            if handle is not None:
                handle.wait()
            self._forget(slot)
        self._sockets.keep_only({slot.port for slot in self._state.slots.values()})
        self._save()

    def _end(self, slots: list[Slot], timeout: float) -> None:
        for slot in slots:
            if slot.pid is not None and self.alive(slot):
                _send(slot.pid, self._stop_signal(slot))
        deadline = self._now() + timeout
        others = {slot.key for slot in slots}
        while any(self.alive(slot) for slot in slots) and self._now() < deadline:
            self._tick_others(others)
            time.sleep(0.02)
        for slot in slots:
            if slot.pid is not None and self.alive(slot):
                _log.warning("%s did not end within %.0f s: killed", slot.key, timeout)
                _send(slot.pid, signal.SIGKILL)

    def _tick_others(self, stopping: set[str]) -> None:
        kept = {k: s for k, s in self._state.slots.items() if k not in stopping}
        for slot in kept.values():
            if not self.alive(slot) and slot.key not in self.exits:
                self._note_death(slot)

    def _forget(self, slot: Slot) -> None:
        key = slot.key
        self._liveness.forget(slot)
        self._state.slots.pop(key, None)
        for book in (self._backoff, self._started, self._log_start, self.exits):
            book.pop(key, None)

    def _stop_signal(self, slot: Slot) -> signal.Signals:
        try:
            return self._launch(slot).stop_signal
        except TabularError:
            return signal.SIGTERM


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _status(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"

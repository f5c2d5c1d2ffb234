"""Telling a process that hangs from one that works: a hung one is alive and serves nobody.

An API process is asked on a port of its own, for on the shared one another would answer. A worker
moves the time of a file as long as its main loop turns, whatever its job does; only that the time
changed counts, never what it says, so a clock that is set does no harm. Questions are asked beside,
by threads: whoever looks after processes never waits for one that hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tabular.deploy.standalone.health import Answer, ask
from tabular.deploy.standalone.model import Slot

_ASKING = 16  # at a time; processes beyond them are asked when a thread is free


@dataclass(frozen=True, slots=True)
class Limits:
    """How long silence is borne, in seconds but for `misses`.

    Attributes:
        every: between two questions to an API process.
        timeout: of one question.
        misses: questions in a row without an answer.
        silence: of a worker.
        starting: that a process may take until its first sign of life.
    """

    every: float = 5.0
    timeout: float = 3.0
    misses: int = 3
    silence: float = 90.0
    starting: float = 120.0


@dataclass(slots=True)
class _Pulse:
    begun: float
    seen: float | None = None
    asked: float = float("-inf")
    question: Future[Answer] | None = None
    misses: int = 0
    stamp: int = 0


def heartbeat(folder: Path, slot: Slot) -> Path:
    """The file whose time a worker moves."""
    return folder / f"{slot.key.replace('/', '-')}.alive"


class Liveness:
    """What was last heard of each process.

    Args:
        folder: of the heartbeat files.
        now: monotonic seconds.
        limits: how long silence is borne.
    """

    def __init__(self, folder: Path, now: Callable[[], float], limits: Limits) -> None:
        self._folder = folder
        self._now = now
        self._limits = limits
        self._pulses: dict[str, _Pulse] = {}
        self._askers = ThreadPoolExecutor(_ASKING, thread_name_prefix="health")

    def started(self, slot: Slot) -> None:
        """A process was started or adopted there."""
        self._pulses[slot.key] = _Pulse(self._now())

    def forget(self, slot: Slot) -> None:
        """Nothing runs there any more."""
        self._pulses.pop(slot.key, None)
        heartbeat(self._folder, slot).unlink(missing_ok=True)

    def complaint(self, slot: Slot) -> str:
        """Why the process counts as hung; "" where it does not, or gives no sign at all."""
        pulse = self._pulses.get(slot.key)
        if pulse is None:
            return ""
        return self._asked(slot, pulse) if slot.probe else self._heard(slot, pulse)

    def _asked(self, slot: Slot, pulse: _Pulse) -> str:
        now, limits = self._now(), self._limits
        if pulse.question is None:
            if now - pulse.asked >= limits.every:
                pulse.asked = now
                pulse.question = self._askers.submit(ask, slot.probe, "/health", limits.timeout)
            return ""
        if not pulse.question.done():
            return ""
        answer, pulse.question = pulse.question.result(), None
        if answer.status == 200:
            pulse.seen, pulse.misses = now, 0
            return ""
        pulse.misses += 1
        if pulse.misses < limits.misses or not self._may_judge(pulse, now):
            return ""
        return f"hung: no good answer to /health {pulse.misses} times in a row ({answer.text})"

    def _heard(self, slot: Slot, pulse: _Pulse) -> str:
        try:
            stamp = heartbeat(self._folder, slot).stat().st_mtime_ns
        except FileNotFoundError:
            return ""
        now = self._now()
        if pulse.stamp != stamp:
            # The first look only learns the stamp: it may have been written long ago.
            pulse.seen = now if pulse.stamp else pulse.seen
            pulse.stamp = stamp
            return ""
        silent = now - (pulse.begun if pulse.seen is None else pulse.seen)
        if silent < self._limits.silence or not self._may_judge(pulse, now):
            return ""
        return f"hung: no sign of life for {silent:.0f} s"

    def _may_judge(self, pulse: _Pulse, now: float) -> bool:
        return pulse.seen is not None or now - pulse.begun >= self._limits.starting

"""What goes wrong meanwhile, at moments that a seed decides.

Processes and the store's network break side by side, each one thing after the other. The run is
not over before every kind has happened, and a fault of the network lasts until a request met it:
what nobody met would prove nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.soak.topology import Topology, freeze, thaw
from tests.testbed.disk import fill
from tests.testbed.faults import ALWAYS, Fault

FULL_DISK = "full disk"
SERVERS = ("postgresql", "valkey", "s3")
MACHINE = (
    *("kill api", "kill worker", "freeze api", "freeze worker"),
    *(f"kill {name}" for name in SERVERS),
    FULL_DISK,
)
NETWORK = (
    *("slow-up", "slow-down", "cut-up", "cut-down"),
    *("flip-up", "flip-down", "reset", "reset-after"),
)
MORE = 90.0  # seconds over the time that a first round may take
MEETING = 30.0  # seconds that a fault waits for somebody to meet it
_FILLER = "filler"
_FULL = ("No space left on device", "disk is full", "disk-full", "files of a task is full")


class Chaos:
    """Breaks one thing after the other, and mends each after a while.

    Attributes:
        done: how often each was done.
        met: how many requests, or lines of the log, met each that can be met.
        left_out: why a kind cannot be done here.
    """

    def __init__(self, parts: Topology, seed: int) -> None:
        self._parts = parts
        self._random = random.Random(seed)
        self._streams = 2
        self.done: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.left_out: dict[str, str] = {}
        if parts.disk is None:
            self.left_out[FULL_DISK] = parts.no_disk

    def going(self) -> bool:
        """Whether things break."""
        return self._streams > 0

    async def run(self, until: float) -> None:
        """Go on until that moment of the monotonic clock; then everything is whole again."""
        machine = [kind for kind in MACHINE if kind not in self.left_out]
        await asyncio.gather(
            self._stream(machine, until, self._break_machine),
            self._stream(NETWORK, until, self._break_network),
        )

    async def _stream(
        self, kinds: Sequence[str], until: float, step: Callable[[str, float], Awaitable[None]]
    ) -> None:
        order: list[str] = []
        while self._more(kinds, until):
            if not order:
                order = list(kinds)
                self._random.shuffle(order)
            await asyncio.sleep(self._random.uniform(0.5, 2))
            kind = order.pop()
            self._note(f"begin {kind}")
            await step(kind, self._random.uniform(1, 4))
            self._note(f"end {kind}")
            self.done[kind] += 1
            self._parts.call_roll()
        self._streams -= 1

    def _note(self, what: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._parts.journal.open("a") as journal:
            journal.write(f"{now} {what}\n")

    def _more(self, kinds: Sequence[str], until: float) -> bool:
        now = time.monotonic()
        first_round = not all(self.done[kind] for kind in kinds)
        return now < until or (first_round and now < until + MORE)

    async def _break_machine(self, kind: str, pause: float) -> None:
        what, name = kind.split()
        if kind == FULL_DISK:
            await self._fill_disk(pause)
        elif name in SERVERS:
            await self._parts.off_loop(lambda: self._parts.kill_server(name))
            await asyncio.sleep(pause)
            await self._parts.off_loop(self._parts.servers[name].restart)
        elif what == "kill":
            victim = self._random.choice(self._parts.fleet(name))
            await asyncio.to_thread(self._parts.kill, victim)
            await asyncio.sleep(pause)
            await asyncio.to_thread(self._parts.again, name, victim)
        else:
            victim = self._random.choice(self._parts.fleet(name))
            freeze(victim)
            await asyncio.sleep(pause + 2)
            thaw(victim)

    async def _break_network(self, kind: str, pause: float) -> None:
        least = 0 if kind.startswith("reset") else 100
        times = ALWAYS if kind.startswith("slow") else 12
        fault = Fault(kind, least=least, times=times, seconds=1.0)
        self._parts.proxy.fault = fault
        await asyncio.sleep(pause)
        await _until(lambda: fault.fired > 0)
        self._parts.proxy.fault = None
        self.met[kind] += fault.fired

    async def _fill_disk(self, pause: float) -> None:
        """No room where processes keep files of a task and metrics, until somebody said so."""
        disk = self._parts.disk
        assert disk is not None
        begun = len(self._parts.processes.log)
        until = time.monotonic() + pause

        def complaints() -> int:
            lines = self._parts.processes.log[begun:].splitlines()
            return sum(any(word in line for word in _FULL) for line in lines)

        try:
            while time.monotonic() < until or not complaints():
                await asyncio.to_thread(_fill, disk)  # again: what ends makes room
                await asyncio.sleep(0.1)
                if time.monotonic() > until + MEETING:
                    break
        finally:
            await asyncio.to_thread(_empty, disk)
        self.met[FULL_DISK] += complaints()


def _fill(disk: Path) -> None:
    """Take every block and every name that is left."""
    with contextlib.suppress(OSError):  # until somebody else took the last one
        fill(disk)
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (disk / f"{_FILLER}{time.monotonic_ns()}-{number}").touch()


def _empty(disk: Path) -> None:
    for filler in disk.glob(f"{_FILLER}*"):
        filler.unlink()


async def _until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + MEETING
    while not reached() and time.monotonic() < until:
        await asyncio.sleep(0.05)

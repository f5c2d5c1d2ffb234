"""What goes wrong meanwhile, at moments that a seed decides."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

from tests.soak.topology import Topology, freeze, thaw
from tests.testbed.faults import ALWAYS, Fault

KINDS = ("kill api", "kill worker", "freeze api", "freeze worker", "slow store", "cut store")
SERVERS = ("postgresql", "valkey", "s3")


class Chaos:
    """Breaks one thing after the other, and mends each after a while.

    Attributes:
        done: how often each was done.
    """

    def __init__(self, parts: Topology, seed: int) -> None:
        self._parts = parts
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()

    async def run(self, until: float) -> None:
        """Go on until that moment of the monotonic clock; then everything is whole again."""
        order: list[str] = []
        while time.monotonic() < until:
            if not order:
                order = [*KINDS, *(f"kill {name}" for name in SERVERS)]
                self._random.shuffle(order)
            await asyncio.sleep(self._random.uniform(0.5, 2.5))
            kind = order.pop()
            await self._do(kind)
            self.done[kind] += 1

    async def _do(self, kind: str) -> None:
        what, name = kind.split()
        pause = self._random.uniform(1, 4)
        if name in SERVERS:
            server = self._parts.servers[name]
            await self._parts.off_loop(server.kill)
            await asyncio.sleep(pause)
            await self._parts.off_loop(server.restart)
        elif what == "kill":
            fleet = self._parts.apis if name == "api" else self._parts.workers
            victim = self._random.choice(fleet)
            victim.kill()
            await asyncio.to_thread(victim.wait)
            await asyncio.sleep(pause)
            await asyncio.to_thread(self._parts.again, name, victim)
        elif what == "freeze":
            victim = self._random.choice(self._parts.apis if name == "api" else self._parts.workers)
            freeze(victim)
            await asyncio.sleep(pause + 2)
            thaw(victim)
        else:
            fault = "slow-down" if what == "slow" else self._random.choice(("cut-up", "cut-down"))
            times = ALWAYS if what == "slow" else 20
            self._parts.proxy.fault = Fault(fault, least=100, times=times, seconds=1.0)
            await asyncio.sleep(pause)
            self._parts.proxy.fault = None

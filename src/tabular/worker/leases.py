"""Which running jobs have lost their worker, told without comparing two clocks.

A lease that ends at a time of day breaks when a clock is set: back, and a dead worker's job
hangs; forward, and a living one loses its job. So nothing is said to end at a time. Every
worker watches the heartbeat counters of all running jobs, and a counter that stood still for
the length of a lease *on the watcher's own monotonic clock* counts as lost. Taking the job away
is a compare-and-swap on that very counter, so of several watchers one succeeds, and none when
the job has given a sign of life in the meantime.

Time in which nobody looked counts little: while the database was away no worker could give a
sign of life, and the first look afterwards must not find all of them dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tabular.worker.jobs import Pulse


class Watch:
    """What one watcher has seen so far.

    Args:
        lease: seconds of standing still after which a job is lost.
        clock: monotonic seconds.
    """

    def __init__(self, lease: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._clock = clock
        self._still: dict[Pulse, float] = {}
        self._looked = clock()

    def lost(self, running: Sequence[Pulse]) -> list[Pulse]:
        """The jobs among `running` whose pulse has not changed for a lease.

        Look four times in a lease or more often; of a longer pause half a lease counts.
        """
        now = self._clock()
        passed = min(now - self._looked, self._lease / 2)
        self._looked = now
        still = self._still
        self._still = {p: still[p] + passed if p in still else 0.0 for p in running}
        return [pulse for pulse, seconds in self._still.items() if seconds >= self._lease]

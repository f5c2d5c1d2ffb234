"""What does not answer at the moment: how long to leave it alone, and what the log says of it.

An outage of an hour that is met every second would be 3,600 equal lines, and the one that
matters would be lost among them. So its begin is logged once, and its end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from tabular.errors import TabularError

_LOG = logging.getLogger(__name__)

FIRST_PAUSE = 1.0  # seconds; each later one is twice as long
LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class Subject:
    """What an outage is of, and how the log says so.

    Attributes:
        name: what is away.
        begins, ends: what follows the name when that begins, and when it is over.
    """

    name: str
    begins: str = "does not answer, it is tried again"
    ends: str = "answers again"


@dataclass
class _Outage:
    since: float
    pause: float


class Outages:
    """The outages that one process sees, by what they are of.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[Subject, _Outage] = {}

    def met(self, what: Subject, error: TabularError) -> float:
        """Note that something did not answer.

        Args:
            what: it.
            error: how that showed.

        Returns:
            Seconds to leave it alone.
        """
        known = self._open.get(what)
        if known is None:
            self._open[what] = _Outage(self._clock(), FIRST_PAUSE)
            _LOG.warning("%s %s: %s", what.name, what.begins, error)
            return FIRST_PAUSE
        known.pause = min(LONGEST_PAUSE, known.pause * 2)
        _LOG.debug("still, %s %s: %s", what.name, what.begins, error.message)
        return known.pause

    def over(self, what: Subject) -> None:
        """Note that it answers."""
        known = self._open.pop(what, None)
        if known is not None:
            seconds = self._clock() - known.since
            _LOG.warning("%s %s after %.0f s", what.name, what.ends, seconds)

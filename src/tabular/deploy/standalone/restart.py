"""When to start again what died: soon at first, rarely if it keeps dying, never in a tight loop."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STABLE_AFTER = 60.0
CRASH_LOOP = 3


@dataclass(slots=True)
class Backoff:
    """Delays that double with each death in a row; all times in monotonic seconds.

    Attributes:
        failures: deaths in a row without a stable time between them.
        due: when the next start may happen.
    """

    failures: int = 0
    due: float = 0.0

    def died(self, now: float, lived: float) -> None:
        """Note a death.

        Args:
            now: monotonic time.
            lived: seconds since the start.
        """
        self.failures = 1 if lived >= STABLE_AFTER else self.failures + 1
        exponent = min(self.failures - 1, 16)
        self.due = now + min(LONGEST_DELAY, FIRST_DELAY * 2**exponent)

    @property
    def is_crash_loop(self) -> bool:
        """True when it died so often in a row that a person should look."""
        return self.failures >= CRASH_LOOP

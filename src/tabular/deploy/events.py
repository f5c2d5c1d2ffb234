"""What happens during an apply, as a stream that knows nothing of terminals.

Engines yield events; the CLI draws them, `--json` prints them, the audit log keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tabular.deploy.stack import Resource


def utc_now() -> datetime:
    """The wall clock; only for showing, never for measuring."""
    return datetime.now(UTC)


class EventStatus(StrEnum):
    """State of one resource, or of the whole stack when ``resource`` is empty."""

    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    FAILED = "failed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        sequence: position in the stream of one apply, from 1; a re-attached client goes on from it.
        time: when, in UTC, by the clock of the engine.
        resource: id of the resource, or "" for the stack as a whole.
        type: the vendor's type of the resource.
        status: what it came to.
        reason: why, in the engine's words; never a secret.
    """

    sequence: int
    time: datetime
    resource: str
    type: str
    status: EventStatus
    reason: str = ""

    def as_dict(self) -> dict[str, str | int]:
        """Plain data for JSON lines."""
        return {
            "sequence": self.sequence,
            "time": self.time.astimezone(UTC).isoformat(),
            "resource": self.resource,
            "type": self.type,
            "status": self.status.value,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: dict[str, str | int]) -> Event:
        """Read back what :meth:`as_dict` wrote."""
        return cls(
            sequence=int(data["sequence"]),
            time=datetime.fromisoformat(str(data["time"])),
            resource=str(data["resource"]),
            type=str(data["type"]),
            status=EventStatus(str(data["status"])),
            reason=str(data["reason"]),
        )


class EventSequence:
    """Numbers and dates the events of one apply.

    Args:
        clock: the time of the engine, UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._last = 0

    def next(
        self, status: EventStatus, resource: Resource | None = None, reason: str = ""
    ) -> Event:
        """The next event: of a resource, or of the stack as a whole."""
        self._last += 1
        id_, type_ = (resource.id, resource.type) if resource else ("", "")
        return Event(self._last, self._clock(), id_, type_, status, reason)

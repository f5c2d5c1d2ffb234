"""What a worker tells of an attempt to whoever watches, with numbers that put it in order.

A state that the database has is numbered by its row's `beat`; what is told between two
heartbeats comes after the one before. An event without a number says: look into the database.
"""

from __future__ import annotations

import logging
from typing import Any

from tabular.errors import UnavailableError
from tabular.infra.websocket import EVENTS_PER_BEAT, Hub, event_id
from tabular.worker.jobs import Lease, Sign
from tabular.worker.statuses import RUNNING, SUCCEEDED

_LOG = logging.getLogger(__name__)


class Announcer:
    """The events of one attempt.

    Args:
        hub: where they are published.
        lease: the attempt. Of a part only the heartbeats are told: it knows no other part.
    """

    def __init__(self, hub: Hub, lease: Lease) -> None:
        self._hub, self._job = hub, lease.job.id
        self._whole = lease.part is None
        self._beat, self._count = lease.job.beat, 0

    def begun(self) -> None:
        """The attempt begins."""
        self._tell(RUNNING, 0.0, event_id(self._beat) if self._whole else None)

    def made(self, fraction: float) -> None:
        """The attempt has come so far."""
        if self._whole and self._count < EVENTS_PER_BEAT - 1:
            self._count += 1
            self._tell(RUNNING, fraction, event_id(self._beat, self._count))

    def alive(self, sign: Sign) -> None:
        """The heart has beaten."""
        self._beat, self._count = sign.beat, 0
        if not self._whole:
            self._tell(RUNNING, sign.progress, event_id(sign.beat))

    def ended(self, status: str) -> None:
        """The attempt has ended, and the database says how."""
        self._tell(status, 1.0 if status == SUCCEEDED else 0.0, None)

    def _tell(self, status: str, progress: float, number: int | None) -> None:
        event: dict[str, Any] = {
            "id": self._job,
            "status": status,
            "progress": round(progress, 4),
        }
        if number is not None:
            event["event_id"] = number
        try:
            self._hub.publish(self._job, event)
        except UnavailableError as error:  # they look into the database
            _LOG.debug("progress not published: %s", error.message)

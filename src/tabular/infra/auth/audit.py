"""The record of who was let do what: every decision in the log, what matters in the database.

The log ``tabular.audit`` has one line for each decision, fit for whatever keeps logs for years.
The table has only the events that an administrator asks for first (sign-ins, keys, deletions,
backups), so that requests do not become writes; it forgets after a while, the log's keeper decides
for the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import delete

from tabular.infra.auth.principal import Principal
from tabular.infra.database import Database
from tabular.infra.database.models import AuditEvent, new_id

SIGNED_IN = "session.created"
SIGNED_OUT = "session.ended"
SESSIONS_ENDED = "sessions.ended"
KEY_CREATED = "key.created"
KEY_ROTATED = "key.rotated"
KEY_REVOKED = "key.revoked"
DATASET_DELETED = "dataset.deleted"
MODEL_DELETED = "model.deleted"
BACKUP_MADE = "backup.made"
EVENTS = (
    SIGNED_IN,
    SIGNED_OUT,
    SESSIONS_ENDED,
    KEY_CREATED,
    KEY_ROTATED,
    KEY_REVOKED,
    DATASET_DELETED,
    MODEL_DELETED,
    BACKUP_MADE,
)

_LOG = logging.getLogger("tabular.audit")
_PRUNE_EVERY = 3600.0


@dataclass(frozen=True)
class Asked:
    """The request that a decision is about.

    Attributes:
        action: method and route, such as ``GET /v1/jobs/{job_id}``.
        resource: the path that was asked for.
        client: address.
        request_id: as in the answer's ``X-Request-Id``.
    """

    action: str
    resource: str
    client: str
    request_id: str


def log_decision(
    asked: Asked,
    decision: Literal["allow", "deny"],
    reason: str,
    principal: Principal | None,
    scopes: tuple[str, ...] = (),
) -> None:
    """Write one line."""
    who = principal
    _LOG.info(
        "%s %s",
        decision,
        asked.action,
        extra={
            "decision": decision,
            "reason": reason,
            "action": asked.action,
            "resource": asked.resource[:200],
            "scopes": list(scopes),
            "who": who.id if who else None,
            "who_name": who.name if who else None,
            "who_kind": who.kind if who else None,
            "via": who.via if who else None,
            "client": asked.client,
            "request_id": asked.request_id,
        },
    )


class AuditTrail:
    """Records security events.

    Args:
        database: where.
        retention: how long they are kept.
        clock: the time.
    """

    def __init__(
        self,
        database: Database,
        *,
        retention: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._retention = retention
        self._clock = clock
        self._pruned: float | None = None
        self._lock = threading.Lock()

    def record(
        self,
        event: str,
        asked: Asked,
        *,
        principal: Principal | None = None,
        name: str | None = None,
        resource: str | None = None,
        refused: str | None = None,
    ) -> None:
        """Add an event; old ones are removed now and then.

        Args:
            event: one of `EVENTS`.
            asked: the request.
            principal: who did it, when that is known.
            name: who was claimed to be, when it is not.
            resource: what it was done to.
            refused: why it was refused; None when it was done.

        Raises:
            UnavailableError: the database does not answer.
        """
        now = self._clock()
        shown = principal.name if principal is not None else name
        row = AuditEvent(
            id=new_id("aud"),
            at=now,
            event=event,
            outcome="ok" if refused is None else "refused",
            reason=refused,
            principal_id=principal.id if principal is not None else None,
            kind=principal.kind if principal is not None else None,
            name=None if shown is None else "".join(filter(str.isprintable, shown))[:200],
            resource=None if resource is None else resource[:200],
            client=asked.client[:64],
            request_id=asked.request_id[:64],
        )
        with self._database.transaction() as session:
            session.add(row)
            if self._is_time():
                session.execute(delete(AuditEvent).where(AuditEvent.at < now - self._retention))

    def _is_time(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if self._pruned is not None and now - self._pruned < _PRUNE_EVERY:
                return False
            self._pruned = now
            return True

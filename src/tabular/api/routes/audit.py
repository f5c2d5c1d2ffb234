"""``/v1/audit``: sign-ins, keys, deletions and backups, for administrators."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select

from tabular.api.access_schemas import AuditEventOut, AuditPage
from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.scopes import ADMIN
from tabular.infra.database.models import AuditEvent

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Admin = Annotated[Principal, Depends(Requires(ADMIN))]
Event = Literal[
    "session.created",
    "session.ended",
    "sessions.ended",
    "key.created",
    "key.rotated",
    "key.revoked",
    "dataset.deleted",
    "model.deleted",
    "backup.made",
]


@router.get("")
def list_events(
    service: Parts,
    page: Paged,
    _: Admin,
    event: Annotated[Event | None, Query()] = None,
    outcome: Annotated[Literal["ok", "refused"] | None, Query()] = None,
    principal_id: Annotated[str | None, Query(max_length=40)] = None,
) -> AuditPage:
    """Security events, or those of one kind, outcome or principal."""
    wanted = {"event": event, "outcome": outcome, "principal_id": principal_id}
    query = select(AuditEvent).filter_by(**{k: v for k, v in wanted.items() if v is not None})
    with service.database.session() as session:
        rows, following = page.of(session, query, AuditEvent.seq)
        items = [AuditEventOut.model_validate(row, from_attributes=True) for row in rows]
        return AuditPage(items=items, next=following)

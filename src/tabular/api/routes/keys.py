"""``/v1/keys``: API keys, for administrators."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import select

from tabular.api.access_schemas import (
    IssuedKeyOut,
    KeyOut,
    KeyPage,
    KeyRequest,
    RotateRequest,
)
from tabular.api.admission import asked_of
from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.errors import ConflictError
from tabular.infra.auth.audit import KEY_CREATED, KEY_REVOKED, KEY_ROTATED
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.scopes import ADMIN
from tabular.infra.database.models import ApiKey

router = APIRouter(prefix="/v1/keys", tags=["keys"])

Admin = Annotated[Principal, Depends(Requires(ADMIN))]
KeyId = Annotated[str, Path(pattern=r"^(bootstrap-)?[0-9a-f]{16}$")]


@router.get("")
def list_keys(service: Parts, page: Paged, _: Admin) -> KeyPage:
    """Every key ever issued, without secrets."""
    with service.database.session() as session:
        rows, following = page.of(session, select(ApiKey), ApiKey.seq)
        items = [KeyOut.model_validate(row, from_attributes=True) for row in rows]
        return KeyPage(items=items, next=following)


@router.post("", status_code=201)
def create_key(request: Request, service: Parts, body: KeyRequest, admin: Admin) -> IssuedKeyOut:
    """Issue a key with scopes or a role. Its text is in this answer and nowhere else."""
    service.plans.check(body.plan)
    issued = service.keys.issue(
        body.name, body.scopes, role=body.role, plan=body.plan, expires_at=body.expires_at
    )
    asked = asked_of(request.scope)
    service.audit.record(KEY_CREATED, asked, principal=admin, resource=issued.id)
    return IssuedKeyOut.model_validate(issued, from_attributes=True)


@router.post("/{key_id}/rotate")
def rotate_key(
    request: Request,
    service: Parts,
    key_id: KeyId,
    admin: Admin,
    body: RotateRequest | None = None,
) -> IssuedKeyOut:
    """Give a key a new secret; the old one goes on for the overlap, a day when none is said."""
    wanted = body or RotateRequest.model_validate({})
    overlap = timedelta(seconds=wanted.overlap_seconds)
    issued = service.keys.rotate(key_id, overlap=overlap)
    service.recent.forget()
    asked = asked_of(request.scope)
    service.audit.record(KEY_ROTATED, asked, principal=admin, resource=key_id)
    return IssuedKeyOut.model_validate(issued, from_attributes=True)


@router.delete("/{key_id}", status_code=204)
def revoke_key(request: Request, service: Parts, key_id: KeyId, admin: Admin) -> Response:
    """End a key and its sessions at once. A key cannot end itself, so that one always remains."""
    if key_id == admin.id:
        raise ConflictError("a key cannot revoke itself", hint="use another administrator's key")
    service.keys.revoke(key_id)
    service.recent.forget()
    asked = asked_of(request.scope)
    service.audit.record(KEY_REVOKED, asked, principal=admin, resource=key_id)
    return Response(status_code=204)

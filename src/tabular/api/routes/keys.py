"""``/v1/keys``: API keys, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import select

from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.api.schemas import IssuedKeyOut, KeyPage, KeyRequest
from tabular.api.views import key_out
from tabular.errors import ConflictError
from tabular.infra.auth import ADMIN, Principal
from tabular.infra.database.models import ApiKey

router = APIRouter(prefix="/v1/keys", tags=["keys"])

Admin = Annotated[Principal, Depends(Requires(ADMIN))]
KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


@router.get("")
def list_keys(service: Parts, page: Paged, _: Admin) -> KeyPage:
    """Every key ever issued, without secrets."""
    with service.database.session() as session:
        rows, following = page.of(session, select(ApiKey), ApiKey.seq)
        return KeyPage(items=[key_out(row) for row in rows], next=following)


@router.post("", status_code=201)
def create_key(service: Parts, body: KeyRequest, _: Admin) -> IssuedKeyOut:
    """Issue a key. Its text is in this answer and nowhere else."""
    issued = service.keys.issue(body.name, body.scopes)
    return IssuedKeyOut(id=issued.id, name=issued.name, scopes=list(issued.scopes), key=issued.key)


@router.delete("/{key_id}", status_code=204)
def revoke_key(service: Parts, key_id: KeyId, principal: Admin) -> Response:
    """End a key at once. A key cannot end itself, so that one always remains."""
    if key_id == principal.id:
        raise ConflictError("a key cannot revoke itself", hint="use another administrator's key")
    service.keys.revoke(key_id)
    return Response(status_code=204)

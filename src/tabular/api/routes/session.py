"""``/v1/session`` and ``/v1/whoami``: signing in and out, and who one is."""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from tabular.api.access_schemas import SessionOut, SignInRequest, WhoOut
from tabular.api.admission import asked_of
from tabular.api.credentials import cookie_name, set_cookie
from tabular.api.dependencies import Parts, Requires
from tabular.errors import ConflictError, UnauthenticatedError
from tabular.infra.auth import Principal

router = APIRouter(prefix="/v1", tags=["session"])

Anyone = Annotated[Principal, Depends(Requires())]
REFUSAL_SECONDS = 0.5  # every refusal takes at least this long: its time tells nothing


@router.post("/session", status_code=201)
async def sign_in(
    request: Request, response: Response, service: Parts, body: SignInRequest
) -> SessionOut:
    """Sign in with a name and a password, or with a key, and get a session."""
    begun, asked = time.monotonic(), asked_of(request.scope)
    if body.key is not None:
        step = functools.partial(service.sign_in.by_key, body.key, asked)
    else:
        step = functools.partial(
            service.sign_in.by_password, body.username or "", body.password or "", asked
        )
    try:
        opened = await to_thread.run_sync(step)
    except UnauthenticatedError:
        await anyio.sleep(max(0.0, begun + REFUSAL_SECONDS - time.monotonic()))
        raise
    request.state.principal = opened.principal
    if body.cookie:
        left = int((opened.expires_at - datetime.now(UTC)).total_seconds())
        name = cookie_name(request.scope, request.headers)
        set_cookie(response, name, opened.token, max(1, left))
    return SessionOut(
        id=opened.id,
        token=None if body.cookie else opened.token,
        expires_at=opened.expires_at,
        principal=_who(opened.principal),
    )


@router.delete("/session", status_code=204)
def sign_out(request: Request, service: Parts, principal: Anyone) -> Response:
    """End the session that this request came with."""
    if principal.session_id is None:
        raise ConflictError(
            "this request came with a key or a provider's token, not with a session",
            hint="DELETE /v1/keys/{key_id} ends a key",
        )
    service.sign_in.end(principal, principal.session_id, asked_of(request.scope))
    service.recent.forget()
    response = Response(status_code=204)
    set_cookie(response, cookie_name(request.scope, request.headers), "", 0)
    return response


@router.get("/whoami")
def whoami(principal: Anyone) -> WhoOut:
    """Who asks, and what that one may do."""
    return _who(principal)


def _who(principal: Principal) -> WhoOut:
    return WhoOut(
        id=principal.id,
        name=principal.name,
        kind=principal.kind,
        via=principal.via,
        roles=list(principal.roles),
        scopes=sorted(principal.scopes),
        groups=list(principal.groups),
        plan=principal.plan,
    )

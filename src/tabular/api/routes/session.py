"""``/v1/session``, ``/v1/sessions``, ``/v1/whoami``: signing in and out, and who has."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tabular.api.access_schemas import (
    EndedOut,
    OpenSessionOut,
    SessionOut,
    SessionPage,
    SignInRequest,
    WhoOut,
)
from tabular.api.admission import asked_of
from tabular.api.credentials import cookie_name, set_cookie
from tabular.api.dependencies import Parts, Requires
from tabular.api.paging import Paged
from tabular.errors import ConflictError, UnauthenticatedError, UnavailableError
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.scopes import ADMIN
from tabular.infra.database.models import SignInSession

router = APIRouter(prefix="/v1", tags=["session"])

Anyone = Annotated[Principal, Depends(Requires())]
Admin = Annotated[Principal, Depends(Requires(ADMIN))]
SessionId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
REFUSAL_SECONDS = 0.5  # every refusal takes at least this long: its time tells nothing


@router.post("/session", status_code=201)
async def sign_in(
    request: Request, response: Response, service: Parts, body: SignInRequest
) -> SessionOut:
    """Sign in with a name and a password, or with a key, and get a session."""
    begun, asked = time.monotonic(), asked_of(request.scope)
    places = service.key_sign_ins
    if body.key is not None:
        step = functools.partial(service.sign_in.by_key, body.key, asked)
    else:
        places = service.password_sign_ins
        step = functools.partial(
            service.sign_in.by_password, body.username or "", body.password or "", asked
        )
    try:
        with _place(places):
            # The place is the limit: a thread is had at once, and is none of those of others.
            opened = await to_thread.run_sync(step, limiter=anyio.CapacityLimiter(1))
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


@router.get("/sessions")
def list_sessions(
    service: Parts,
    page: Paged,
    _: Admin,
    principal_id: Annotated[str | None, Query(max_length=40)] = None,
) -> SessionPage:
    """Every session that has not ended, or those of one person or key."""
    query = service.sessions.open_ones(principal_id)
    with service.database.session() as session:
        rows, following = page.of(session, query, SignInSession.seq)
        items = [OpenSessionOut.model_validate(row, from_attributes=True) for row in rows]
        return SessionPage(items=items, next=following)


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(request: Request, service: Parts, session_id: SessionId, admin: Admin) -> Response:
    """End anybody's session at once."""
    service.sign_in.end_other(admin, session_id, asked_of(request.scope))
    service.recent.forget()
    return Response(status_code=204)


@router.delete("/sessions")
def end_sessions(
    request: Request,
    service: Parts,
    admin: Admin,
    principal_id: Annotated[str, Query(min_length=1, max_length=40)],
) -> EndedOut:
    """End every session of a person, or of a key, at once."""
    ended = service.sign_in.end_all(admin, principal_id, asked_of(request.scope))
    service.recent.forget()
    return EndedOut(ended=ended)


@contextlib.contextmanager
def _place(places: anyio.CapacityLimiter) -> Iterator[None]:
    """Hold a place, or be refused: who waited for one would hold a connection meanwhile."""
    holder = object()
    try:
        places.acquire_on_behalf_of_nowait(holder)
    except anyio.WouldBlock:
        raise UnavailableError("too many sign-ins at once", code="unavailable.sign-in") from None
    try:
        yield
    finally:
        places.release_on_behalf_of(holder)


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

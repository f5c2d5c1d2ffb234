"""Who may come in: sign-in, limits, and the line of the audit log that says what was decided."""

from __future__ import annotations

import functools
import logging
from typing import Any, Literal

import anyio
from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import Scope
from starlette.websockets import WebSocket

from tabular.api.console import ASSETS
from tabular.api.credentials import (
    SESSION,
    Credential,
    check_same_site,
    client_of,
    credential_of,
)
from tabular.api.service import Service
from tabular.errors import (
    AccessError,
    RateLimitedError,
    TabularError,
    UnauthenticatedError,
    UnavailableError,
)
from tabular.infra.auth.audit import DATASET_DELETED, MODEL_DELETED, Asked, log_decision
from tabular.infra.auth.authenticator import is_ours
from tabular.infra.auth.principal import Principal
from tabular.infra.client_address import counted_as
from tabular.infra.ratelimit import Decision

PROBES = ("/health", "/ready", "/metrics")
_RECORDED = {
    "DELETE /v1/datasets/{dataset_id}": DATASET_DELETED,
    "DELETE /v1/models/{model_id}": MODEL_DELETED,
}
_Found = tuple[Principal | None, Decision, UnauthenticatedError | UnavailableError | None]
_LOG = logging.getLogger(__name__)


class Admission:
    """Admits requests and websockets.

    Args:
        service: the parts.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def admit(self, scope: Scope, headers: Headers) -> None:
        """Sign in and count; the principal is then in the state of the request.

        Raises:
            UnauthenticatedError, ForbiddenError, RateLimitedError, UnavailableError: not admitted.
        """
        if scope["path"] in PROBES or scope["path"].startswith(f"{ASSETS}/"):
            return  # answered from memory, to anybody
        state = scope["state"]
        state["client"] = client_of(scope, headers, self._service.settings.trusted_proxies)
        asked = scope["path"], scope.get("method")
        signs_in = needs_sign_in(*asked)
        credential = credential_of(scope, headers) if signs_in else None
        by_cookie = credential is not None and credential.by_cookie
        if by_cookie or _begins_session(*asked):
            check_same_site(scope, headers, by_cookie=by_cookie)
        principal, decision, refusal = await self._decide(credential, state["client"])
        state["principal"] = principal
        state["limit_headers"] = decision.headers()
        if decision.store_failed:
            self._service.metrics.error("rate_limit_store")
        if not decision.allowed and not _is_our_outage(credential, refusal):
            raise _refused(decision)
        if refusal is not None:
            raise refusal
        if signs_in and principal is None:
            raise UnauthenticatedError(
                "the API key is missing",
                hint="send `Authorization: Bearer KEY`",
                reason="credential.missing",
            )

    def upload_limit(self, scope: Scope) -> int:
        """Bytes that this upload may have, by the settings and the plan."""
        most = self._service.settings.max_upload_bytes
        principal: Principal | None = scope["state"].get("principal")
        plan = None if principal is None else self._service.plans.of(principal)
        own = None if plan is None else plan.max_upload_bytes
        return most if own is None else min(most, own)

    async def _decide(self, credential: Credential | None, client: str) -> _Found:
        refusal: UnauthenticatedError | UnavailableError | None = None
        limiter, settings = self._service.limiter, self._service.settings
        if credential is not None:
            try:
                principal = await self._authenticated(credential.text)
            except (UnauthenticatedError, UnavailableError) as error:
                refusal = error
            else:
                rules = self._service.plans.of(principal).rate_limit or settings.rate_limit
                # An id of its own for each kind of credential would multiply the limit.
                return principal, await limiter.hit(rules, "key", principal.id), None
        decision = await limiter.hit(settings.client_rate_limit, "client", counted_as(client))
        return None, decision, refusal

    async def _authenticated(self, text: str) -> Principal:
        """Who holds a credential; only what is not known has to wait, in a thread."""
        known = self._service.recent.find(text)
        return known if known is not None else await to_thread.run_sync(self._looked_up, text)

    def _looked_up(self, text: str) -> Principal:
        recent = self._service.recent
        era = recent.begin()
        principal = self._service.authenticator.authenticate(text)
        principal = self._service.plans.assigned(principal)
        recent.note(text, principal, era)
        return principal

    def log(self, scope: Scope) -> None:
        """Write down what was decided about a request whose answer begins."""
        if not scope["path"].startswith("/v1") and "refusal" not in scope["state"]:
            return
        state = scope["state"]
        refusal: str | None = state.get("refusal")
        decision: Literal["allow", "deny"] = "allow" if refusal is None else "deny"
        log_decision(
            asked_of(scope),
            decision,
            refusal or "granted",
            state.get("principal"),
            tuple(state.get("scopes", ())),
        )

    async def record(self, scope: Scope, *, status: int) -> None:
        """Keep it, when what was done is one of the events that are kept."""
        if status != 204 or scope["type"] != "http":
            return
        asked = asked_of(scope)
        if asked.action not in _RECORDED:
            return
        event, principal = _RECORDED[asked.action], scope["state"].get("principal")
        keep = functools.partial(
            self._service.audit.record,
            event,
            asked,
            principal=principal,
            resource=asked.resource.rpartition("/")[2],
        )
        try:
            await to_thread.run_sync(keep)
        except UnavailableError as error:
            _LOG.error("a security event is only in the log: %s", error.message)
            self._service.metrics.error("audit")


async def until_refused(service: Service, websocket: WebSocket, scope: str) -> None:
    """Wait until who holds a websocket may no longer: a key or a session that ended, a token
    that expired, a role that was taken away. What cannot be known is asked again later.

    Args:
        service: the parts.
        websocket: that was admitted.
        scope: what its holder must be able to do.
    """
    credential = credential_of(websocket.scope, websocket.headers)
    assert credential is not None  # it was admitted by it
    while True:
        await anyio.sleep(service.recheck_every)
        try:
            principal = await to_thread.run_sync(
                service.authenticator.authenticate, credential.text
            )
            principal.require(scope)
        except AccessError as error:
            principal = websocket.state.principal
            log_decision(asked_of(websocket.scope), "deny", error.reason, principal, (scope,))
            return
        except UnavailableError as error:
            _LOG.info("whether a websocket may stay open is not known: %s", error.message)


def asked_of(scope: Scope) -> Asked:
    """The request as the record names it."""
    state: dict[str, Any] = scope["state"]
    method = scope.get("method", "WEBSOCKET")
    route = getattr(scope.get("route"), "path", None) or scope["path"][:200]
    return Asked(
        action=f"{method} {route}",
        resource=scope["path"],
        client=state.get("client", "unknown"),
        request_id=state["request_id"],
    )


def note_refusal(state: dict[str, Any], error: TabularError) -> None:
    """Remember why a request was refused, for the audit log."""
    if isinstance(error, AccessError):
        state["refusal"] = error.reason


def needs_sign_in(path: str, method: str | None) -> bool:
    """Everything under ``/v1`` does, but to sign in."""
    return (path == "/v1" or path.startswith("/v1/")) and not _begins_session(path, method)


def _begins_session(path: str, method: str | None) -> bool:
    return path == SESSION and method == "POST"


def _is_our_outage(
    credential: Credential | None, refusal: UnauthenticatedError | UnavailableError | None
) -> bool:
    """Whether keys and sessions cannot be looked up: who has one is not told to ask less."""
    if credential is None or not isinstance(refusal, UnavailableError):
        return False
    return is_ours(credential.text)


def _refused(decision: Decision) -> TabularError:
    if decision.store_failed:
        return UnavailableError("requests cannot be counted, and are refused meanwhile")
    return RateLimitedError(
        f"more than {decision.limit} requests",
        retry_after=decision.retry_after,
        hint="wait for the seconds of the Retry-After header",
    )

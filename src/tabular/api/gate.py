"""What every request passes before a route sees it, in this order:

1. an id, the security headers, a measured time, and a problem document for whatever is raised;
2. sign-in: who asks, by API key (everything under ``/v1``);
3. the rate limit: of the key once it is known to be right, of the client's address otherwise,
   so that nobody can use up another's limit by sending that one's key id;
4. a bound on the body, before a byte of it is parsed.

It is a middleware and not a dependency, because FastAPI parses bodies before dependencies.
"""

from __future__ import annotations

import functools
import logging
import re
import secrets
import time

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tabular.api import problems
from tabular.api.service import Service
from tabular.errors import (
    RateLimitedError,
    TabularError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from tabular.infra.auth import Principal
from tabular.infra.monitoring import log_context
from tabular.infra.ratelimit import Decision, client_address

MAX_BODY = 1024 * 1024
UPLOADS = "/v1/datasets"
PROBES = ("/health", "/ready", "/metrics")
BEARER_PROTOCOL = "tabular.bearer."  # a browser's websocket can send no header but this list
CLOSE_REFUSED = 1008
# Of a metric's label: a client may name a method as it likes, and each name is kept.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


class Gate:
    """The middleware.

    Args:
        app: what lies behind.
        service: the parts.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(scope, send, request_id)
        begun = time.monotonic()
        with log_context(request_id=request_id):
            await self._pass(scope, headers, receive, answer)
            self._account(scope, answer, time.monotonic() - begun)

    async def _pass(
        self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer
    ) -> None:
        try:
            await self._admit(scope, headers)
            await self._app(scope, self._bounded(scope, headers, receive), answer.send)
        except TabularError as error:
            await answer.refuse(problems.of_error(error, answer.request_id), receive)
        except Exception as error:
            _LOG.exception("unexpected error")
            self._service.metrics.error(f"unexpected.{type(error).__name__}")
            if answer.started:
                raise  # half an answer is out: only the connection's end can say so
            await answer.refuse(problems.of_unexpected(answer.request_id), receive)

    async def _admit(self, scope: Scope, headers: Headers) -> None:
        """Sign in and count.

        Raises:
            UnauthenticatedError, RateLimitedError, UnavailableError: not admitted.
        """
        path = scope["path"]
        if path in PROBES:
            return
        client = client_address(
            scope["client"][0] if scope.get("client") else "unknown",
            ",".join(headers.getlist("x-forwarded-for")) or None,
            self._service.settings.trusted_proxies,
        )
        signs_in = path == "/v1" or path.startswith("/v1/")
        key = _credential(headers) if signs_in else None
        state = scope["state"]
        principal, decision = await to_thread.run_sync(
            functools.partial(self._decide, key, client, signs_in)
        )
        state["principal"] = principal
        state["limit_headers"] = decision.headers()
        if decision.store_failed:
            self._service.metrics.error("rate_limit_store")
        if not decision.allowed:
            raise _refused(decision)
        if signs_in and principal is None:
            raise UnauthenticatedError(
                "the API key is missing or not valid",
                hint="send `Authorization: Bearer KEY`",
            )

    def _decide(
        self, key: str | None, client: str, signs_in: bool
    ) -> tuple[Principal | None, Decision]:
        settings, limiter = self._service.settings, self._service.limiter
        principal: Principal | None = None
        if signs_in and key is not None:
            try:
                principal = self._service.keys.authenticate(key)
            except UnauthenticatedError:
                _LOG.info("a key was refused", extra={"client": client})
        if principal is not None:
            return principal, limiter.hit(settings.rate_limit, "key", principal.id)
        return None, limiter.hit(settings.client_rate_limit, "client", client)

    def _bounded(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """`receive` with a limit on the body."""
        if scope["type"] != "http":
            return receive
        upload = scope["method"] == "POST" and scope["path"] == UPLOADS
        limit = self._service.settings.max_upload_bytes if upload else MAX_BODY
        # The frame of a multipart form is not part of the file.
        multipart = headers.get("content-type", "").startswith("multipart/")
        allowed = limit + (64 * 1024 if upload and multipart else 0)
        said = headers.get("content-length", "")
        too_large = f"the body is larger than {limit:,} bytes"
        if said.isdigit() and int(said) > allowed:
            raise TooLargeError(too_large)
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > allowed:
                # FastAPI turns every other exception of a body into a 400.
                raise HTTPException(413, too_large)
            return message

        return bounded

    def _account(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        if scope["type"] != "http":
            return
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._service.metrics.request(method, route, answer.status, seconds)
        if scope["path"] not in PROBES:
            principal: Principal | None = scope["state"].get("principal")
            fields = {
                "method": scope["method"],
                "path": scope["path"],
                "status": answer.status,
                "seconds": round(seconds, 4),
                "api_user": principal.id if principal is not None else None,
            }
            _LOG.info("request", extra=fields)


class _Answer:
    """What goes back: adds headers, remembers the status, can refuse a websocket too."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self.request_id = request_id
        self.status = 500
        self.started = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.started = True
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self.request_id
            headers.update(self._scope["state"].get("limit_headers", {}))
        elif kind == "websocket.accept":
            self.started = True
        await self._send(message)

    async def refuse(self, response: Response, receive: Receive) -> None:
        """Answer with a problem instead of what was asked for."""
        can_answer = "websocket.http.response" in self._scope.get("extensions", {})
        if self._scope["type"] == "http" or (can_answer and not self.started):
            await response(self._scope, receive, self.send)
        else:
            await self._send({"type": "websocket.close", "code": CLOSE_REFUSED})


def _request_id(given: str | None) -> str:
    """The caller's id when it is harmless, or a new one."""
    return given if given is not None and _REQUEST_ID.match(given) else secrets.token_hex(12)


def _credential(headers: Headers) -> str | None:
    """The API key that was sent, if any."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(BEARER_PROTOCOL):
            return protocol.strip().removeprefix(BEARER_PROTOCOL)
    return None


def _refused(decision: Decision) -> TabularError:
    if decision.store_failed:
        return UnavailableError("requests cannot be counted, and are refused meanwhile")
    return RateLimitedError(
        f"more than {decision.limit} requests",
        retry_after=decision.retry_after,
        hint="wait for the seconds of the Retry-After header",
    )

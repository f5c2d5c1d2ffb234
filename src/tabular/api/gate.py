"""What every request passes before a route sees it, in this order:

1. an id, the security headers, a measured time, and a problem document for whatever is raised;
2. sign-in: who asks, by key, session or token (everything under ``/v1``);
3. the rate limit: of who it is once that is known, of the client's address otherwise, so that
   nobody can use up another's limit by sending that one's key id;
4. a bound on the body, before a byte of it is parsed.

It is a middleware and not a dependency, because FastAPI parses bodies before dependencies.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import time
from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tabular.api import problems
from tabular.api.admission import PROBES, Admission, note_refusal
from tabular.api.metering import count_download, open_websocket
from tabular.api.service import Service
from tabular.errors import TabularError, TooLargeError
from tabular.infra.auth.principal import Principal
from tabular.infra.monitoring import log_context
from tabular.infra.telemetry import SERVER, Span

MAX_BODY = 1024 * 1024
UPLOADS = "/v1/datasets"
CLOSE_REFUSED = 1008
# Of a metric's label: a client may name a method as it likes, and each name is kept.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

SECURITY_HEADERS = {  # as ASGI has them, where a route says nothing else
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
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
        self._admission = Admission(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(scope, send, request_id, self._admission)
        begun = time.monotonic()
        with log_context(request_id=request_id), self._traced(scope, headers) as span:
            await self._pass(scope, headers, receive, answer)
            await self._admission.record(scope, status=answer.status)
            self._account(scope, answer, time.monotonic() - begun, span)

    @contextlib.contextmanager
    def _traced(self, scope: Scope, headers: Headers) -> Iterator[Span]:
        """The span of a request; probes and scrapes come all the time and have none."""
        if scope["path"] in PROBES:
            yield Span("")
            return
        telemetry = self._service.telemetry
        with telemetry.span(scope["type"].upper(), SERVER, headers.get("traceparent")) as span:
            yield span

    async def _pass(
        self, scope: Scope, headers: Headers, receive: Receive, answer: _Answer
    ) -> None:
        try:
            await self._admission.admit(scope, headers)
            async with open_websocket(self._service, scope):
                await self._app(scope, self._bounded(scope, headers, receive), answer.send)
        except TabularError as error:
            note_refusal(scope["state"], error)
            await answer.refuse(problems.of_error(error, answer.request_id), receive)
        except Exception as error:
            _LOG.exception("unexpected error")
            self._service.metrics.error(f"unexpected.{type(error).__name__}")
            if answer.started:
                raise  # half an answer is out: only the connection's end can say so
            await answer.refuse(problems.of_unexpected(answer.request_id), receive)
        finally:
            await count_download(self._service, scope, answer.downloaded)

    def _bounded(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """`receive` with a limit on the body."""
        if scope["type"] != "http":
            return receive
        upload = scope["method"] == "POST" and scope["path"] == UPLOADS
        limit = self._admission.upload_limit(scope) if upload else MAX_BODY
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

    def _account(self, scope: Scope, answer: _Answer, seconds: float, span: Span) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        if scope["type"] != "http":
            span.name = f"WEBSOCKET {route}"
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._service.metrics.request(method, route, answer.status, seconds)
        span.name = f"{method} {route}"
        span.attributes.update(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": answer.status,
                "tabular.request_id": answer.request_id,
            }
        )
        if answer.status >= 500:
            span.error = str(answer.status)
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

    def __init__(self, scope: Scope, send: Send, request_id: str, admission: Admission) -> None:
        self._admission = admission
        self._scope = scope
        self._send = send
        self.request_id = request_id
        self.status = 500
        self.started = False
        self.downloaded = 0  # bytes of a body that is a file
        self._is_file = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._begin()
            self.status = message["status"]
            said = list(message.get("headers", ()))
            self._is_file = any(name == b"content-disposition" for name, _ in said)
            message["headers"] = self._completed(said)
        elif kind == "websocket.accept":
            self._begin()
        await self._send(message)
        if self._is_file:
            self.downloaded += len(message.get("body", b""))

    def _completed(self, said: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """A route's own headers, the gate's where it has none, and those that only we know."""
        limits: dict[str, str] = self._scope["state"].get("limit_headers", {})
        ours = {name.lower().encode(): value.encode() for name, value in limits.items()}
        ours[b"x-request-id"] = self.request_id.encode()
        kept = [pair for pair in said if pair[0] not in ours]
        names = {name for name, _ in kept}
        usual = [pair for pair in SECURITY_HEADERS.items() if pair[0] not in names]
        return [*kept, *usual, *ours.items()]

    async def refuse(self, response: Response, receive: Receive) -> None:
        """Answer with a problem instead of what was asked for."""
        can_answer = "websocket.http.response" in self._scope.get("extensions", {})
        if self._scope["type"] == "http" or (can_answer and not self.started):
            await response(self._scope, receive, self.send)
        else:
            self._begin()
            await self._send({"type": "websocket.close", "code": CLOSE_REFUSED})

    def _begin(self) -> None:
        if not self.started:
            self._admission.log(self._scope)
        self.started = True


def _request_id(given: str | None) -> str:
    """The caller's id when it is harmless, or a new one."""
    return given if given is not None and _REQUEST_ID.match(given) else secrets.token_hex(12)

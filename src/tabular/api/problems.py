"""Errors as RFC 9457 problem documents, from one table.

A caller's mistake is explained with place and hint. Of a failure on our side a caller learns
its code and the id of the request, and the log has the rest: messages of databases and stores
name hosts and paths that are nobody's business outside.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tabular import errors
from tabular.api.ids import described
from tabular.errors import TabularError
from tabular.synth.hints import API, told

MEDIA_TYPE = "application/problem+json"

# The first class that fits counts, so a class stands before its base.
STATUS: Sequence[tuple[type[TabularError], int]] = (
    (errors.InputError, 422),
    (errors.UnauthenticatedError, 401),
    (errors.ForbiddenError, 403),
    (errors.RateLimitedError, 429),
    (errors.QuotaSpentError, 429),
    (errors.QuotaError, 403),
    (errors.AccessError, 403),
    (errors.GoneError, 410),
    (errors.NotFoundError, 404),
    (errors.ConflictError, 409),
    (errors.RefusedError, 409),
    (errors.TooLargeError, 413),
    (errors.UnavailableError, 503),
    (errors.EngineError, 502),
    (errors.TabularError, 500),
)

_HTTP_CODES = {
    400: "input.malformed",
    401: errors.UnauthenticatedError.code,
    403: errors.ForbiddenError.code,
    404: "not-found",
    405: "method-not-allowed",
    408: "input.timeout",
    413: errors.TooLargeError.code,
    415: "input.media-type",
    416: "input.range",
}

_PATTERN = "string_pattern_mismatch"  # pydantic's name of it
_LOG = logging.getLogger(__name__)


def status_of(error: TabularError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def problem(
    status: int,
    code: str,
    title: str,
    request_id: str,
    *,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem document.

    Args:
        status: of HTTP.
        code: stable, to be searched for.
        title: the same for every problem of that code.
        request_id: finds it in the log.
        detail: what happened this time.
        headers: to add to the answer.
        **more: further members; those that are None are left out.
    """
    document = {
        "type": f"urn:inferloop-tabular:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **more,
    }
    body = json.dumps({k: v for k, v in document.items() if v is not None}, ensure_ascii=False)
    return Response(body, status, headers, MEDIA_TYPE)


def of_error(error: TabularError, request_id: str) -> Response:
    """The document of an error of the tree; one on our side is logged here."""
    status = status_of(error)
    title = _title(error)
    if status >= 500:
        _LOG.error("%s", error, extra={"code": error.code})
        hint = "try again; if it stays, look for the request id in the log"
        headers = {"Retry-After": "5"} if status == 503 else None
        return problem(status, error.code, title, request_id, hint=hint, headers=headers)
    return problem(
        status,
        error.code,
        title,
        request_id,
        detail=error.message,
        where=error.where,
        hint=told(error.hint, API),
        headers=_headers(error),
        **_quota(error),
    )


def of_unexpected(request_id: str) -> Response:
    """The document of a bug."""
    return problem(
        500,
        "internal",
        "Something went wrong that nobody foresaw",
        request_id,
        hint="look for the request id in the log",
    )


async def on_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for `TabularError`."""
    assert isinstance(error, TabularError)
    if isinstance(error, errors.AccessError):
        request.state.refusal = error.reason  # for the audit log
    return of_error(error, request.state.request_id)


async def on_http_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for what the framework itself refuses."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    return problem(
        error.status_code,
        _HTTP_CODES.get(error.status_code, f"http.{error.status_code}"),
        phrase,
        request.state.request_id,
        detail=error.detail if error.detail != phrase else None,
        headers=error.headers,
    )


async def on_invalid(request: Request, error: Exception) -> Response:
    """FastAPI's handler for a request of the wrong shape; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    found, hints = [], []
    for item in error.errors():
        words = described(str(item["loc"][-1])) if item["type"] == _PATTERN else None
        message, hint = words or (item["msg"], "see /docs")
        found.append({"where": ".".join(map(str, item["loc"])), "message": message})
        hints.append(hint)
    return problem(
        422,
        "input.invalid",
        "The request has not the right shape",
        request.state.request_id,
        detail="; ".join(f"{item['where']}: {item['message']}" for item in found[:5]),
        hint="; ".join(dict.fromkeys(hints[:5])),
        errors=found[:50],
    )


def _title(error: TabularError) -> str:
    return (inspect.getdoc(type(error)) or "").partition("\n")[0].rstrip(".")


def _quota(error: TabularError) -> dict[str, Any]:
    """What a client needs to plan by."""
    if not isinstance(error, errors.QuotaError):
        return {}
    return {
        "limit": error.limit,
        "used": error.used,
        "requested": error.requested,
        "resets_at": None if error.resets_at is None else error.resets_at.isoformat(),
    }


def _headers(error: TabularError) -> dict[str, str] | None:
    if isinstance(error, errors.UnauthenticatedError) or (
        isinstance(error, errors.ForbiddenError) and error.challenge
    ):
        more = f", {error.challenge}" if error.challenge else ""
        return {"WWW-Authenticate": f'Bearer realm="inferloop-tabular"{more}'}
    if isinstance(error, errors.RateLimitedError | errors.QuotaSpentError):
        return {"Retry-After": str(max(1, round(error.retry_after)))}
    return None

"""How a request says who sends it: a header, a websocket's protocol, or a cookie.

A browser sends a cookie whoever made it send the request. So what came by cookie counts only
when the request comes from our own page: every one that another site caused is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from tabular.errors import ForbiddenError
from tabular.infra.client_address import client_address
from tabular.infra.loopback import is_loopback

SESSION = "/v1/session"
BEARER_PROTOCOL = "tabular.bearer."  # a browser's websocket can send no header but this list
SECURE_COOKIE = "__Host-tabular_session"  # browsers take this name only over TLS, from us alone
LOCAL_COOKIE = "tabular_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Credential:
    """A key, a token of a session or of a provider.

    Attributes:
        by_cookie: the browser added it by itself.
    """

    text: str
    by_cookie: bool = False


def credential_of(scope: Scope, headers: Headers) -> Credential | None:
    """What was sent, if anything; a header counts more than a cookie."""
    authorization = headers.get("authorization", "").strip()
    if authorization:
        scheme, _, text = authorization.partition(" ")
        return Credential(text.strip()) if scheme.lower() == "bearer" else None
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(BEARER_PROTOCOL):
            return Credential(protocol.strip().removeprefix(BEARER_PROTOCOL))
    cookie = _cookies(headers).get(cookie_name(scope, headers))
    return Credential(cookie.value, by_cookie=True) if cookie is not None else None


def check_same_site(scope: Scope, headers: Headers, *, by_cookie: bool) -> None:
    """Return when the request is not one that another site made a browser send.

    Args:
        scope: of the request.
        headers: of the request.
        by_cookie: the credential is a cookie; then it must be shown that it is not.

    Raises:
        ForbiddenError: it is, or that is not shown.
    """
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != headers.get("host"):
        raise _foreign("origin")
    if not by_cookie:
        return
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise _foreign("fetch-site")
    unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
    shown = origin is not None
    if scope["type"] == "http":
        shown = shown or bool(headers.get("x-requested-with"))
    if unsafe and not shown:
        raise _foreign("missing")


def client_of(scope: Scope, headers: Headers, trusted: tuple[str, ...]) -> str:
    """The address of who asks, behind proxies that we trust."""
    return client_address(
        scope["client"][0] if scope.get("client") else "unknown",
        ",".join(headers.getlist("x-forwarded-for")) or None,
        trusted,
    )


def cookie_name(scope: Scope, headers: Headers) -> str:
    """The name of the cookie; without TLS there is one on the loopback interface alone."""
    host = f"//{headers.get('host', '')}"
    name = urlsplit(host).hostname if _netloc(host) else None
    local = scope["scheme"] in ("http", "ws") and is_loopback(name or "")
    return LOCAL_COOKIE if local else SECURE_COOKIE


def set_cookie(response: Response, name: str, token: str, seconds: int) -> None:
    """Give the browser a session, or take it back with zero seconds."""
    response.set_cookie(
        name,
        token,
        max_age=seconds,
        path="/",
        secure=name == SECURE_COOKIE,
        httponly=True,
        samesite="strict",
    )


def _netloc(url: str) -> str | None:
    """The part with the host; None of what anybody may send instead of a URL."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _cookies(headers: Headers) -> SimpleCookie:
    found = SimpleCookie()
    for line in headers.getlist("cookie"):
        for part in line.split(";"):  # one that cannot be read does not hide the others
            try:
                found.load(part.strip())
            except CookieError:
                continue
    return found


def _foreign(reason: str) -> ForbiddenError:
    return ForbiddenError(
        "this request came from another site, or does not show that it did not",
        hint="send the header X-Requested-With, or sign in with Authorization: Bearer",
        code="access.cross-site",
        reason=f"cross-site.{reason}",
    )

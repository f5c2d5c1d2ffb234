"""How a registry's challenge is answered, so that a password reaches the registry and nobody else.

Written after the distribution project's token specification, which Docker Hub, GitHub, GitLab,
Harbor, Quay and the clouds follow.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

import httpx

from tabular.deploy.onprem.airgap.credentials import Credential
from tabular.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from tabular.infra.loopback import is_loopback

_CLIENT = "inferloop-tabular"
# Statuses after which another try may do.
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORIZED = 401
_OK = 200


class SignIn(httpx.Auth):
    """The way in to one repository; answers what it is asked, and remembers the answer.

    Args:
        home: address of the registry; what leads elsewhere is sent without credentials.
        scopes: what a token is asked for, such as ``repository:team/app:pull``.
        credential: who signs in; None for nobody, which public images take as well.
    """

    def __init__(
        self, home: httpx.URL, scopes: Sequence[str], credential: Credential | None
    ) -> None:
        self._home = home
        self._scopes = tuple(scopes)
        self._credential = credential
        self._header = ""

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request, and once more with a sign-in where that is asked for."""
        if not self._is_ours(request.url):
            yield request
            return
        if self._header:
            request.headers["Authorization"] = self._header
        response = yield request
        if response.status_code != _UNAUTHORIZED or not self._is_ours(response.url):
            return
        scheme, said = _challenge(response.headers.get("WWW-Authenticate", ""))
        if scheme == "bearer" and "realm" in said:
            answer = yield self._token_request(said)
            self._header = f"Bearer {_token(answer, known=self._credential is not None)}"
        elif scheme == "basic" and self._credential is not None:
            self._header = self._credential.basic()
        else:
            return
        request.headers["Authorization"] = self._header
        yield request

    def _is_ours(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == (
            self._home.scheme, self._home.host, self._home.port
        )  # fmt: skip

    def _token_request(self, said: dict[str, str]) -> httpx.Request:
        realm = httpx.URL(said["realm"])
        if realm.scheme != "https" and not is_loopback(realm.host):
            raise ForbiddenError(
                f"the registry sends sign-ins to {realm.scheme}://{realm.host}, which is not "
                "encrypted; nothing was sent there",
                where=str(self._home),
            )
        asked: dict[str, str | list[str]] = {"scope": list(self._scopes)}
        if "service" in said:
            asked["service"] = said["service"]
        if self._credential is not None and self._credential.is_token:
            form = {
                "grant_type": "refresh_token",
                "client_id": _CLIENT,
                "refresh_token": self._credential.secret,
                "service": said.get("service", ""),
                "scope": " ".join(self._scopes),
            }
            return httpx.Request("POST", realm, data=form)
        headers = {} if self._credential is None else {"Authorization": self._credential.basic()}
        return httpx.Request("GET", realm.copy_merge_params(asked), headers=headers)


def _challenge(header: str) -> tuple[str, dict[str, str]]:
    """Scheme and parameters; a token where there is the choice."""
    found = re.search(r"\bBearer\b", header, re.IGNORECASE)
    scheme = "bearer" if found else header.partition(" ")[0].lower()
    text = header[found.end() :] if found else header
    return scheme, dict(re.findall(r'(\w+)="([^"]*)"', text))


def _token(answer: httpx.Response, *, known: bool) -> str:
    """The token of an answer.

    Args:
        answer: of the server that sells them.
        known: whether somebody signed in.

    Raises:
        AccessError: it sells none to them.
        httpx.TransportError: it is busy; another try may do.
        UnavailableError: it answers something else.
    """
    answer.read()
    where = f"{answer.url.scheme}://{answer.url.netloc.decode()}{answer.url.path}"
    if answer.status_code in BUSY:
        raise httpx.TransportError(f"its sign-in at {where} answers {answer.status_code}")
    if answer.status_code in (_UNAUTHORIZED, 400, 403):
        if not known:
            raise UnauthenticatedError(
                "the registry has no such image, or wants a sign-in for it",
                where=where,
                hint="`podman login` or `docker login` to the registry",
            )
        raise ForbiddenError(
            "the sign-in is refused: the name or the password is wrong",
            where=where,
            hint="`podman login` or `docker login` to the registry again",
        )
    try:
        said = answer.json() if answer.status_code == _OK else {}
    except ValueError:
        said = {}
    token = said.get("token") or said.get("access_token")
    if not token:
        raise UnavailableError(f"the sign-in gives no token ({answer.status_code})", where=where)
    return str(token)

"""Requests to one repository of a registry: encrypted, signed in, repeated, and errors in words."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from tabular.deploy.onprem.airgap.credentials import credential
from tabular.deploy.onprem.airgap.reference import DOCKER_HUB, HUB_API
from tabular.errors import (
    EngineError,
    ForbiddenError,
    NotFoundError,
    PreflightError,
    TabularError,
    UnauthenticatedError,
    UnavailableError,
    UsageError,
)
from tabular.infra.loopback import is_loopback
from tabular.version import __version__

from .signin import BUSY, SignIn

# Seconds before each further try; what got on in between begins to count anew.
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
_LONGEST_PAUSE = 30.0
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)
_FULL = "the registry's own log says why; one whose disk is full answers so"
_HINTS: Mapping[int, str] = {
    405: "it takes nothing: it is read-only, or a cache of another registry",
    413: "a proxy before it limits how much one request may bring: let it take 8 MB at least "
    "(nginx: client_max_body_size 0)",
    429: "wait and run the same command again, which goes on; who signs in (`podman login`) may "
    "ask more often",
    500: _FULL,
    507: _FULL,
}
_LOOKS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached.

    Attributes:
        insecure: by plain HTTP, which only registries of this machine may be.
        authorities: file of further certificate authorities, as a site of its own has them.
        environ: says where sign-ins and proxies are.
        pause: waits some seconds.
    """

    insecure: bool = False
    authorities: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    pause: Callable[[float], None] = time.sleep

    def url(self, host: str) -> httpx.URL:
        """Address of a registry.

        Raises:
            UsageError: plain HTTP to another machine.
        """
        url = httpx.URL(f"{'http' if self.insecure else 'https'}://{host}/v2/")
        if self.insecure and not is_loopback(url.host):
            raise UsageError(
                f"--insecure is for registries of this machine, and {host} is none",
                where="--insecure",
                hint="a registry with a certificate of your own authority: --ca-file FILE",
            )
        return url

    def trust(self) -> ssl.SSLContext:
        """Whose certificates are believed: the system's authorities and the named ones.

        Raises:
            PreflightError: their file cannot be read.
        """
        context = ssl.create_default_context()
        if self.authorities is not None:
            try:
                context.load_verify_locations(self.authorities)
            except OSError as error:  # an SSLError is one
                why = error.strerror or "it holds no certificate"
                raise PreflightError(
                    f"the authorities cannot be read: {why}", where=str(self.authorities)
                ) from error
        return context


class Shelf:
    """One repository of one registry. Safe to use from several threads.

    Args:
        host: of the registry's API, with its port.
        path: of the repository.
        access: how it is reached.
        push: whether something is to be put there.
        beside: paths of repositories there whose blobs may be taken over.
    """

    def __init__(
        self,
        host: str,
        path: str,
        access: Access,
        *,
        push: bool = False,
        beside: tuple[str, ...] = (),
    ) -> None:
        self.host, self.path = host, path
        self._access = access
        home = access.url(host)
        actions = "pull,push" if push else "pull"
        scopes = [f"repository:{path}:{actions}", *(f"repository:{one}:pull" for one in beside)]
        self._client = httpx.Client(
            base_url=home,
            auth=SignIn(home, scopes, credential(host, path, access.environ)),
            verify=access.trust(),
            timeout=_TIMEOUT,
            # What comes is hashed as it lies there.
            headers={"Accept-Encoding": "identity", "User-Agent": f"inferloop/{__version__}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def where(self) -> str:
        """The repository, for errors."""
        return f"{self.host}/{self.path}"

    def ask(self, method: str, url: str | httpx.URL, ok: tuple[int, ...], **sent: Any) -> Any:
        """Send a request until it is answered.

        Args:
            method: of HTTP.
            url: below the repository, or a whole one that the registry named.
            ok: statuses that are an answer; others are errors.
            sent: further arguments of `httpx.Client.request`; a body only as bytes.

        Returns:
            The `httpx.Response`, read.

        Raises:
            NotFoundError: it is not there.
            AccessError: who asks may not.
            UnavailableError: the registry does not answer.
            EngineError: it refuses.
        """
        for rest in self.tries():
            try:
                answer = self._client.request(
                    method, self._full(url), follow_redirects=method in _LOOKS, **sent
                )
            except httpx.TransportError as error:
                rest(self.unanswered(error), None)
                continue
            if answer.status_code in ok:
                return answer
            refusal = self.refusal(answer)
            if answer.status_code not in BUSY:
                raise refusal
            rest(refusal, answer.headers.get("Retry-After"))
        raise AssertionError  # the last try raises

    def once(self, method: str, url: str | httpx.URL, **sent: Any) -> httpx.Response:
        """Send a request a single time; whatever it is answered.

        Raises:
            UnavailableError: it is not answered.
        """
        try:
            return self._client.request(method, self._full(url), **sent)
        except httpx.TransportError as error:
            raise self.unanswered(error) from error

    def stream(self, url: str, headers: Mapping[str, str]) -> Any:
        """A context with the `httpx.Response` of a download, unread."""
        return self._client.stream("GET", self._full(url), headers=headers, follow_redirects=True)

    def tries(self) -> Iterator[Callable[[TabularError, str | None], None]]:
        """One function for each try: it waits before the next one, or raises what it is given."""
        for pause in (*_PAUSES, None):

            def rest(error: TabularError, asked: str | None, pause: float | None = pause) -> None:
                if pause is None:
                    raise error
                seconds = float(asked) if asked is not None and asked.isdigit() else pause
                self._access.pause(min(max(seconds, pause), _LONGEST_PAUSE))

            yield rest

    def unanswered(self, error: Exception) -> UnavailableError:
        """The words for a connection that broke, or never came about."""
        hint = None
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            hint = "its authority is not known here: --ca-file FILE"
        elif "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
            hint = "it speaks plain HTTP, which is for registries of this machine: --insecure"
        return UnavailableError(
            f"the registry does not answer: {text or type(error).__name__}",
            where=self.where,
            hint=hint,
        )

    def refusal(self, answer: httpx.Response) -> TabularError:
        """The words for a status that is no answer."""
        said = _said(answer)
        status = answer.status_code
        if status == 401:
            return UnauthenticatedError(
                f"the registry wants a sign-in{said}",
                where=self.where,
                hint=f"podman login {DOCKER_HUB if self.host == HUB_API else self.host}",
            )
        if status == 403:
            return ForbiddenError(f"the registry refuses this{said}", where=self.where)
        if status == 404:
            return NotFoundError(f"the registry has no such thing{said}", where=self.where)
        kind = UnavailableError if status in BUSY else EngineError
        message = f"the registry answers {status}{said}"
        return kind(message, where=self.where, hint=_HINTS.get(status))

    def _full(self, url: str | httpx.URL) -> httpx.URL:
        if isinstance(url, httpx.URL):
            return url
        return self._client.base_url.join(f"{self.path}/{url}")

    def location(self, answer: httpx.Response) -> httpx.URL:
        """Where the registry says that an upload goes on.

        Behind a proxy that does its TLS, many a registry takes itself for one without: what was
        begun encrypted goes on so.

        Raises:
            EngineError: it does not say it.
            ForbiddenError: at another server, and not encrypted.
        """
        if "Location" not in answer.headers:
            raise EngineError("the registry does not say where to upload to", where=self.where)
        home = self._client.base_url
        found = home.join(answer.headers["Location"])
        if found.scheme in (home.scheme, "https"):
            return found
        if home.host != found.host:
            raise ForbiddenError(
                f"the registry leads to {found.scheme}://{found.host}, which is not encrypted; "
                "nothing was sent there",
                where=self.where,
            )
        return found.copy_with(scheme=home.scheme, port=home.port)


def _said(answer: httpx.Response) -> str:
    """What a registry says of an error, as the distribution specification has it."""
    try:
        errors = answer.json()["errors"]
        texts = [str(one.get("message") or one.get("code")) for one in errors]
    except (ValueError, KeyError, TypeError, AttributeError, httpx.ResponseNotRead):
        return ""
    return f": {'; '.join(texts)}"[:300] if texts else ""

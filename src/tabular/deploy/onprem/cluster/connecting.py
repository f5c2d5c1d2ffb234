"""Connections to a cluster, and what it means when they do not work.

Credentials, TLS and proxies are the client library's; this module and `kubeconfig` alone know it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tabular.errors import PreflightError, TabularError, UnavailableError
from tabular.infra.optional import require

from .kubeconfig import NEEDS, read


@dataclass
class Link:
    """Connections to one server.

    Attributes:
        configuration: of the client library.
        pool: connections.
        namespace: that the context names.
        acting: headers that say for whom is acted.
        kubeconfig: what several files say together; None where one is named or none.
        answered: whether the server ever answered.
        ahead: seconds that the server's clock is ahead of ours, as its answers say; they leave out
            parts of a second and take their time, so the most that was heard is the nearest.
    """

    configuration: Any
    pool: Any
    namespace: str
    acting: tuple[tuple[str, str], ...] = ()
    kubeconfig: str | None = None
    answered: bool = False
    ahead: float | None = None

    @property
    def host(self) -> str:
        """URL of the server."""
        return str(self.configuration.host)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Who asks, as of now: a token of an account or of a plugin is renewed on the way."""
        headers = {"User-Agent": "inferloop-tabular"}
        token = self.configuration.get_api_key_with_prefix(
            "BearerToken"
        ) or self.configuration.get_api_key_with_prefix("authorization")
        if token:
            headers["Authorization"] = token
        elif self.configuration.username:
            headers["Authorization"] = self.configuration.get_basic_auth_token()
        return (*headers.items(), *self.acting)

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout: tuple[float, float],
        body: bytes | None = None,
        content: str = "application/json",
        stream: bool = False,
    ) -> Any:
        """Ask the server once.

        Args:
            method: of HTTP.
            path: with its query.
            timeout: seconds to connect and to read.
            body: to be sent.
            content: its type.
            stream: leave the answer's body to be read piece by piece.
        """
        urllib3 = require("urllib3", extra="onprem", needed_by=NEEDS)
        headers = urllib3.HTTPHeaderDict([("Accept", "application/json"), *self.headers()])
        if body is not None:
            headers["Content-Type"] = content
        answer = self.pool.request(
            method,
            f"{self.host}{path}",
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
            preload_content=not stream,
            retries=False,
            redirect=False,
        )
        self.answered = True
        with contextlib.suppress(TypeError, ValueError):
            told = parsedate_to_datetime(answer.headers.get("Date"))
            ahead = told.timestamp() - time.time()
            self.ahead = ahead if self.ahead is None else max(self.ahead, ahead)
        return answer


def connected(kubeconfig: str | None, context: str | None) -> Link:
    """Connections by a kubeconfig; nothing is asked yet.

    Raises:
        UsageError: no such file or context.
        PreflightError: there is no kubeconfig, or its credentials cannot be had.
    """
    access = read(kubeconfig, context)
    rest = require("kubernetes.client.rest", extra="onprem", needed_by=NEEDS)
    if not access.configuration.verify_ssl:  # which the kubeconfig says in as many words
        urllib3 = require("urllib3", extra="onprem", needed_by=NEEDS)
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    password = proxy_password(access.configuration)
    if password is not None:
        urllib3 = require("urllib3", extra="onprem", needed_by=NEEDS)
        known = urllib3.make_headers(proxy_basic_auth=":".join(password))
        access.configuration.proxy_headers = known
    pool = rest.RESTClientObject(access.configuration).pool_manager
    return Link(access.configuration, pool, access.namespace, access.acting, access.merged)


def proxy_password(configuration: Any) -> tuple[str, str] | None:
    """Name and password that the proxy's URL holds, which the client library leaves there."""
    proxy = urlsplit(configuration.proxy or "")
    if proxy.username is None:
        return None
    return unquote(proxy.username), unquote(proxy.password or "")


@contextlib.contextmanager
def explained(doing: str, link: Link) -> Iterator[None]:
    """Errors of the network and of TLS within the block become ours.

    Raises:
        PreflightError: certificates that do not fit, are unknown, or have run out.
        UnavailableError: the server cannot be reached, or does not answer in time.
    """
    errors = require("urllib3.exceptions", extra="onprem", needed_by=NEEDS)
    try:
        yield
    except errors.NewConnectionError as error:  # which is a timeout to the library
        raise _unreachable(error, doing, link) from error
    except errors.TimeoutError as error:
        raise UnavailableError(
            f"the cluster at {link.host} did not answer in time",
            where=doing,
            hint="check the network and the proxy, then run the command again; "
            "it goes on where it was",
            code="unavailable.timeout",
        ) from error
    except (errors.SSLError, ssl.SSLError) as error:
        raise _tls(error, doing, link) from error
    except (errors.HTTPError, OSError) as error:
        inner = _cause(error)
        if isinstance(inner, ssl.SSLError):
            raise _tls(inner, doing, link) from error
        # Who was cut off had somebody at the other end.
        link.answered = link.answered or isinstance(error, errors.ProtocolError)
        raise _unreachable(inner, doing, link) from error


def unauthenticated(doing: str, link: Link) -> PreflightError:
    """The cluster does not know who asks."""
    ended = _own_certificate_ended(link)
    if ended is not None:
        return _ended(ended, doing)
    return PreflightError(
        "the cluster does not know these credentials: wrong, or run out",
        where=doing,
        hint="sign in again as your cluster has it (`kubectl config view --minify` shows the user "
        "of the kubeconfig), then run the command again; it goes on",
        code="preflight.credentials",
    )


def _unreachable(error: BaseException, doing: str, link: Link) -> UnavailableError:
    words, code = _words(_cause(error)), "unavailable.cluster"
    if link.answered:
        return UnavailableError(
            f"the cluster at {link.host} was lost: {words}",
            where=doing,
            hint="look at the network between (VPN, proxy), then run the command again; "
            "it goes on where it was",
            code=code,
        )
    return UnavailableError(
        f"there is no cluster at {link.host}: {words}",
        where=doing,
        hint="is it the right context (`kubectl config current-context`, --context)? Does it "
        "run, and is it reachable from here (VPN, proxy)?",
        code=code,
    )


def _cause(error: BaseException) -> BaseException:
    """What is at the bottom of an error of the client library."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError | socket.gaierror | ConnectionError):
            return seen
        seen = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(seen, BaseException):
            break
    return error


def _words(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def _tls(error: BaseException, doing: str, link: Link) -> TabularError:
    said = str(error)
    ended = _own_certificate_ended(link)
    if ended is not None:
        return _ended(ended, doing)
    if "certificate has expired" in said or "certificate expired" in said:
        message = f"the certificate of {link.host} has run out"
        hint = "whoever runs the cluster renews it (kubeadm: `kubeadm certs renew apiserver`)"
    elif any(word in said for word in ("PEM", "NO_CERTIFICATE")):
        message = f"a certificate or key of the kubeconfig cannot be read: {said[:200]}"
        hint = "`kubectl config view --minify --raw` shows them; PEM is wanted"
    elif "CERTIFICATE_VERIFY_FAILED" in said:
        message = f"the certificate of {link.host} is not to be trusted: {said[:200]}"
        hint = "the kubeconfig's certificate-authority is another cluster's, or a proxy is between"
    else:
        message = f"no TLS with {link.host}: {said[:200]}"
        hint = "look at the server's address in the kubeconfig: https, and the right port?"
    return PreflightError(message, where=doing, hint=hint, code="preflight.certificate")


def _ended(when: datetime, doing: str) -> PreflightError:
    return PreflightError(
        f"the client certificate of the kubeconfig ran out on {when:%Y-%m-%d %H:%M} UTC",
        where=doing,
        hint="have it renewed (kubeadm: `kubeadm certs renew admin.conf`), or sign in again",
        code="preflight.certificate",
    )


def _own_certificate_ended(link: Link) -> datetime | None:
    """When the kubeconfig's client certificate ran out; None if it did not, or there is none."""
    file = link.configuration.cert_file
    if not file:
        return None
    x509 = require("cryptography.x509", extra="onprem", needed_by=NEEDS)
    try:
        found = x509.load_pem_x509_certificate(Path(file).read_bytes())
    except (OSError, ValueError):
        return None
    ended: datetime = found.not_valid_after_utc
    return ended if ended < datetime.now(UTC) else None

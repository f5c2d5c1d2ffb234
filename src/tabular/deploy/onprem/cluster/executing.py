"""A program run in a container that is there, over the API server's websocket.

The protocol is ``v4.channel.k8s.io`` (``k8s.io/apimachinery``, `remotecommand`): the first byte of
a message is its channel, 1 and 2 what the program writes, 3 a `Status` when it has ended. Servers
have spoken it since long before 1.19, and still do.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tabular.errors import EngineError, TabularError, UnavailableError
from tabular.infra.optional import require

from .connecting import Link, explained, proxy_password
from .kubeconfig import NEEDS

PROTOCOL = "v4.channel.k8s.io"
MOST = 4 * 1024 * 1024  # bytes that a program may write
_OUT, _ERR, _STATUS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended.

    Attributes:
        code: its exit code.
        out: what it wrote.
        err: what it wrote as errors.
    """

    code: int
    out: str
    err: str


def execute(
    link: Link,
    path: str,
    *,
    doing: str,
    seconds: float,
    refused: Callable[[int, bytes], TabularError],
) -> Ran:
    """Run a program and wait for its end.

    Args:
        link: to the server.
        path: of the pod's ``exec``, with the program in its query.
        doing: verb and object, for errors.
        seconds: how long it may take as a whole.
        refused: the error for an answer that is no websocket: its status and body.

    Raises:
        EngineError: the container cannot run it.
        UnavailableError: the way there was cut off, or it took too long.
    """
    until = time.monotonic() + seconds
    with _errors(doing, link, refused):
        channel = _opened(link, path, seconds)
        try:
            said = _heard(channel, until)
        finally:
            channel.close(timeout=1)
    status = said.get(_STATUS)
    if not status:
        raise UnavailableError(
            "the program was cut off before its end",
            where=doing,
            hint="its pod may have been replaced; run the command again",
            code="unavailable.exec",
        )
    return Ran(
        _code(json.loads(status), doing),
        said.get(_OUT, b"").decode(errors="replace"),
        said.get(_ERR, b"").decode(errors="replace"),
    )


def _opened(link: Link, path: str, seconds: float) -> Any:
    websocket = require("websocket", extra="onprem", needed_by=NEEDS)
    known = link.configuration
    host = urlsplit(link.host)
    secure = host.scheme == "https"
    options: dict[str, Any] = {}
    if known.proxy:
        proxy = urlsplit(known.proxy)
        options |= {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port}
        options |= {"proxy_type": proxy.scheme or "http", "http_proxy_auth": proxy_password(known)}
        options["http_no_proxy"] = (known.no_proxy or "").split(",")
    return websocket.create_connection(
        f"{'wss' if secure else 'ws'}://{host.netloc}{host.path}{path}",
        timeout=seconds,
        subprotocols=[PROTOCOL],
        header=[f"{name}: {value}" for name, value in link.headers()],
        suppress_origin=True,
        sslopt={"context": _context(known), "server_hostname": _name(known, host.hostname)},
        **options,
    )


def _context(known: Any) -> ssl.SSLContext:
    """Who is trusted, and who we are, as the kubeconfig says."""
    context = ssl.create_default_context(cafile=known.ssl_ca_cert)
    if not known.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if known.cert_file:
        context.load_cert_chain(known.cert_file, known.key_file)
    return context


def _name(known: Any, host: str | None) -> str | None:
    return str(known.tls_server_name) if known.tls_server_name else host


def _heard(channel: Any, until: float) -> dict[int, bytes]:
    """What came on each channel, up to the program's end or the connection's."""
    found: dict[int, bytes] = {}
    while _STATUS not in found:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        _, data = channel.recv_data()
        if not data or data[0] not in (_OUT, _ERR, _STATUS):
            break  # the words of a connection that is closed
        if len(data) > 1:
            found[data[0]] = found.get(data[0], b"") + data[1:]
        if sum(map(len, found.values())) > MOST:
            break
    return found


@contextlib.contextmanager
def _errors(
    doing: str, link: Link, refused: Callable[[int, bytes], TabularError]
) -> Iterator[None]:
    """Errors of websockets within the block become ours, beside those of the network.

    Raises:
        TabularError: as `connecting.explained`, or as the server refuses.
    """
    websocket = require("websocket", extra="onprem", needed_by=NEEDS)
    try:
        with explained(doing, link):
            yield
    except websocket.WebSocketBadStatusException as error:
        raise refused(error.status_code, error.resp_body or b"") from error
    except (websocket.WebSocketTimeoutException, TimeoutError) as error:
        raise UnavailableError(
            "the program did not end in time",
            where=doing,
            hint="run the command again; if it stays so, look at the pod's node",
            code="unavailable.timeout",
        ) from error
    except websocket.WebSocketException as error:
        raise UnavailableError(
            f"the way into the pod was cut off: {error}",
            where=doing,
            hint="is a proxy between that lets no websockets through? Else run the command again",
            code="unavailable.exec",
        ) from error


def _code(status: Mapping[str, Any], doing: str) -> int:
    """The exit code of a `Status`.

    Raises:
        EngineError: there was no program to end.
    """
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise EngineError(
        f"the container cannot run it: {status.get('message', 'no reason was given')}",
        where=doing,
        hint="`inferloop-tabular status` shows whether its pods run",
        code="engine.exec",
    )

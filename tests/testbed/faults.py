"""A small HTTP proxy that does to requests and answers what networks and busy servers do.

It stands between a client and any server of the test bed. Bodies are passed on whole, so that a
fault can be put exactly into their middle, in either direction.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ALWAYS = 1_000_000
# Answered, lost, cut or changed, on the way up to the server or down to the client.
KINDS = (
    *("refuse", "lose", "reset", "reset-after", "stall"),
    *("cut-up", "flip-up", "slow-up", "cut-down", "flip-down", "slow-down"),
)


@dataclass
class Fault:
    """What happens to the requests that match, and how often.

    Attributes:
        kind: ``refuse`` answers with `status` and the server sees nothing; ``lose`` lets the
            server do it and then answers with `status`; ``reset`` and ``reset-after`` end the
            connection before or after the server did it; ``stall`` never answers; ``cut`` passes
            on half a body, ``flip`` one with a changed bit, ``slow`` one in ten pieces.
        method: a pattern of the whole method.
        path: a pattern found in path and query.
        least: bytes that the body must have.
        times: how often; then requests pass.
        after: matching requests that pass before the first.
        seconds: that a slow body takes.
    """

    kind: str
    method: str = ".*"
    path: str = ""
    least: int = 0
    times: int = 1
    after: int = 0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 1.0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request."""
        return bool(re.fullmatch(self.method, method) and re.search(self.path, path))


@dataclass
class FaultProxy:
    """A running proxy. Set `fault` to break things, to None to let all pass."""

    endpoint: str
    fault: Fault | None = None
    seen: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str, size: int, *, down: bool) -> Fault | None:
        """The fault for this body, counted; requests and answers are asked for in turn."""
        with self.lock:
            fault = self.fault
            if fault is None or fault.kind.endswith("-down") != down:
                return None
            if not fault.matches(method, path) or size < fault.least:
                return None
            if fault.after:
                fault.after -= 1
                return None
            if fault.fired >= fault.times:
                return None
            fault.fired += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy
    target: str
    secure: bool

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy.seen.append(f"{self.command} {self.path}")
        self.proxy.authorizations.append(self.headers.get("Authorization"))
        fault = self.proxy.take(self.command, self.path, len(body), down=False)
        kind = fault.kind if fault else ""
        if fault and kind == "refuse":
            self._answer(fault.status, list(fault.headers.items()), fault.body)
        elif kind == "reset":
            self._reset()
        elif kind == "stall":
            self._stall()
        elif kind == "cut-up":
            self._send_half(body)
        else:
            if fault and kind == "slow-up":
                time.sleep(fault.seconds)
            self._pass(_flipped(body) if kind == "flip-up" else body, fault)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def _pass(self, body: bytes, fault: Fault | None) -> None:
        with contextlib.closing(self._connected()) as server:
            try:
                self._head_to(server)
                server.endheaders(body or None)
                answer = server.getresponse()
                status, headers, data = answer.status, answer.getheaders(), answer.read()
            except (OSError, http.client.HTTPException):
                self._reset()
                return
        if fault and fault.kind == "lose":
            self._answer(fault.status, list(fault.headers.items()), fault.body)
        elif fault and fault.kind == "reset-after":
            self._reset()
        else:
            down = self.proxy.take(self.command, self.path, len(data), down=True)
            self._answer(status, headers, data, down)

    def _connected(self) -> http.client.HTTPConnection:
        if self.secure:
            trusting = ssl._create_unverified_context()  # a server of the test bed, on loopback
            return http.client.HTTPSConnection(self.target, timeout=60, context=trusting)
        return http.client.HTTPConnection(self.target, timeout=60)

    def _head_to(self, server: http.client.HTTPConnection) -> None:
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                server.putheader(name, value)

    def _send_half(self, body: bytes) -> None:
        """The server gets half a request, then both sides are hung up on."""
        with contextlib.closing(self._connected()) as server, contextlib.suppress(OSError):
            self._head_to(server)
            server.endheaders(body[: len(body) // 2] or None)
        self._reset()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, fault: Fault | None = None
    ) -> None:
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        kind = fault.kind if fault else ""
        with contextlib.suppress(OSError):  # a client that gave up has hung up
            if kind == "cut-down":
                self.wfile.write(body[: len(body) // 2])
                self._hang_up()
            elif fault and kind == "slow-down":
                self._write_slowly(body, fault.seconds)
            else:
                self.wfile.write(_flipped(body) if kind == "flip-down" else body)

    def _write_slowly(self, body: bytes, seconds: float) -> None:
        step = max(1, -(-len(body) // 10))
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.wfile.flush()
            time.sleep(seconds / 10)

    def _stall(self) -> None:
        """Say nothing until the client has hung up."""
        self.close_connection = True
        self.connection.settimeout(60)
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _reset(self) -> None:
        """End the connection with RST instead of FIN."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _flipped(body: bytes) -> bytes:
    """The body with one bit changed in its middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def shutdown_request(self, request: Any) -> None:
        """Close without the shutdown of the base class, which would send FIN before a RST."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on purpose here."""


@contextlib.contextmanager
def faults_before(endpoint: str, certificate: Path | None = None) -> Iterator[FaultProxy]:
    """A proxy before the server at `endpoint` for the time of the block.

    Args:
        endpoint: URL of the server.
        certificate: to speak TLS with; its key lies beside it, with the ending ``.key``.
    """
    proxy = FaultProxy("")
    split = urlsplit(endpoint)
    place = {"target": split.netloc, "secure": split.scheme == "https"}
    handler = type("Handler", (_Handler,), {"proxy": proxy, **place})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        # The handshake is for the thread of the connection, not for the one that accepts.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "http" if certificate is None else "https"
    proxy.endpoint = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

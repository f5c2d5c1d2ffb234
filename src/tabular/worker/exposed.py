"""A worker's own /metrics and /health: containers share no folder with the API."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tabular.errors import PreflightError
from tabular.infra.config import Settings
from tabular.infra.listening import addresses
from tabular.infra.monitoring import CONTENT_TYPE, Metrics

_LOG = logging.getLogger(__name__)
HUNG = 120.0  # seconds without a turn of the loop after which the worker does not count as well


class Pulse:
    """When the worker's loop last turned."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """It turns."""
        self._last = self._clock()

    @property
    def age(self) -> float:
        """Seconds since."""
        return self._clock() - self._last


class Exposed:
    """An HTTP server beside the worker's loop.

    Args:
        settings: where to listen, and what /health says.
        metrics: of this process.
        pulse: of the loop.

    Raises:
        PreflightError: the address cannot be listened on.
    """

    def __init__(self, settings: Settings, metrics: Metrics, pulse: Pulse) -> None:
        handler = _handler(settings, metrics, pulse)
        try:
            self._servers = [
                _server(one, settings.metrics_port, handler) for one in addresses(settings.host)
            ]
        except OSError as error:
            raise PreflightError(
                f"cannot listen: {error.strerror or error}",
                where=f"{settings.host}:{settings.metrics_port}",
                hint="check TABULAR_METRICS_PORT; each worker of a machine needs its own, or 0",
            ) from error
        for server in self._servers:
            threading.Thread(target=server.serve_forever, name="exposed", daemon=True).start()
        _LOG.info("metrics on http://%s:%d/metrics", settings.host, settings.metrics_port)

    def close(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _server(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A server of one address, which no server of the other kind of addresses is in the way of."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = family

        def server_bind(self) -> None:
            if family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            super().server_bind()

    return Server((host, port), handler)


def _handler(settings: Settings, metrics: Metrics, pulse: Pulse) -> type[BaseHTTPRequestHandler]:
    def health() -> tuple[int, bytes]:
        well = pulse.age < HUNG
        body = {
            "status": "ok" if well else "hung",
            "release": settings.release,
            "pid": os.getpid(),
            "seconds_since_turn": round(pulse.age, 1),
        }
        return (200 if well else 503), json.dumps(body).encode()

    class Handler(BaseHTTPRequestHandler):
        """Two pages."""

        server_version, sys_version = "tabular", ""
        timeout = 10

        def do_GET(self) -> None:
            """Either page, or none."""
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE, metrics.render())
            elif self.path == "/health":
                self._answer(*_with_type(health()))
            else:
                self._answer(404, "text/plain", b"see /metrics and /health\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes come all the time."""

    return Handler


def _with_type(answer: tuple[int, bytes]) -> tuple[int, str, bytes]:
    status, body = answer
    return status, "application/json", body

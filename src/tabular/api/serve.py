"""Listening: several processes share the port, a foreign listener is an error, SIGTERM drains."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn

from tabular.api.app import create_app
from tabular.errors import PreflightError
from tabular.infra.config import Settings
from tabular.infra.monitoring import configure_logging

BACKLOG = 2048
DRAIN = 20  # seconds that requests may still take after SIGTERM
_LOG = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are finished.

    Raises:
        PreflightError: the address cannot be listened on.
        ConfigError: see `create_app`.
    """
    configure_logging(settings.log_level, secrets=settings.secret_values())
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # the gate writes a better one
        server_header=False,
        proxy_headers=False,  # trusted proxies are ours to judge
        timeout_graceful_shutdown=DRAIN,
        ws_max_size=64 * 1024,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # uvicorn raises the signal again once it has drained
    with listen(settings.host, settings.port) as listener:
        _LOG.info("listening on http://%s:%d", settings.host, settings.port)
        uvicorn.Server(config).run(sockets=[listener])


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that other processes of this platform may share.

    Raises:
        PreflightError: somebody else listens there, or the address is not this machine's.
    """
    family, _, _, _, address = _resolved(host, port)
    # Named as TCP, since asyncio turns Nagle's algorithm off for sockets that are: without it
    # each answer waits 40 ms for the acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port) from error
    listener.setblocking(False)
    return listener


def _resolved(
    host: str, port: int
) -> tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise _refused(error, host, port) from error


def _refused(error: OSError, host: str, port: int) -> PreflightError:
    hint = "check TABULAR_HOST and TABULAR_PORT"
    if error.errno == errno.EADDRINUSE:
        hint = f"another program listens there (see it with `ss -ltnp 'sport = :{port}'`); " + hint
    reason = error.strerror or str(error)
    return PreflightError(f"cannot listen: {reason}", where=f"{host}:{port}", hint=hint)

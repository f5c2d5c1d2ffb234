"""Listening: on sockets that a supervisor opened, or on one of its own; SIGTERM drains.

Several processes share a port by inheriting one socket, so that a connection which waits belongs
to none of them and outlives each.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

import uvicorn

from tabular.api.admin_key import bring_admin_key
from tabular.api.app import create_app
from tabular.errors import PreflightError, UnavailableError
from tabular.infra.config import Settings
from tabular.infra.database import Database, check_schema
from tabular.infra.listening import addresses
from tabular.infra.logs import configure_logging, log_uncaught

BACKLOG = 2048
DRAIN = 20  # seconds that requests may still take after SIGTERM
# Seconds that a connection is kept for a next request: longer than load balancers keep theirs, or
# one would use a connection that is just being closed, and its client would see a 502. Most keep
# them for 60. Source: "Connection idle timeout" in the guide of AWS's Application Load Balancer.
KEPT = 75
LINGER = 1.0  # seconds in which a connection that was just taken may still send its request
_LOG = logging.getLogger(__name__)


def serve(settings: Settings, inherited: Sequence[int] = ()) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are finished.

    Args:
        settings: of the platform.
        inherited: descriptors of listening sockets; one of its own is made where there are none.

    Raises:
        PreflightError: the address cannot be listened on.
        ConfigError: see `create_app`.
    """
    configure_logging(settings.log_level, secrets=settings.secret_values())
    log_uncaught()
    _bring_admin_key(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # the gate writes a better one
        server_header=False,
        proxy_headers=False,  # trusted proxies are ours to judge
        timeout_keep_alive=KEPT,
        timeout_graceful_shutdown=DRAIN,
        ws_max_size=64 * 1024,
        ws_ping_interval=settings.websocket_patience,
        ws_ping_timeout=settings.websocket_patience,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # uvicorn raises the signal again once it has drained
    with ExitStack() as stack:
        sockets = [stack.enter_context(_inherit(number)) for number in inherited]
        if not sockets:
            where = addresses(settings.host)
            sockets = [stack.enter_context(listen(one, settings.port)) for one in where]
        for one in sockets:
            host, port = one.getsockname()[:2]
            _LOG.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        _Server(config).run(sockets=sockets)


def _bring_admin_key(settings: Settings) -> None:
    """As `migrate` does, for a start with a new key alone; a database that is away comes later."""
    if settings.admin_key is None:
        return
    database = Database(settings.database_url)
    try:
        check_schema(database)
        said = bring_admin_key(settings, database)
    except UnavailableError as error:
        _LOG.warning("whether TABULAR_ADMIN_KEY is a key is not known: %s", error)
    else:
        if said is not None:
            _LOG.warning("%s", said)
    finally:
        database.close()


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and let those just taken send their request first."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(LINGER)
        await super().shutdown(sockets)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket of this process's own, for one kind of addresses.

    One that took both would show clients of IPv4 by other addresses than trusted proxies are named
    by.

    Raises:
        PreflightError: somebody else listens there, or the address is not this machine's.
    """
    family, _, _, _, address = _resolved(host, port)
    # Named as TCP, since asyncio turns Nagle's algorithm off for sockets that are: without it
    # each answer waits 40 ms for the acknowledgement of its headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port) from error
    listener.setblocking(False)
    return listener


def _inherit(descriptor: int) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _not_listening(descriptor) from error
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.close()
        raise _not_listening(descriptor)
    found.setblocking(False)
    return found


def _not_listening(descriptor: int) -> PreflightError:
    return PreflightError(
        f"descriptor {descriptor} is no listening socket",
        where="--fd",
        hint="whoever starts this passes the socket on; without --fd it makes one of its own",
    )


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

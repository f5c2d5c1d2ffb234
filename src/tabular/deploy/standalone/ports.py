"""Ports of this host: a free one, or a clear word on who holds the one that was asked for."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection

import psutil

from tabular.errors import EngineError, PreflightError

LOCALHOST = "127.0.0.1"


def free_port(host: str = LOCALHOST) -> int:
    """A port nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = LOCALHOST) -> bool:
    """Whether nobody holds the port; connections that are closing do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # With SO_REUSEADDR alone Linux tells of another listener only here.
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may see."""
    return _named(next((pid for pid in listeners(port) if pid), None))


def listeners(port: int) -> list[int | None]:
    """Pids of who listens on a port; None for each that this user cannot see."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        # Some systems tell nobody but root: binding has the last word there.
        return []
    return [
        connection.pid
        for connection in found
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
    ]


def refuse_strangers(port: int, own: Collection[int]) -> None:
    """Refuse to listen beside somebody else: with SO_REUSEPORT each would get some requests.

    Args:
        port: that is to be shared by processes of one deployment.
        own: pids of these.

    Raises:
        EngineError: names the stranger.
    """
    for pid in listeners(port):
        if pid not in own:
            raise EngineError(
                f"port {port} is in use by {_named(pid)}",
                where=f"{LOCALHOST}:{port}",
                hint="stop that process, or deploy with another port",
                code="engine.port-in-use",
            )


def _named(pid: int | None) -> str:
    try:
        if pid is not None:
            return f"pid {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        # It ended while we looked, or hides its name.
        return f"pid {pid}"
    return "a process this user cannot see"


def require_free(port: int, host: str = LOCALHOST) -> None:
    """Refuse a port that somebody else holds.

    Raises:
        PreflightError: names the holder if it is visible.
    """
    if is_free(port, host):
        return
    if port < 1024:
        hint = "ports below 1024 need root; choose another port, or none for a free one"
    else:
        hint = "stop that process, choose another port, or name none for a free one"
    raise PreflightError(
        f"port {port} is in use by {holder(port)}",
        where=f"{host}:{port}",
        hint=hint,
        code="engine.port-in-use",
    )

"""One way to reach Memcached, for the cache and for the rate limits alike.

Keys are hashed, so that any key fits the protocol, and each belongs to one server of the list,
always the same. The hashing client of the library moves keys to another server when theirs is
away and answers some calls with a default meanwhile; a counter must do neither, so a server that
is away is an error for its keys, told as such.

Values are bytes. No serializer is installed, so nothing that somebody else stored is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.optional import require
from tabular.infra.urls import options, public, split

SCHEMES = {"memcached": "memcached"}
PORT = 11211
_POOL = 32  # connections to each server


def servers(url: str, *, what: str) -> list[tuple[str, int]]:
    """The servers of ``memcached://host[:port][,host[:port]…]``.

    Args:
        url: the URL.
        what: what it is for (``cache``), used in the error.

    Raises:
        ConfigError: no host, a port that is none, credentials, a path or an option.
    """
    parts = split(url, SCHEMES, what=what)
    options(parts, (), what=what)
    try:
        found = [urlsplit(f"//{item}") for item in parts.netloc.split(",")]
        addresses = [(item.hostname or "", item.port or PORT) for item in found]
    except ValueError:
        addresses = []
    if not addresses or not all(host for host, _ in addresses) or "@" in url or parts.path:
        raise ConfigError(
            f"the {what} URL is not complete or says too much",
            where=public(url),
            hint="write memcached://host:11211[,host2:11211], without user, password or path",
        )
    return addresses


class Servers:
    """The commands of the library's client, each sent to the server that its key belongs to.

    Args:
        addresses: hosts and ports.
        patience: seconds for an answer; half of it for a connection.
    """

    def __init__(self, addresses: Iterable[tuple[str, int]], *, patience: float) -> None:
        base = require("pymemcache.client.base", extra="memcached", needed_by="memcached:// URLs")
        self._clients: dict[str, Any] = {
            f"{host}:{port}": base.PooledClient(
                (host, port),
                connect_timeout=patience / 2,
                timeout=patience,
                no_delay=True,
                max_pool_size=_POOL,
                default_noreply=False,
            )
            for host, port in addresses
        }

    def get(self, key: str, *more: Any) -> Any:
        """The value."""
        return self._call("get", key, *more)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those values that are there."""
        found = {key: self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def gets(self, key: str) -> Any:
        """The value and its version, for `cas`."""
        return self._call("gets", key)

    def set(self, key: str, value: Any, **more: Any) -> Any:
        """Store."""
        return self._call("set", key, value, **more)

    def add(self, key: str, value: Any, expire: int = 0, **more: Any) -> Any:
        """Store if there is none."""
        return self._call("add", key, value, expire=expire, **more)

    def cas(self, key: str, value: Any, version: Any, **more: Any) -> Any:
        """Store if nobody has since."""
        return self._call("cas", key, value, version, **more)

    def delete(self, key: str, **more: Any) -> Any:
        """Remove."""
        return self._call("delete", key, **more)

    def incr(self, key: str, by: int, **more: Any) -> Any:
        """Add to a number, if there is one."""
        return self._call("incr", key, by, **more)

    def decr(self, key: str, by: int, **more: Any) -> Any:
        """Take from a number, if there is one, down to zero."""
        return self._call("decr", key, by, **more)

    def ping(self) -> None:
        """Ask every server."""
        for client in self._clients.values():
            client.version()

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _call(self, name: str, key: str, *arguments: Any, **more: Any) -> Any:
        digest = hashlib.sha256(key.encode()).hexdigest()
        owner = max(self._clients, key=lambda server: _weight(server, digest))
        command: Callable[..., Any] = getattr(self._clients[owner], name)
        try:
            return command(f"tabular:{digest}", *arguments, **more)
        except (ConnectionError, EOFError):
            # The pool keeps connections over a restart of the server; one more has a new one.
            return command(f"tabular:{digest}", *arguments, **more)


def _weight(server: str, digest: str) -> bytes:
    """Rendezvous hashing: another server takes its share and moves no other key."""
    return hashlib.sha256(f"{server} {digest}".encode()).digest()


def failures() -> tuple[type[Exception], ...]:
    """What the client raises when a server does not answer, or not properly."""
    return (_exceptions().MemcacheError, OSError)


def refusal() -> type[Exception]:
    """What the client raises when a server answers that it cannot, as of a value too large."""
    refused: type[Exception] = _exceptions().MemcacheServerError
    return refused


def _exceptions() -> Any:
    return require("pymemcache.exceptions", extra="memcached", needed_by="memcached:// URLs")


@contextlib.contextmanager
def explained(url: str, what: str) -> Iterator[None]:
    """Turn an error of the client into UnavailableError."""
    try:
        yield
    except failures() as error:
        raise UnavailableError(
            f"the {what} does not answer: {str(error) or type(error).__name__}",
            where=public(url),
            hint="check that the server runs and that the URL is right",
        ) from error

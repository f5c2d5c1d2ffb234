"""One way to connect to Redis or Valkey, so that every driver has the same time limits.

The package is an extra and is imported here only, inside functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.optional import require
from tabular.infra.urls import options, public, split

CONNECT_TIMEOUT = 2.0  # seconds; a cache that takes longer is of no use to a request
ANSWER_TIMEOUT = 5.0
SCHEMES = ("redis", "rediss")
TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_url(url: str, *, what: str) -> None:
    """Refuse what the client would only choke on at its first command.

    Args:
        url: a ``redis://`` or ``rediss://`` URL.
        what: what it is for (``cache``), used in the error.

    Raises:
        ConfigError: no host, a database that is no number, or an unknown option.
    """
    parts = split(url, SCHEMES, what=what)
    options(parts, TLS_OPTIONS, what=what)
    database = parts.path.removeprefix("/")
    if not parts.hostname or (database and not database.isdecimal()):
        raise ConfigError(
            f"the {what} URL is not complete",
            where=public(url),
            hint="write redis://[user:password@]host:port/DATABASE with a number, such as 0",
        )


def redis_module() -> Any:
    """The ``redis`` package.

    Raises:
        ConfigError: it is not installed.
    """
    return require("redis", extra="redis", needed_by="redis:// URLs")


def connection_options() -> dict[str, Any]:
    """Keyword arguments with the time limits and one retry, for any client."""
    require("redis", extra="redis", needed_by="redis:// URLs")
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry

    return {
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": ANSWER_TIMEOUT,
        "health_check_interval": 30,
        "retry": Retry(ConstantBackoff(0.05), 1),
    }


def brief(seconds: float) -> dict[str, Any]:
    """Instead of `connection_options`, where requests wait: who says nothing is not asked twice.

    Who hangs up is: connections are kept over a restart of the server, and that is no failure.

    Args:
        seconds: for an answer; half of it for a connection.
    """
    redis = redis_module()
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "socket_connect_timeout": seconds / 2,
        "socket_timeout": seconds,
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    }


def connect(url: str, **changed: Any) -> Any:
    """A synchronous client; it connects at its first command.

    Args:
        url: of the server.
        **changed: instead of what `connection_options` says.

    Raises:
        ConfigError: the package is missing.
    """
    return redis_module().Redis.from_url(url, **{**connection_options(), **changed})


def connections_in_loop(url: str, seconds: float) -> Any:
    """Makes connections of the event loop that runs, with `make_connection`.

    None waits for an answer by itself: whoever asks sets a limit.

    Args:
        url: of the server.
        seconds: for a connection.

    Raises:
        ConfigError: the package is missing.
    """
    redis_module()
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return ConnectionPool.from_url(
        url, socket_connect_timeout=seconds, socket_timeout=None, retry=Retry(NoBackoff(), 0)
    )


@contextlib.contextmanager
def explained(url: str, what: str) -> Iterator[None]:
    """Turn an error of the client into UnavailableError without the URL's password."""
    redis = redis_module()
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise unavailable(url, what, error) from error


def unavailable(url: str, what: str, error: BaseException) -> UnavailableError:
    """The error for a server at `url` that does not answer."""
    reason = str(error).partition("\n")[0] or type(error).__name__
    return UnavailableError(
        f"the {what} does not answer: {reason}",
        where=public(url),
        hint="check that the server runs and that the URL and its password are right",
    )

"""MySQL and MariaDB, made to keep the promises that PostgreSQL keeps by itself.

Out of the box a server compares texts without regard to case, cuts what is too long under some
modes, counts whole seconds, and repeats its first read for the length of a transaction. Each
connection is told otherwise, and so is each schema: see `prepare_schema`.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, DateTime, Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from tabular.errors import ConfigError
from tabular.infra.authorities import file_of
from tabular.infra.optional import require
from tabular.infra.urls import options, public

TLS_OPTIONS = ("ssl", "ssl_ca", "ssl_cert", "ssl_key")
COLLATION = "utf8mb4_bin"
LOCK_TIMEOUT = 15  # seconds a writer waits for the one before it

REFUSED = (1045, 1698)  # codes of the server for who is not let in

# Codes of the server that say nothing about our statement. PyMySQL files most errors under
# OperationalError, a misspelt column among them, so its classes do not tell.
_OUTAGES = frozenset(
    {
        *(1021, 1030, 1114),  # disk or table full
        *(1037, 1040, 1041, 1203, 1226),  # out of memory or connections
        *(*REFUSED, 1044, 1049, 1129, 1130, 1142, 1227),  # not let in, not there
        *(1053, 1077, 1079, 1317, 1927, 3169),  # shutting down, killed
        *(1180, 1205, 1213),  # commit failed, lock not had in time, dead-lock
        *(1207, 1290, 1792, 1836),  # a replica, after a fail-over
        *(1047, 2002, 2003, 2005, 2006, 2013, 2014, 2026, 2055),  # no connection
    }
)


def check_url(url: str, parsed: URL) -> URL:
    """The URL with its driver, once all of it is known to make sense.

    Raises:
        ConfigError: no database in it, an unknown option, or no ``mysql`` extra.
    """
    given = options(urlsplit(url), TLS_OPTIONS, what="database")
    if given.get("ssl", "true") != "true":
        raise ConfigError(
            "the database URL's ssl option can only be true",
            where=public(url),
            hint="leave it out for a connection without TLS",
        )
    if not parsed.host or not parsed.database:
        raise ConfigError(
            "the database URL is not complete",
            where=public(url),
            hint="write mysql+pymysql://user:password@host:3306/database",
        )
    require("pymysql", extra="mysql", needed_by="mysql:// URLs")
    return parsed.set(drivername="mysql+pymysql")


def create(url: URL, *, connect_timeout: int, **pool: Any) -> Engine:
    """An engine whose connections read what was committed last and refuse to cut values."""
    return create_engine(
        url.set(query={"charset": "utf8mb4"}),
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": connect_timeout,
            "init_command": (
                "SET SESSION sql_mode = 'TRADITIONAL', time_zone = '+00:00', "
                f"innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
            ),
            **_tls(url),
        },
        **pool,
    )


def _tls(url: URL) -> dict[str, Any]:
    """TLS is all or nothing: any of its options, and certificate and name are verified."""
    given = {key: str(value) for key, value in url.query.items()}
    if not given:
        return {}
    try:
        named = given.get("ssl_ca")
        context = ssl.create_default_context(cafile=file_of(named) if named else None)
        if "ssl_cert" in given:
            context.load_cert_chain(given["ssl_cert"], given.get("ssl_key"))
    except OSError as error:
        raise ConfigError(
            f"the certificates of the database URL cannot be read: {error}",
            hint="check ssl_ca, ssl_cert and ssl_key",
        ) from error
    return {"ssl": context}


def is_outage(error: DBAPIError) -> bool:
    """Whether the server or the network failed, and not our statement."""
    arguments = getattr(error.orig, "args", ())
    return error.connection_invalidated or code_of(error) in _OUTAGES or not any(arguments)


def code_of(error: DBAPIError) -> int | None:
    """The server's number of an error."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def prepare_schema(connection: Connection) -> None:
    """Let new tables tell texts apart byte by byte: ids and keys differ by case too."""
    found = connection.scalar(text("SELECT @@collation_database"))
    if found != COLLATION:
        connection.exec_driver_sql(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {COLLATION}")


@compiles(DateTime, "mysql")
def _with_microseconds(_type: DateTime, _compiler: Any, **_more: Any) -> str:
    """A moment comes back as it was written; DATETIME alone rounds to whole seconds."""
    return "DATETIME(6)"

"""One way to a SQL database, so that all kinds of them give the same promises.

SQLite's Python driver opens transactions late and lets two readers dead-lock while both try to
become writers. Here a transaction begins when it is asked for, and one that writes takes the
write lock at its start (``BEGIN IMMEDIATE``), waiting its turn like a row lock would.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tabular.errors import ConfigError, UnavailableError, nearest
from tabular.infra.authorities import file_of
from tabular.infra.database import credentials, mysql
from tabular.infra.optional import require
from tabular.infra.tracing import subspan
from tabular.infra.urls import DATABASE_SCHEMES, public, split

BUSY_TIMEOUT = 15.0  # seconds a SQLite writer waits for the one before it
CONNECT_TIMEOUT = 5  # seconds
POOL_SIZE = 10
POOL_OVERFLOW = 20
POOL_TIMEOUT = 10.0  # seconds a request waits for a free connection
COMMIT_PATIENCE = 20.0  # seconds; replicas that start again are back sooner
SILENCE = 30  # seconds after which a server that was cut off without a word counts as gone
RECYCLE = 1800  # seconds; below the idle limits of common proxies

_BEGIN = "tabular_begin"
# Whoever asks sees the sessions of its own role:
# https://www.postgresql.org/docs/18/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
_WAITED = text("""
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'
  AND state_change < clock_timestamp() - make_interval(secs => :seconds))
""")
_SNAPSHOT: dict[str, dict[str, Any]] = {  # a transaction of SQLite is one by itself
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {"isolation_level": "REPEATABLE READ"},
}


class Database:
    """Connections to one database. Safe to use from several threads; not across a fork.

    Args:
        url: ``sqlite:////absolute/file.db``, ``postgresql+psycopg://user:password@host/name`` or
            ``mysql+pymysql://user:password@host/name`` (MySQL and MariaDB).
        again: the URL as it is now, for a server that refuses user or password; None where
            they never change.

    Raises:
        ConfigError: no driver for the URL, or its extra is not installed.
    """

    def __init__(self, url: str, *, again: Callable[[], str] | None = None) -> None:
        self._url = _parsed(url)
        self.where = public(url)
        self.backend = self._url.get_backend_name()
        self._engine = _ENGINES[self.backend](self._url)
        if again is not None and not self.is_sqlite:
            credentials.renew(self._engine, lambda: _parsed(again()))
        self._writing = self._engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.backend == "sqlite"

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that reads.

        Raises:
            UnavailableError: the database does not answer, or stays locked.
        """
        with self._session(self._engine) as session:
            yield session

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end of the block, or not at all.

        Raises:
            UnavailableError: the database does not answer, or stays locked.
        """
        with self._session(self._writing) as session:
            yield session
            session.commit()

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A plain connection in a writing transaction, for schema changes."""
        with self._explained(), self._writing.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose reads all see the database as it was at the first of them.

        Raises:
            UnavailableError: the database does not answer.
        """
        with (
            self._explained(),
            self._engine.connect() as plain,
            plain.execution_options(**_SNAPSHOT.get(self.backend, {})).begin() as begun,
        ):
            yield begun.connection

    def ping(self) -> None:
        """Return when the database answers.

        Raises:
            UnavailableError: it does not.
        """
        with self.session() as session:
            session.execute(text("SELECT 1"))

    def check_commits(self, patience: float = COMMIT_PATIENCE) -> None:
        """Return when no commit of ours has waited for long, as they do where replicas are away.

        A PostgreSQL whose commits wait for replicas that are all away answers every question.

        Args:
            patience: seconds that a commit may wait.

        Raises:
            UnavailableError: one has, or the database does not answer.
        """
        if self.backend != "postgresql":
            return
        with self.session() as session:
            waited = session.execute(_WAITED, {"seconds": patience}).scalar_one()
        if waited:
            raise UnavailableError(
                "the database answers, but commits wait for a replica",
                where=self.where,
                hint="see which of its replicas are away, and why",
                code="unavailable.commits",
            )

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        name = "database.transaction" if engine is self._writing else "database.read"
        with (
            subspan(name),
            self._explained(),
            Session(engine, expire_on_commit=False) as session,
        ):
            session.connection()  # begin now: a writer takes its lock before it reads anything
            yield session

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeoutError as error:
            raise self._unavailable("every connection of the pool is in use") from error
        except DBAPIError as error:
            if not _is_outage(error):
                raise
            raise self._unavailable(str(error.orig).partition("\n")[0]) from error

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"the database does not answer: {reason}",
            where=self.where,
            hint="check that it runs and that TABULAR_DATABASE_URL is right",
        )


def _is_outage(error: DBAPIError) -> bool:
    """Whether the server, the network or the file failed, and not our statement."""
    if type(error.orig).__module__.partition(".")[0] == "pymysql":
        return mysql.is_outage(error)
    if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)):
        return True
    return type(error.orig).__name__ in {
        "DatabaseError",  # as such and not one of its kinds: SQLite, of a damaged file
        "ReadOnlySqlTransaction",  # a replica, after a fail-over
    }


def _parsed(url: str) -> URL:
    split(url, DATABASE_SCHEMES, what="database")
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError("the database URL cannot be read", where=public(url)) from error
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or not Path(parsed.database).is_absolute():
            raise ConfigError(
                "the database URL names no file",
                where=public(url),
                hint="write four slashes: sqlite:////absolute/file.db",
            )
        return parsed
    if not parsed.get_backend_name().startswith("postgres"):
        return mysql.check_url(url, parsed)
    require("psycopg", extra="postgres", needed_by="postgresql:// URLs")
    return parsed.set(drivername="postgresql+psycopg")


def _sqlite(url: URL) -> Engine:
    file = Path(str(url.database))
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            file.touch(mode=0o600)  # its log and its index get the same
    except OSError as error:
        raise UnavailableError(
            f"the database {file} cannot be made: {error.strerror}",
            hint="check TABULAR_DATABASE_URL and the folder's owner",
        ) from error
    engine = create_engine(
        url,
        poolclass=NullPool,  # opening a file costs 50 µs, and a shared handle would hold locks
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an accepted job survives a power cut
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


_POOL: dict[str, Any] = {
    "pool_size": POOL_SIZE,
    "max_overflow": POOL_OVERFLOW,
    "pool_timeout": POOL_TIMEOUT,
    "pool_recycle": RECYCLE,
    "pool_pre_ping": True,  # a restarted server costs a reconnect, not a failed request
}


def _postgresql(url: URL) -> Engine:
    _check_options(url)
    wanted = {
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": "tabular",
        "keepalives_idle": SILENCE // 2,
        "keepalives_interval": SILENCE // 6,
        "keepalives_count": 3,
        "tcp_user_timeout": SILENCE * 1000,  # what was sent and is not acknowledged
    }
    given = {name: value for name, value in wanted.items() if name not in url.query}
    if "sslrootcert" in url.query:
        named = str(url.query["sslrootcert"])
        url = url.update_query_dict({"sslrootcert": file_of(named)})
    return create_engine(url, connect_args=given, **_POOL)


def _check_options(url: URL) -> None:
    """Refuse what libpq would refuse at each connection.

    Raises:
        ConfigError: an option that it does not know.
    """
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name in url.query:
        if name not in known:
            raise ConfigError(
                f"unknown option {name!r} in the database URL",
                where=public(url.render_as_string(hide_password=True)),
                hint=f"{nearest(name, known)}options: those of libpq",
            )


def _mysql(url: URL) -> Engine:
    return mysql.create(url, connect_timeout=CONNECT_TIMEOUT, **_POOL)


_ENGINES = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}

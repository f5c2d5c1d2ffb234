"""Schema revisions: applied by one process at a time, in one transaction, or not at all.

Several replicas may start at once and all run the migration. The first takes the write lock of
the SQLite file, or an advisory lock of the server; the others wait and then find nothing to do.
MySQL and MariaDB roll no schema change back: there, `stepwise` lets the next run finish it.

Alembic applies revisions. Every process of the service asks which one the schema is at, and
that needs no Alembic: a revision is the number that its file's name begins with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from tabular.errors import UnavailableError
from tabular.infra.database.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x7AB1A5  # any number, as long as it is ours
_LOCK_TIMEOUT = 600  # seconds that a migration waits for another one on MySQL


def migrate(database: Database, *, to: str = "head") -> str | None:
    """Bring the schema to a revision and return it.

    Args:
        database: where.
        to: ``head``, a revision, or ``base`` for an empty schema (which loses all data).

    Raises:
        UnavailableError: the database does not answer.
    """
    from alembic import command

    with database.connection() as connection, _alone(database, connection):
        config = _config(connection)
        current = revision_of(connection)
        if to == "head" and current is not None and not is_known(current):
            return current  # a newer release migrated it; going down would lose its data
        if database.backend == "mysql":
            _migrate_mysql(connection, config, current, head() if to == "head" else to)
        elif to == "base" or (to != "head" and _is_older(to, current)):
            command.downgrade(config, to)
        else:
            command.upgrade(config, to)
        return revision_of(connection)


@contextlib.contextmanager
def _alone(database: Database, connection: Connection) -> Iterator[None]:
    """Wait until no other process migrates, and keep them waiting for the time of the block."""
    if database.backend == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK})
    if database.backend != "mysql":  # SQLite has locked the file at the beginning
        yield
        return
    name = {"name": f"tabular.{_LOCK:x}", "most": _LOCK_TIMEOUT}
    taken = connection.scalar(text("SELECT GET_LOCK(CONCAT(:name, MD5(DATABASE())), :most)"), name)
    if taken != 1:
        raise UnavailableError(
            "another process has been migrating the database for too long",
            where=database.where,
            hint="wait for it, or end it: the next migration finishes what it began",
        )
    try:
        yield
    finally:  # a connection that broke has let go of it already
        if not connection.invalidated:
            connection.execute(text("SELECT RELEASE_LOCK(CONCAT(:name, MD5(DATABASE())))"), name)


def _migrate_mysql(connection: Connection, config: Config, current: str | None, to: str) -> None:
    from tabular.infra.database.mysql import prepare_schema
    from tabular.infra.database.stepwise import migrate_stepwise

    if current is None:
        prepare_schema(connection)
    migrate_stepwise(connection, config, sorted(_revisions()), current, to)


def revision(database: Database) -> str | None:
    """The revision the schema is at; None when there is no schema."""
    with database.session() as session:
        return revision_of(session.connection())


@cache
def head() -> str:
    """The newest revision that this release knows."""
    return max(_revisions())


def check_schema(database: Database) -> str:
    """The revision of the schema, when this release can work with it.

    A schema newer than the release is accepted: during an update the old release serves on.

    Raises:
        UnavailableError: there is no schema, or an older one.
    """
    current = revision(database)
    if current == head() or (current is not None and not is_known(current)):
        return current
    raise UnavailableError(
        f"the database schema is {'missing' if current is None else f'at revision {current}'}; "
        f"this release needs {head()}",
        where=database.where,
        hint="python -m tabular.api migrate",
        code="unavailable.schema",
    )


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def revision_of(connection: Connection) -> str | None:
    """The revision that a connection sees; None when there is no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


@cache
def _revisions() -> frozenset[str]:
    files = (_MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return frozenset(file.name.partition("_")[0] for file in files)


def is_known(wanted: str) -> bool:
    """Whether this release has the revision."""
    return wanted in _revisions()


def _is_older(wanted: str, current: str | None) -> bool:
    return current is not None and wanted < current

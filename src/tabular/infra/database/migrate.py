"""Schema revisions: applied by one process at a time, in one transaction, or not at all.

Several replicas may start at once and all run the migration. The first takes the write lock of
the SQLite file, or an advisory lock of PostgreSQL; the others wait and then find nothing to do.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import cast

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tabular.errors import UnavailableError
from tabular.infra.database.engine import Database

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look, and probes look
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x7AB1A5  # any number, as long as it is ours


def migrate(database: Database, *, to: str = "head") -> str | None:
    """Bring the schema to a revision and return it.

    Args:
        database: where.
        to: ``head``, a revision, or ``base`` for an empty schema (which loses all data).

    Raises:
        UnavailableError: the database does not answer.
    """
    with database.connection() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK})
        config = _config(connection)
        current = _current(connection)
        if to == "head" and current is not None and not _known(current):
            return current  # a newer release migrated it; going down would lose its data
        if to == "base" or (to != "head" and _is_older(to, current)):
            command.downgrade(config, to)
        else:
            command.upgrade(config, to)
        return _current(connection)


def revision(database: Database) -> str | None:
    """The revision the schema is at; None when there is no schema."""
    with database.session() as session:
        return _current(session.connection())


@cache
def head() -> str:
    """The newest revision that this release knows."""
    return cast(str, _scripts().get_current_head())


def check_schema(database: Database) -> str:
    """The revision of the schema, when this release can work with it.

    A schema newer than the release is accepted: during an update the old release serves on.

    Raises:
        UnavailableError: there is no schema, or an older one.
    """
    current = revision(database)
    if current == head() or (current is not None and not _known(current)):
        return current
    raise UnavailableError(
        f"the database schema is {'missing' if current is None else f'at revision {current}'}; "
        f"this release needs {head()}",
        where=database.where,
        hint="python -m tabular.api migrate",
        code="unavailable.schema",
    )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@cache
def _revisions() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _known(wanted: str) -> bool:
    return wanted in _revisions()


def _is_older(wanted: str, current: str | None) -> bool:
    """Whether `wanted` lies on the way from nothing to `current`."""
    if current is None:
        return False
    older = _scripts().iterate_revisions(current, "base")
    return any(script.revision == wanted for script in older if script.revision != current)

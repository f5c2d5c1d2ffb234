"""Schema revisions: applied by one process at a time, in one transaction, or not at all.

Several replicas may start at once and all run the migration. The first takes the write lock of
the SQLite file, or an advisory lock of PostgreSQL; the others wait and then find nothing to do.

Alembic applies revisions. Every process of the service asks which one the schema is at, and
that needs no Alembic: a revision is the number that its file's name begins with.
"""

from __future__ import annotations

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


def migrate(database: Database, *, to: str = "head") -> str | None:
    """Bring the schema to a revision and return it.

    Args:
        database: where.
        to: ``head``, a revision, or ``base`` for an empty schema (which loses all data).

    Raises:
        UnavailableError: the database does not answer.
    """
    from alembic import command

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
    return max(_revisions())


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
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


@cache
def _revisions() -> frozenset[str]:
    files = (_MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return frozenset(file.name.partition("_")[0] for file in files)


def _known(wanted: str) -> bool:
    return wanted in _revisions()


def _is_older(wanted: str, current: str | None) -> bool:
    return current is not None and wanted < current

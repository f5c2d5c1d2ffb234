"""Migrations where a schema change cannot be rolled back (MySQL, MariaDB), so that a killed one
is finished by the next.

Each statement there is atomic and commits by itself; a revision of several can stop between two
of them. So revisions go one by one, and the one under way is written down: as the comment of a
table that exists only meanwhile, because making a table with its comment is one atomic statement.
Whoever finds that table finishes the step first, and passes over statements whose effect is there
already. Without it, a table that is in the way is an error as everywhere.

A revision's data statements may therefore run twice: write them so that it does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from tabular.errors import ConflictError
from tabular.infra.database.mysql import code_of

if TYPE_CHECKING:
    from alembic.config import Config

UNDER_WAY = "migration_under_way"
RESUMING = "resuming"

_LOG = logging.getLogger(__name__)
_TABLE_EXISTS = 1050
_DONE = frozenset(
    {
        *(_TABLE_EXISTS, 1051, 1146),  # table: is there, is not
        *(1060, 1054),  # column: is there, is not
        *(1061, 1091),  # index, constraint or column: is there, cannot be dropped as it is not
        *(1005, 1022, 1826),  # foreign key: is there
    }
)


class ResumableImpl(MySQLImpl):
    """Alembic's statements for MySQL, of which a resumed step repeats only what is missing."""

    __dialect__ = "mysql"

    def _exec(self, construct: Any, *arguments: Any, **more: Any) -> Any:
        try:
            return super()._exec(construct, *arguments, **more)
        except DBAPIError as error:
            code = code_of(error)
            if not self.context_opts.get(RESUMING) or code not in _DONE:
                raise
            if code == _TABLE_EXISTS and isinstance(construct, CreateTable):
                self._check_same(construct)
            _LOG.info("done before: %s", str(error.orig)[:200])
            return None

    def _check_same(self, construct: CreateTable) -> None:
        assert self.connection is not None
        table = construct.element
        found = {column["name"] for column in inspect(self.connection).get_columns(table.name)}
        if found != {column.name for column in table.columns}:
            raise ConflictError(
                f"a table {table.name!r} that is not ours is in the way of the migration",
                hint="rename it, or give the service a database of its own",
            )


def migrate_stepwise(
    connection: Connection, config: Config, order: Sequence[str], current: str | None, to: str
) -> None:
    """Go to a revision one step at a time.

    Args:
        connection: to the database; nobody else migrates meanwhile.
        config: Alembic's, for that connection.
        order: every revision from the oldest to the newest.
        current: the revision now; None for an empty schema.
        to: the revision to go to, or ``base``.

    Raises:
        ConflictError: a foreign table has the name of one of ours.
    """
    at = 0 if current is None else order.index(current) + 1
    goal = 0 if to == "base" else order.index(to) + 1

    def step(upwards: bool, *, resuming: bool) -> int:
        config.attributes[RESUMING] = resuming
        run: Callable[[Config, str], None] = command.upgrade if upwards else command.downgrade
        run(config, ("base", *order)[at + 1 if upwards else at - 1])
        connection.exec_driver_sql(f"DROP TABLE {UNDER_WAY}")  # commits the new number first
        return at + 1 if upwards else at - 1

    interrupted = _interrupted(connection)
    if interrupted is not None:
        direction, revision = interrupted
        upwards = direction == "upgrade"
        if at == order.index(revision) + (0 if upwards else 1):
            _LOG.warning("finishing the %s of revision %s", direction, revision)
            at = step(upwards, resuming=True)
        else:
            connection.exec_driver_sql(f"DROP TABLE {UNDER_WAY}")
    while at != goal:
        upwards = at < goal
        _mark(connection, "upgrade" if upwards else "downgrade", order[at if upwards else at - 1])
        at = step(upwards, resuming=False)


def _mark(connection: Connection, direction: str, revision: str) -> None:
    connection.exec_driver_sql(
        f"CREATE TABLE {UNDER_WAY} (nothing INT) COMMENT = '{direction} {revision}'"
    )


def _interrupted(connection: Connection) -> tuple[str, str] | None:
    comment = connection.scalar(
        text(
            "SELECT table_comment FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name = :name"
        ),
        {"name": UNDER_WAY},
    )
    if not comment:
        return None
    direction, _, revision = str(comment).partition(" ")
    return direction, revision

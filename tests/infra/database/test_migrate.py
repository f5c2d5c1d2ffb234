from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text

from tabular.errors import ConflictError, UnavailableError
from tabular.infra.database import Database, check_schema, engine, head, migrate, revision
from tabular.infra.database.models import Base
from tests.testbed.mariadb import MariaDB

VERSIONS = Path(engine.__file__).parent / "migrations" / "versions"
ORDER = sorted(file.name[:4] for file in VERSIONS.glob("[0-9]*.py"))


def tables(database: Database) -> set[str]:
    with database.session() as session:
        return set(inspect(session.connection()).get_table_names()) - {"alembic_version"}


def test_up_down_and_up_again(database_url: str) -> None:
    database = Database(database_url)
    assert revision(database) is None
    assert migrate(database) == head()
    assert tables(database) == set(Base.metadata.tables)
    assert migrate(database, to="base") is None
    assert tables(database) == set()
    assert migrate(database) == head()
    assert tables(database) == set(Base.metadata.tables)


def test_migrating_twice_changes_nothing(database: Database) -> None:
    with database.transaction() as session:
        session.execute(
            text("INSERT INTO garbage (prefix, pending, created_at) VALUES ('a', true, :now)"),
            {"now": "2026-01-01 00:00:00"},
        )
    assert migrate(database) == head()
    with database.session() as session:
        assert session.scalar(text("SELECT count(*) FROM garbage")) == 1


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    assert_whole(database)


def test_processes_that_migrate_at_once_all_succeed(database_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tabular.api", "migrate"]
    env = {
        **os.environ,
        "TABULAR_SECRET_KEY": "nJ7w2Kq9sX4vB6mZ1cR8tY3hD5pL0fGa",
        "TABULAR_DATABASE_URL": database_url,
    }
    running = [
        subprocess.Popen(
            command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert all(f"revision {head()}" in output for output in outputs)
    assert tables(Database(database_url)) == set(Base.metadata.tables)


def test_revisions_are_numbered_in_the_order_they_are_applied() -> None:
    scripts = ScriptDirectory(str(Path(engine.__file__).parent / "migrations"))
    order = [script.revision for script in scripts.walk_revisions()][::-1]
    assert order == sorted(order)
    assert scripts.get_current_head() == head()


def test_a_missing_schema_says_what_to_type(database_url: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        check_schema(Database(database_url))
    assert "missing" in caught.value.message
    assert caught.value.hint == "python -m tabular.api migrate"


def test_the_schema_of_a_newer_release_is_served_on(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert check_schema(database) == "9999"
    assert migrate(database) == "9999"
    assert tables(database) == set(Base.metadata.tables)


def test_each_revision_goes_up_down_and_up_again(database_url: str) -> None:
    database = Database(database_url)
    before = "base"
    for number in ORDER:
        assert migrate(database, to=number) == number
        up = described(database)
        migrate(database, to=before)
        assert (revision(database) or "base") == before
        assert migrate(database, to=number) == number
        assert described(database) == up
        before = number


def test_a_failed_migration_leaves_nothing(database_url: str) -> None:
    database = Database(database_url)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE garbage (id INTEGER)"))  # in the way of the last table
    with pytest.raises(Exception, match="garbage"):
        migrate(database)
    assert revision(database) is None
    if database.backend != "mysql":
        assert tables(database) == {"garbage"}
        return
    # What was made stays there, and the next migration neither trips over it nor adopts ours.
    with pytest.raises(ConflictError, match="'garbage' that is not ours"):
        migrate(database)
    with database.connection() as connection:
        connection.execute(text("DROP TABLE garbage"))
    assert migrate(database) == head()
    assert_whole(database)


@pytest.mark.debian
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_migration_cut_off_after_any_statement_is_finished_by_the_next(
    mariadb: MariaDB, direction: str, tmp_path: Path
) -> None:
    statement = 0
    finished = False
    while not finished:
        database = Database(mariadb.create_database(f"cut_{direction}_{statement}"))
        if direction == "down":
            migrate(database)
        finished = cut_after(statement, database, to="head" if direction == "up" else "base")
        assert migrate(database) == head()
        assert_whole(database)
        assert migrate(database, to="base") is None
        assert tables(database) == set()
        database.close()
        statement += 1
    assert statement > 8


class _CutError(Exception):
    """The migration ends here."""


def cut_after(statements: int, database: Database, *, to: str) -> bool:
    """Migrate, but lose the connection once so many changes were made; True when all were."""
    seen = 0

    def count(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        nonlocal seen
        if statement.lstrip().split()[0] in ("CREATE", "ALTER", "DROP"):
            if seen == statements:
                raise _CutError
            seen += 1

    with database.session() as session:
        engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        migrate(database, to=to)
    except _CutError:
        return False
    finally:
        event.remove(engine, "before_cursor_execute", count)
    return True


@pytest.mark.debian
def test_a_killed_migration_is_finished_by_the_next(mariadb_url: str) -> None:
    script = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tabular.infra.database import Database, migrate
@event.listens_for(Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *more):
    if "CREATE TABLE jobs" in statement:
        os.kill(os.getpid(), signal.SIGKILL)
migrate(Database(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", script, mariadb_url], check=False)
    assert done.returncode == -signal.SIGKILL
    database = Database(mariadb_url)
    assert revision(database) is None
    assert "jobs" in tables(database)
    with pytest.raises(UnavailableError, match="missing"):
        check_schema(database)
    assert migrate(database) == head()
    assert_whole(database)


def described(database: Database) -> dict[str, set[str]]:
    with database.session() as session:
        found = inspect(session.connection())
        return {
            table: {column["name"] for column in found.get_columns(table)}
            | {str(index["name"]) for index in found.get_indexes(table)}
            for table in found.get_table_names()
        }


def assert_whole(database: Database) -> None:
    """The schema is what the models say, and nothing of the migration is left."""
    assert tables(database) == set(Base.metadata.tables)
    with database.session() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Base.metadata) == []

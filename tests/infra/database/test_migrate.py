from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tabular.errors import UnavailableError
from tabular.infra.database import Database, check_schema, engine, head, migrate, revision
from tabular.infra.database.models import Base


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
    with database.session() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Base.metadata) == []


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


def test_a_failed_migration_leaves_nothing(database_url: str) -> None:
    database = Database(database_url)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE garbage (id INTEGER)"))  # in the way of the last table
    with pytest.raises(Exception, match="garbage"):
        migrate(database)
    assert tables(database) == {"garbage"}
    assert revision(database) is None

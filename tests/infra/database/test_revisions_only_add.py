"""Old code serves on the schema of new code, so a revision only adds; see docs/adr/0010."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from tabular.infra.database import Database, migrate
from tests.infra.database.test_migrate import ORDER

Columns = dict[tuple[str, str], dict[str, Any]]


def _columns(database: Database) -> Columns:
    with database.session() as session:
        found = inspect(session.connection())
        return {
            (table, column["name"]): dict(column)
            for table in found.get_table_names()
            for column in found.get_columns(table)
        }


def _constraints(database: Database) -> dict[str, set[str]]:
    """What refuses a row, by table: unique indexes, unique keys, foreign keys and checks."""
    with database.session() as session:
        found = inspect(session.connection())
        return {
            table: {
                *(f"unique {i['column_names']}" for i in found.get_indexes(table) if i["unique"]),
                *(f"unique {u['column_names']}" for u in found.get_unique_constraints(table)),
                *(f"foreign {f['constrained_columns']}" for f in found.get_foreign_keys(table)),
                *(f"check {c['sqltext']}" for c in found.get_check_constraints(table)),
            }
            for table in found.get_table_names()
        }


def _objections(before: Columns, after: Columns) -> list[str]:
    """What an insert or a read of the release before would trip over."""
    said = [f"{table}.{name} is gone" for table, name in before.keys() - after.keys()]
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        if str(old["type"]) != str(new["type"]):
            said.append(f"{'.'.join(key)} was {old['type']} and is {new['type']}")
        if old["nullable"] and not new["nullable"]:
            said.append(f"{'.'.join(key)} must be given now")
    tables = {table for table, _ in before}
    for table, name in after.keys() - before.keys():
        column = after[table, name]
        if table in tables and not column["nullable"] and column["default"] is None:
            said.append(f"{table}.{name} is new and must be given")
    return said


@pytest.mark.parametrize("number", ORDER[1:])
def test_a_revision_takes_nothing_from_the_release_before(tmp_path: Path, number: str) -> None:
    database = Database(f"sqlite:///{tmp_path}/tabular.db")
    migrate(database, to=ORDER[ORDER.index(number) - 1])
    columns, constraints = _columns(database), _constraints(database)
    migrate(database, to=number)
    assert _objections(columns, _columns(database)) == []
    tightened = {t: _constraints(database)[t] - old for t, old in constraints.items()}
    assert not any(tightened.values()), tightened


def test_the_look_at_a_revision_sees_what_takes_something_away() -> None:
    number = {"type": "INTEGER", "nullable": True, "default": None}
    before = {("jobs", "a"): number, ("jobs", "b"): number, ("jobs", "c"): number}
    after = {
        ("jobs", "a"): {**number, "nullable": False},
        ("jobs", "b"): {**number, "type": "TEXT"},
        ("jobs", "d"): {**number, "nullable": False},
        ("new", "e"): {**number, "nullable": False},
    }
    assert sorted(_objections(before, after)) == [
        "jobs.a must be given now",
        "jobs.b was INTEGER and is TEXT",
        "jobs.c is gone",
        "jobs.d is new and must be given",
    ]

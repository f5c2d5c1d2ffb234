"""Rows as text: the same on every kind of database, and back."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabular.infra.database import Database
from tabular.infra.database.models import Base
from tabular.transfer.tables import CHUNK_ROWS, Shape, clear, dump, load, number_on, shapes
from tests.databases import database, database_url

__all__ = ["database", "database_url"]

# What PostgreSQL keeps: no NUL in texts, no lone surrogate.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
FLOAT = st.floats(-1e100, 1e100)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOAT | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MOMENT = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
JOBS = next(shape for shape in shapes() if shape.name == "jobs")


def job(
    params: object, error: str, outage: float, moment: datetime, asked: bool
) -> dict[str, object]:
    """A row with one value of each kind."""
    table = Base.metadata.tables["jobs"]
    plain = {"integer": 0, "text": "", "float": 0.0, "boolean": False}
    row = {
        name: plain[kind]
        for name, kind in JOBS.columns.items()
        if kind in plain and not table.columns[name].nullable
    }
    return row | {
        "id": "job_1", "params": {"given": params}, "kind": error[:16], "outage": abs(outage),
        "cancel_requested": asked, "created_at": moment, "seq": 7,
    }  # fmt: skip


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(JSON, TEXT, FLOAT, MOMENT, st.booleans())
def test_rows_come_back_as_the_same_text(
    database: Database, params: object, text: str, number: float, moment: datetime, asked: bool
) -> None:
    with database.connection() as connection:
        clear(connection, [JOBS])
        connection.execute(sa.insert(JOBS.clause()), [job(params, text, number, moment, asked)])
        (first,) = dump(connection, JOBS)
        clear(connection, [JOBS])
        assert load(connection, JOBS, first.data) == 1
        (again,) = dump(connection, JOBS)
    assert again.data == first.data


def test_large_tables_go_in_chunks_and_numbers_go_on(database: Database) -> None:
    folder = Shape("garbage", next(s for s in shapes() if s.name == "garbage").columns)
    rows = CHUNK_ROWS + 5
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    with database.connection() as connection:
        many = [
            {"seq": n, "prefix": f"jobs/{n}", "pending": False, "created_at": moment}
            for n in range(1, rows + 1)
        ]
        connection.execute(sa.insert(folder.clause()), many)
        chunks = list(dump(connection, folder))
        clear(connection, [folder])
        assert [load(connection, folder, chunk.data) for chunk in chunks] == [CHUNK_ROWS, 5]
        number_on(connection, [folder])
        assert [chunk.sha256 for chunk in dump(connection, folder)] == [c.sha256 for c in chunks]
    with database.transaction() as session:
        new = {"prefix": "jobs/new", "pending": False, "created_at": moment}
        session.execute(sa.insert(Base.metadata.tables["garbage"]).values(**new))
    with database.session() as session:
        table = Base.metadata.tables["garbage"]
        last = session.scalar(sa.select(table.c.seq).where(table.c.prefix == "jobs/new"))
    assert last == rows + 1


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    shape = next(s for s in shapes() if s.name == "garbage")
    with database.snapshot() as connection:
        assert list(dump(connection, shape)) == []
        with database.transaction() as session:
            row = {"prefix": "a", "pending": True, "created_at": datetime.now(UTC)}
            session.execute(sa.insert(Base.metadata.tables["garbage"]).values(**row))
        assert list(dump(connection, shape)) == []
    with database.snapshot() as connection:
        assert sum(chunk.rows for chunk in dump(connection, shape)) == 1


def test_every_column_of_this_release_has_a_type_of_a_dump() -> None:
    assert {shape.name for shape in shapes()} >= {"datasets", "models", "jobs", "api_keys"}

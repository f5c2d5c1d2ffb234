from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.database import Database, migrate
from tabular.infra.database.models import Garbage
from tests.testbed.ports import free_port

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)


def add(database: Database, prefix: str) -> None:
    with database.transaction() as session:
        session.add(Garbage(prefix=prefix, pending=False, created_at=MOMENT))


def test_a_moment_comes_back_as_it_was_written(database: Database) -> None:
    add(database, "a")
    with database.session() as session:
        assert session.scalar(select(Garbage.created_at)) == MOMENT


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as session:
        session.add(Garbage(prefix="a", pending=False, created_at=MOMENT))
        session.flush()
        raise RuntimeError
    with database.session() as session:
        assert session.scalar(select(Garbage)) is None


def test_writers_at_once_lose_no_update(database: Database) -> None:
    add(database, "a")

    def write() -> None:
        for _ in range(20):
            with database.transaction() as session:
                row = session.scalars(select(Garbage).with_for_update()).one()
                session.execute(
                    update(Garbage).values(prefix=row.prefix + "x").where(Garbage.seq == row.seq)
                )

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.session() as session:
        assert session.scalar(select(Garbage.prefix)) == "a" + "x" * 80


def test_a_lost_connection_is_made_anew(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.ping()
    killer = Database(postgres_url)
    with killer.transaction() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    database.ping()


def test_a_server_that_is_away_is_told_without_its_password(postgres_url: str) -> None:
    database = Database(f"postgresql+psycopg://user:s3cretword@127.0.0.1:{free_port()}/x")
    with pytest.raises(UnavailableError) as caught:
        database.ping()
    assert "s3cretword" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_dead_lock_is_an_outage_and_not_our_statement(postgres_url: str) -> None:
    database = Database(postgres_url)
    migrate(database)
    add(database, "a")
    add(database, "b")
    both = threading.Barrier(2)
    ends: list[str] = []

    def lock(first: str, second: str) -> None:
        try:
            with database.transaction() as session:
                for prefix in (first, second):
                    query = select(Garbage).where(Garbage.prefix == prefix)
                    session.scalars(query.with_for_update()).one()
                    if prefix == first:
                        both.wait(30)
        except UnavailableError:
            ends.append("unavailable")
        else:
            ends.append("done")

    other = threading.Thread(target=lock, args=("b", "a"))
    other.start()
    lock("a", "b")
    other.join()
    database.close()
    assert sorted(ends) == ["done", "unavailable"]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/tabular.db")
    migrate(database)
    with database.transaction() as session:
        session.execute(text("DELETE FROM garbage"))
        files = list(tmp_path.iterdir())
        assert len(files) > 1  # its log too
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot be made"):
        Database(f"sqlite:///{tmp_path}/file/folder/tabular.db")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "tabular.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        Database(f"sqlite:///{tmp_path}/tabular.db").ping()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///relative.db", "mysql://host/name", "nonsense"]
)
def test_urls_without_a_driver_or_a_file_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Database(url)


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"), database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO models (id, name, dataset_id, engine, preset, seed, created_at,"
                " created_by) VALUES ('m', 'm', 'nowhere', 'e', 'p', 1, :now, 'k')"
            ),
            {"now": MOMENT.isoformat(sep=" ")},
        )

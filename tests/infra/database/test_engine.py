from __future__ import annotations

import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.database import Database, migrate
from tabular.infra.database.models import Garbage, Model
from tests.testbed.mariadb import MariaDB
from tests.testbed.ports import free_port
from tests.testbed.postgres import postgres_server
from tests.testbed.tls import make_certificate

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


@pytest.fixture(params=["postgres_url", pytest.param("mariadb_url", marks=pytest.mark.debian)])
def server_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind that is a server."""
    url: str = request.getfixturevalue(request.param)
    return url


def kill_other_connections(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        return
    query = (
        "SELECT id FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    for id in session.scalars(text(query)).all():
        session.execute(text(f"KILL {id}"))


def test_a_lost_connection_is_made_anew(server_url: str) -> None:
    database = Database(server_url)
    database.ping()
    killer = Database(server_url)
    with killer.transaction() as session:
        kill_other_connections(session)
    database.ping()


def test_a_connection_lost_within_a_transaction_is_an_outage(server_url: str) -> None:
    database, killer = Database(server_url), Database(server_url)
    with pytest.raises(UnavailableError), database.transaction() as session:
        session.execute(text("SELECT 1"))
        with killer.transaction() as other:
            kill_other_connections(other)
        session.execute(text("SELECT 1"))
    database.ping()


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql", "mysql"])
def test_a_server_that_is_away_is_told_without_its_password(driver: str) -> None:
    database = Database(f"{driver}://user:s3cretword@127.0.0.1:{free_port()}/x")
    with pytest.raises(UnavailableError) as caught:
        database.ping()
    assert "s3cretword" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_dead_lock_is_an_outage_and_not_our_statement(server_url: str) -> None:
    database = Database(server_url)
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
    "url",
    [
        *("sqlite://", "sqlite:///relative.db", "oracle://host/name", "nonsense"),
        *("mysql://host", "mysql:///name", "mysql://host/name?sslmode=x", "mysql://h/n?ssl=false"),
        "mysql://h/n?ssl_ca=/no/such/file",
    ],
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
            {"now": MOMENT.replace(tzinfo=None).isoformat(sep=" ")},
        )


def test_a_wrong_statement_is_no_outage(database: Database) -> None:
    for statement in ("SELECT no_such_column FROM garbage", "SELECT * FROM no_such_table"):
        with pytest.raises((DBAPIError, UnavailableError)) as caught, database.session() as session:
            session.execute(text(statement))
        if not database.is_sqlite:  # whose driver has one class for both
            assert isinstance(caught.value, DBAPIError)


def test_texts_differ_by_case_and_keep_every_sign(database: Database) -> None:
    texts = ["key", "KEY", "kéy", "🔑" * 512, "ключ" * 128]
    for one in texts:
        add(database, one)
    with database.session() as session:
        assert list(session.scalars(select(Garbage.prefix).order_by(Garbage.seq))) == texts
        found = session.scalars(select(Garbage.prefix).where(Garbage.prefix == "KEY")).all()
        assert found == ["KEY"]


def test_a_text_that_is_too_long_is_refused_and_not_cut(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)
    with pytest.raises(DBAPIError):
        add(database, "x" * 513)
    database.close()


def test_large_numbers_and_documents_come_back(database: Database) -> None:
    document = {"b": [1, 2.5, None, "ü🔑"], "a": {"nested": True}, "big": 2**53 + 1}
    with database.transaction() as session:
        session.add(
            Model(
                **{"id": "m", "name": "n", "engine": "e", "preset": "p", "seed": 2**63 - 1},
                **{"details": document, "table_schema": None},
                **{"created_at": MOMENT, "created_by": "k"},
            )
        )
    with database.session() as session:
        model = session.scalars(select(Model)).one()
        assert (model.seed, model.details, model.table_schema) == (2**63 - 1, document, None)
        assert session.scalar(select(Model.id).where(Model.table_schema.is_(None))) == "m"


def test_a_locked_row_is_passed_over(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)
    add(database, "a")
    add(database, "b")
    next_free = select(Garbage.prefix).order_by(Garbage.seq).limit(1)
    next_free = next_free.with_for_update(skip_locked=True)
    with database.transaction() as first, database.transaction() as second:
        assert first.scalar(next_free) == "a"
        assert second.scalar(next_free) == "b"
    database.close()


def test_a_transaction_reads_what_was_committed_last(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)
    with database.session() as reader:
        assert reader.scalar(select(Garbage.prefix)) is None
        add(database, "a")
        assert reader.scalar(select(Garbage.prefix)) == "a"
    database.close()


@pytest.mark.debian
def test_tls_to_mariadb_is_verified(mariadb: MariaDB, mariadb_url: str, tmp_path: Path) -> None:
    mariadb.sql("CREATE USER IF NOT EXISTS 'tls'@'%' IDENTIFIED BY 'x' REQUIRE SSL")
    mariadb.sql("GRANT ALL ON *.* TO 'tls'@'%'")
    name = mariadb_url.rpartition("/")[2]
    authority = mariadb.socket.parent / "cert.pem"
    stranger = make_certificate(tmp_path)[0]

    def ping(host: str, query: str) -> None:
        database = Database(f"mysql://tls:x@{host}:{mariadb.port}/{name}{query}")
        database.ping()
        with database.session() as session:
            assert session.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]

    ping("localhost", f"?ssl_ca={authority}")
    for host, query in (
        ("localhost", "?ssl=true"),  # an authority that the machine does not know
        ("localhost", f"?ssl_ca={stranger}"),
        ("localhost", "?ssl_ca=aws-rds"),  # read, and this server has none of them
        ("127.0.0.1", f"?ssl_ca={authority}"),  # the certificate has another name
    ):
        with pytest.raises(UnavailableError):
            ping(host, query)


def test_a_postgresql_server_that_is_cut_off_is_noticed(postgres_url: str) -> None:
    def options(url: str) -> dict[str, str]:
        with Database(url).session() as session:
            raw = session.connection().connection.driver_connection
            assert raw is not None
            return {str(name): value for name, value in raw.info.get_parameters().items()}

    found = options(postgres_url)
    assert (found["keepalives_idle"], found["tcp_user_timeout"]) == ("15", "30000")
    found = options(f"{postgres_url}?tcp_user_timeout=5000&connect_timeout=9")
    assert (found["tcp_user_timeout"], found["connect_timeout"]) == ("5000", "9")


def test_postgresql_finds_the_authorities_of_rds(postgres_url: str) -> None:
    """libpq reads the file before it asks for TLS, which this server has not."""
    for named, says in (("aws-rds", "does not support SSL"), ("/no/such", "/no/such")):
        database = Database(f"{postgres_url}?sslmode=verify-full&sslrootcert={named}")
        with pytest.raises(UnavailableError, match=says):
            database.ping()


def test_an_option_that_postgresql_does_not_know_is_refused(postgres_url: str) -> None:
    with pytest.raises(ConfigError, match="'connect_timout'") as caught:
        Database(f"{postgres_url}?connect_timout=9")
    assert "connect_timeout" in str(caught.value)


def test_commits_that_wait_for_a_replica_are_told() -> None:
    with postgres_server() as server:
        admin = psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True)
        admin.execute("CREATE ROLE plain LOGIN")
        admin.execute("ALTER ROLE plain SET synchronous_commit = on")
        admin.execute("CREATE TABLE t (n int)")
        admin.execute("GRANT INSERT ON t TO plain")
        database = Database(server.url().replace("postgres@", "plain@"))
        database.check_commits(patience=0)
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
        admin.execute("SELECT pg_reload_conf()")

        def write() -> None:
            with database.transaction() as session:
                session.execute(text("INSERT INTO t VALUES (1)"))

        waiting = threading.Thread(target=write)
        waiting.start()
        deadline = time.monotonic() + 20
        with pytest.raises(UnavailableError, match="commits wait for a replica") as told:
            while time.monotonic() < deadline:
                database.check_commits(patience=0.5)
        assert told.value.code == "unavailable.commits"
        database.check_commits(patience=60)
        admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        admin.execute("SELECT pg_reload_conf()")
        waiting.join(20)
        database.check_commits(patience=0)
        database.close()
        admin.close()

"""A password that is changed while the service runs: the next new connection has the new one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from tabular.errors import UnavailableError
from tabular.infra.config import Settings, load_settings
from tabular.infra.database import Database
from tabular.infra.database.credentials import PAUSE
from tests.platform import Processes, environment, fitted
from tests.testbed.mariadb import MariaDB
from tests.testbed.postgres import Postgres, postgres_server

KEY = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Postgres]:
    """A server that asks everybody but its owner for a password."""
    with postgres_server() as server:
        with _owner(server) as owner:
            (file,) = owner.execute("SHOW hba_file").fetchone() or ("",)
            rules = ["host all postgres 127.0.0.1/32 trust", "host all all all scram-sha-256"]
            Path(file).write_text("\n".join(rules) + "\n")
            owner.execute("SELECT pg_reload_conf()")
            owner.execute("CREATE ROLE tabular LOGIN PASSWORD 'first: p@ss/word'")
        yield server


def _owner(server: Postgres) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True)


def _alter(server: Postgres, password: str) -> None:
    with _owner(server) as owner:
        owner.execute(f"ALTER ROLE tabular PASSWORD '{password}'")


def _settings(server: Postgres, environ: dict[str, str], reference: str) -> Settings:
    environ["TABULAR_SECRET_KEY"] = KEY
    environ["TABULAR_DATABASE_URL"] = (
        f"postgresql+psycopg://tabular:{{{reference}}}@127.0.0.1:{server.port}/postgres"
    )
    return load_settings(environ)


def _open(settings: Settings) -> Database:
    return Database(settings.database_url, again=settings.again("database_url"))


def _renew_pool(database: Database) -> None:
    """Give the open connections back, as their age or an outage does."""
    database.close()


@pytest.mark.parametrize("kind", ["env", "file"])
def test_a_rotated_password_needs_no_restart(guarded: Postgres, tmp_path: Path, kind: str) -> None:
    file, environ = tmp_path / "password", {}

    def keep(password: str) -> None:
        file.write_text(password + "\n")
        environ["DB_PASSWORD"] = password

    _alter(guarded, "first: p@ss/word")
    keep("first: p@ss/word")
    reference = "env:DB_PASSWORD" if kind == "env" else f"file:{file}"
    database = _open(_settings(guarded, environ, reference))
    database.ping()

    for changed in ("second %40 {x}", "third"):
        with database.session() as open_before:
            _alter(guarded, changed)
            keep(changed)
            with database.session() as new:  # the pool has none to spare, so this one is new
                assert new.scalar(text("SELECT current_user")) == "tabular"
            open_before.execute(text("SELECT 1"))
        _renew_pool(database)
        database.ping()
        time.sleep(PAUSE)
    database.close()


def test_the_server_may_be_changed_first(
    guarded: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the two changes nobody gets in, and after them everybody, by itself."""
    environ = {"DB_PASSWORD": "canary-first"}
    _alter(guarded, "canary-first")
    database = _open(_settings(guarded, environ, "env:DB_PASSWORD"))
    database.ping()
    _renew_pool(database)
    _alter(guarded, "canary-second")
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            with pytest.raises(UnavailableError) as caught:
                database.ping()
            assert "canary" not in str(caught.value)
        del environ["DB_PASSWORD"]
        time.sleep(PAUSE)
        with pytest.raises(UnavailableError, match="does not answer"):
            database.ping()
    assert "is not read again" in caplog.text
    assert "canary" not in caplog.text

    environ["DB_PASSWORD"] = "canary-second"
    time.sleep(PAUSE)
    database.ping()
    database.close()


def test_many_who_are_refused_at_once_ask_once(guarded: Postgres, tmp_path: Path) -> None:
    _alter(guarded, "one")
    asked: list[float] = []
    url = f"postgresql+psycopg://tabular:{{}}@127.0.0.1:{guarded.port}/postgres"

    def again() -> str:
        asked.append(time.monotonic())
        return url.format("two")

    database = Database(url.format("one"), again=again)
    database.ping()
    assert asked == []
    _renew_pool(database)
    _alter(guarded, "two")
    failed: list[Exception] = []

    def work() -> None:
        try:
            database.ping()
        except UnavailableError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(asked) == 1

    _renew_pool(database)
    _alter(guarded, "three")
    for _ in range(5):
        with pytest.raises(UnavailableError):
            database.ping()
    assert len(asked) <= 3  # a wrong password does not ask the store for each request
    database.close()


@pytest.mark.slow
def test_api_and_worker_go_on_through_a_rotation(guarded: Postgres, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("one/canary")
    _alter(guarded, "one/canary")
    url = f"postgresql+psycopg://tabular:{{file:{file}}}@127.0.0.1:{guarded.port}/service"
    started = Processes(tmp_path, environment(tmp_path, url))
    with _owner(guarded) as owner:
        owner.execute("CREATE DATABASE service OWNER tabular")
        try:
            started.run("tabular.api", "migrate")
            key = started.run("tabular.api", "create-key", "--name", "test").strip()
            started.worker()
            started.api()
            bearer = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=started.url, headers=bearer, timeout=30) as client:
                fitted(client, rows=300)
                _alter(guarded, "two/canary")
                file.write_text("two/canary")
                owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='tabular'"
                )
                fitted(client, rows=300)  # asked of the API and done by the worker
        finally:
            started.close()
    assert "canary" not in started.log


def test_without_a_reference_a_refusal_is_final(guarded: Postgres) -> None:
    _alter(guarded, "one")
    url = f"postgresql+psycopg://tabular:wrong@127.0.0.1:{guarded.port}/postgres"
    settings = load_settings({"TABULAR_SECRET_KEY": KEY, "TABULAR_DATABASE_URL": url})
    with pytest.raises(UnavailableError):
        _open(settings).ping()


@pytest.mark.debian
def test_mariadb_too(mariadb: MariaDB, mariadb_url: str) -> None:
    name = mariadb_url.rpartition("/")[2]
    mariadb.sql("CREATE USER 'turning'@'127.0.0.1' IDENTIFIED BY 'one'")
    mariadb.sql("GRANT ALL ON *.* TO 'turning'@'127.0.0.1'")
    url = f"mysql+pymysql://turning:{{env:P}}@127.0.0.1:{mariadb.port}/{name}"
    environ = {"TABULAR_SECRET_KEY": KEY, "TABULAR_DATABASE_URL": url, "P": "one"}
    database = _open(load_settings(environ))
    database.ping()
    _renew_pool(database)
    mariadb.sql("ALTER USER 'turning'@'127.0.0.1' IDENTIFIED BY 'two'")
    with pytest.raises(UnavailableError):
        database.ping()
    environ["P"] = "two"
    time.sleep(PAUSE)
    database.ping()
    database.close()

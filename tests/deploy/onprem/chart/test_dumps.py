"""The dumps that Velero copies: the very command of the pod's annotation, with real servers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.deploy.onprem.chart.cases import CASES, merged, objects, one
from tests.deploy.onprem.chart.test_backup import VELERO
from tests.testbed import parts
from tests.testbed.disk import fill, small_disk
from tests.testbed.mariadb import mariadb_home, mariadb_server
from tests.testbed.postgres import Postgres, postgres_home, postgres_server

ROWS = 20_000


def hook(part: str, values: Mapping[str, Any] = VELERO) -> list[str]:
    """The command before Velero's copy."""
    made = one(objects(values), "StatefulSet", f"demo-{part}")["spec"]["template"]
    return list(json.loads(made["metadata"]["annotations"]["pre.hook.backup.velero.io/command"]))


def run(command: list[str], places: Mapping[str, str], **env: str) -> str:
    """Run it with other places; what it says against it, "" if it succeeds."""
    shell, option, script = command
    for old, new in places.items():
        script = script.replace(old, new)
    done = subprocess.run(
        [shell, option, script],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr or "failed"


def dumped(server: Postgres, folder: Path) -> str:
    """Run PostgreSQL's for a server, into a folder."""
    places = {"/velero": str(folder), "-h /run/postgresql": f"-h 127.0.0.1 -p {server.port}"}
    path = f"{server.bin}:{os.environ['PATH']}"
    return run(hook("postgresql"), places, PATH=path, TABULAR_DATABASE="tabular")


def numbers(server: Postgres, database: str) -> tuple[int, int]:
    with psycopg.connect(f"{_url(server)}/{database}") as connection:
        found = connection.execute("SELECT count(*), sum(n) FROM numbers").fetchone()
    assert found is not None
    return found[0], found[1]


def _url(server: Postgres) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    """A server with some rows."""
    with postgres_server() as server:
        server.create_database("tabular")
        with psycopg.connect(f"{_url(server)}/tabular") as connection:
            connection.execute("CREATE TABLE numbers (n int, words text)")
            connection.execute(
                "INSERT INTO numbers SELECT n, md5(n::text) FROM generate_series(1, %s) n", (ROWS,)
            )
        yield server


def test_the_primary_writes_a_dump_that_restores_into_a_new_database(
    primary: Postgres, tmp_path: Path
) -> None:
    (tmp_path / "dump").write_text("of last night")
    assert dumped(primary, tmp_path) == ""
    assert [file.name for file in tmp_path.iterdir()] == ["dump"]
    primary.create_database("other")
    restore = [primary.bin / "pg_restore", "-h", "127.0.0.1", "-p", str(primary.port)]
    restore += ["-U", "postgres", "--clean", "--if-exists", "-d", "other"]  # as the docs say
    with (tmp_path / "dump").open("rb") as dump:
        subprocess.run(restore, stdin=dump, check=True, timeout=60)
    assert numbers(primary, "other") == numbers(primary, "tabular") == (ROWS, 200_010_000)


def test_a_replica_writes_none_and_keeps_none_of_when_it_led(
    primary: Postgres, tmp_path: Path
) -> None:
    user = "nobody" if os.geteuid() == 0 else None
    with postgres_home() as home:
        copy = [primary.bin / "pg_basebackup", "-D", home / "data", "-R", "--no-sync", "-c", "fast"]
        copy += ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        subprocess.run(copy, check=True, user=user, cwd=home, timeout=60)
        with postgres_server(home=home) as replica:
            (tmp_path / "dump").write_text("of when it led")
            assert dumped(replica, tmp_path) == ""
            assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_fails_the_backup_and_leaves_no_older_dump(
    primary: Postgres, tmp_path: Path
) -> None:
    (tmp_path / "dump").write_text("of last night")
    with primary.away():
        assert "no dump" in dumped(primary, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_a_dump_leaves_the_node_what_its_kubelet_wants(primary: Postgres, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        assert dumped(primary, disk) == ""
        size = (disk / "dump").stat().st_size
        (disk / "dump").unlink()
        # Its size would fit, and leave less than 15 % of the disk.
        filler = fill(disk, room=size + 200_000)
        assert "not enough" in dumped(primary, disk)
        assert list(disk.iterdir()) == [filler]


@pytest.mark.debian
def test_mysqls_dump_restores_too(tmp_path: Path) -> None:
    client = parts.debian("mariadb", package="mariadb-client")
    command = hook("mysql", merged(VELERO, CASES["mysql"]))
    with mariadb_home() as home, mariadb_server(home) as server:
        server.create_database("tabular")
        server.sql("CREATE TABLE tabular.numbers SELECT seq AS n FROM mysql.seq_1_to_500")
        socket = f"--no-defaults --socket={server.socket}"
        places = {"/velero": str(tmp_path), "mysqldump": f"mysqldump {socket}"}
        assert run(command, places, MYSQL_DATABASE="tabular") == ""
        server.sql("DROP DATABASE tabular")
        read = f"gunzip <{tmp_path}/dump | {client} {socket} -uroot"
        subprocess.run(["bash", "-c", read], check=True, timeout=60)
        assert server.sql("SELECT sum(n) FROM tabular.numbers").strip() == "125250"

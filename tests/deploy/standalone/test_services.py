"""The embedded PostgreSQL and Valkey: real servers, their passwords, their crashes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tabular.deploy.audit import AuditLog
from tabular.deploy.gate import Gate
from tabular.deploy.orchestrator import Orchestrator
from tabular.deploy.provider import State
from tabular.deploy.standalone import cache, postgres, vault
from tabular.errors import RefusedError
from tests.cli.command import run
from tests.deploy.standalone.place import Place, describe, wait_for
from tests.testbed.parts import missing, module

SEED = {
    "compute": {"instances": 3, "cpu": 4, "memory": "16Gi", "gpu": "optional"},
    "storage": {"type": "object", "size": "1Ti", "replication": 3},
    "database": {"type": "postgresql", "size": "100Gi", "ha": True},
    "monitoring": {"enabled": True, "retention": "30d"},
}


def _url(place: Place, resource: str) -> str:
    layout = place.layout(describe())
    release = place.state(describe()).current
    return vault.read(layout.secret(f"{release}.{resource}", kept=False))


def test_embedded_postgresql(place: Place) -> None:
    if postgres.missing():
        missing(f"needs {postgres.missing()}")
    psycopg = module("psycopg", package="'inferloop-tabular[postgres]'")
    deployment = describe(**SEED)
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    assert engine.status(target).state is State.READY
    assert len(place.alive(deployment, "api")) == 3
    url = _url(place, "database-url").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute("INSERT INTO kept VALUES (42)")
        (is_superuser,) = connection.execute("SHOW is_superuser").fetchone()
        assert is_superuser == "off"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace("tabular:", "postgres:", 1), connect_timeout=5)
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(password, "wrong-password"), connect_timeout=5)

    (server,) = place.alive(deployment, "database")
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: place.alive(deployment, "database") not in ([], [server]), "restart")
    command = postgres.commands()["postgresql"]
    port = place.slots(deployment, "database")[0].port
    wait_for(lambda: postgres.is_ready(command, port), "recovery")

    list(engine.destroy(target, delete_data=False))
    assert not place.processes()
    place.deploy(deployment)
    url = _url(place, "database-url").replace("+psycopg", "")
    assert password in url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT x FROM kept").fetchone() == (42,)
    log = place.layout(deployment).log("database-0").read_text(encoding="utf-8")
    assert password not in log
    assert password not in place.command_lines()


def test_a_rollback_to_another_database_is_refused_until_told(place: Place, tmp_path: Path) -> None:
    if postgres.missing():
        missing(f"needs {postgres.missing()}")
    first, second = describe(), describe(database={"type": "postgresql"})
    place.deploy(first)
    served = place.serving(first)
    orchestrator = Orchestrator(place.provider(), AuditLog(tmp_path / "audit.jsonl"))
    target = place.provider().target(first)
    to_servers = Gate(allow_data_loss=True)
    list(orchestrator.apply(orchestrator.plan(second), to_servers))
    (server,) = place.alive(second, "database")

    refused = run("rollback", "--yes", "--home", str(place.path), home=tmp_path)
    assert refused.code == 3, refused.err
    assert "database Standalone::Directory (its data is lost)" in refused.out
    assert "a rollback moves no data" in refused.err
    assert "--allow-data-loss" in refused.err
    shown = run("rollback", "--dry-run", "--json", "--home", str(place.path), home=tmp_path)
    assert (shown.code, shown.json["error"]["code"]) == (3, "refused.data-loss")
    assert {c["resource"] for c in shown.json["changes"] if c["loses_data"]} == {
        "database", "database-password",
    }  # fmt: skip
    plan = orchestrator.plan_rollback(target)
    with pytest.raises(RefusedError, match="database"):
        list(orchestrator.rollback(plan))
    assert place.alive(second, "database") == [server]

    list(orchestrator.rollback(plan, Gate(allow_data_loss=True)))
    assert place.serving(first) == served
    assert (place.layout(first).data / "postgres" / "PG_VERSION").exists(), "out of sight, kept"


def test_a_service_outlives_the_release_that_started_it(place: Place) -> None:
    if cache.missing():
        missing(f"needs {cache.missing()}")
    for workers in (1, 2):
        deployment = describe(cache={"type": "redis"}, compute={"workers": workers})
        place.deploy(deployment)
    first = place.state(deployment).history[0]
    place.layout(deployment).release(first).unlink()  # as it is forgotten some releases later
    (server,) = place.alive(deployment, "cache")
    place.kill_supervisor(deployment)
    os.kill(server, signal.SIGKILL)
    place.provider().engine.status(place.provider().target(deployment))
    wait_for(lambda: place.alive(deployment, "cache") not in ([], [server]), "restart")


def test_postgresql_initialisation_that_was_killed_is_begun_anew(place: Place) -> None:
    if postgres.missing():
        missing(f"needs {postgres.missing()}")
    deployment = describe(database={"type": "postgresql"})
    killed = 0
    for event in place.deploying(deployment):
        if event.resource == "database" and event.status.value == "in_progress" and not killed:
            layout = place.layout(deployment)
            wait_for(lambda: any(layout.data.glob(".postgres-*.new/base")), "initdb")  # noqa: B023
            killed = place.kill_supervisor(deployment)
    assert killed
    assert place.provider().engine.status(place.provider().target(deployment)).state is State.READY
    assert not list(place.layout(deployment).data.glob(".postgres-*.new"))


def test_embedded_valkey(place: Place) -> None:
    if cache.missing():
        missing(f"needs {cache.missing()}")
    redis = module("redis", package="'inferloop-tabular[redis]'")
    deployment = describe(cache={"type": "redis", "size": "64Mi"})
    place.deploy(deployment)
    url = _url(place, "cache-url")
    with redis.Redis.from_url(url) as client:
        assert client.ping()
        assert client.config_get("maxmemory")["maxmemory"] == str(64 * 1024 * 1024)
        assert client.config_get("bind")["bind"] == "127.0.0.1"
    password = url.split(":")[2].split("@")[0]
    with (
        redis.Redis.from_url(url.replace(password, "wrong")) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()
    assert password not in place.command_lines()

    # A larger cache is a new server beside the old one, and the old one goes.
    larger = describe(cache={"type": "redis", "size": "128Mi"})
    (old,) = place.alive(deployment, "cache")
    place.deploy(larger)
    assert place.alive(larger, "cache") not in ([], [old])
    with redis.Redis.from_url(_url(place, "cache-url")) as client:
        assert client.config_get("maxmemory")["maxmemory"] == str(128 * 1024 * 1024)

    without = describe()
    place.deploy(without)
    assert place.alive(without, "cache") == []
    target = place.provider().target(without)
    assert place.provider().engine.status(target).state is State.READY

"""The client's side: refusals, ports, keys, logs, what is told when the host says no."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tabular.deploy.audit import AuditLog
from tabular.deploy.orchestrator import Orchestrator
from tabular.deploy.plan import Action
from tabular.deploy.provider import State
from tabular.errors import (
    ApplyError,
    BusyError,
    NotFoundError,
    PreflightError,
    StalePlanError,
    TabularError,
)
from tests.cli.command import run
from tests.deploy.standalone.place import Place, describe, wait_for
from tests.testbed.disk import small_disk


def test_two_clients_at_the_same_moment(place: Place) -> None:
    deployment = describe(mode="slow-migration")
    plans = [place.plan(deployment), place.plan(deployment)]
    barrier, outcomes = threading.Barrier(2), []

    def deploy(number: int) -> None:
        barrier.wait()
        try:
            list(place.provider().engine.apply(plans[number]))
            outcomes.append("done")
        except TabularError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=deploy, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["BusyError", "done"]
    assert len(place.processes()) == 4


def test_a_second_supervisor_leaves_at_once(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    pid = place.kill_supervisor(deployment)
    target = place.provider().target(deployment)
    threads = [
        threading.Thread(target=lambda: place.provider().engine.status(target)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: place.state(deployment).pid != pid, "a supervisor")
    assert len(place.processes()) == 4


def test_busy_while_another_operation_runs(place: Place) -> None:
    deployment = describe(mode="slow-migration")
    plan = place.plan(deployment)
    events = place.provider().engine.apply(plan)
    with pytest.raises(BusyError, match="another apply"):
        place.provider().engine.destroy(plan.stack.target, delete_data=True)
    status = place.provider().engine.status(plan.stack.target)
    assert status.state is State.APPLYING
    list(events)


def test_stale_after_a_rollback(place: Place) -> None:
    place.deploy(describe())
    place.deploy(describe(compute={"workers": 2}))
    plan = place.plan(describe(compute={"workers": 3}))
    engine = place.provider().engine
    place.roll_back(describe())
    with pytest.raises(StalePlanError):
        list(engine.apply(plan))


def test_a_first_deploy_that_failed_stands_in_nobodys_way(place: Place, tmp_path: Path) -> None:
    where = ("--home", str(place.path))
    with pytest.raises(ApplyError):
        place.deploy(describe("failed", mode="crash"))
    orchestrator = Orchestrator(place.provider(), AuditLog(tmp_path / "audit.jsonl"))
    assert orchestrator.find(None, None).target.name == "failed", "it can still be looked at"
    place.deploy(describe("serves"))
    assert orchestrator.find(None, None).target.name == "serves"
    assert orchestrator.find("failed", None).state is State.FAILED

    gone = run("destroy", "--name", "failed", "--yes", *where, home=tmp_path)
    assert (gone.code, gone.out) == (0, "Destroyed standalone/development/failed.\n")
    kept = run("destroy", "--yes", "--json", *where, home=tmp_path)
    assert kept.json == {"destroyed": "standalone/development/serves", "data": "kept"}


def test_deployments_side_by_side_do_not_touch_each_other(place: Place) -> None:
    specs = [describe("one"), describe("two"), describe("one", environment="staging")]
    for spec in specs:
        place.deploy(spec)
    assert len({place.port(spec) for spec in specs}) == 3
    engine = place.provider().engine
    assert [s.target.id for s in engine.list()] == [
        "standalone/development/one",
        "standalone/development/two",
        "standalone/staging/one",
    ]
    others = {p.pid for p in place.processes()}
    others -= {place.state(specs[0]).pid, *place.alive(specs[0], "api")}
    others -= {*place.alive(specs[0], "worker"), *place.alive(specs[0], "keeper")}
    list(engine.destroy(place.provider().target(specs[0]), delete_data=True))
    assert {p.pid for p in place.processes()} == others
    assert place.serving(specs[1])
    assert place.serving(specs[2])


def test_port_in_use_names_the_holder_and_touches_nothing(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        with pytest.raises(PreflightError, match=f"port {port} is in use by pid {os.getpid()}"):
            place.plan(describe(overrides={"port": port}))
    assert not place.path.exists()


def test_port_of_another_deployment_is_in_use_even_while_it_restarts(place: Place) -> None:
    place.deploy(describe("one"))
    port = place.port(describe("one"))
    for pid in place.alive(describe("one"), "api"):
        os.kill(pid, 9)
    with pytest.raises(PreflightError, match=f"port {port} is in use"):
        place.plan(describe("two", overrides={"port": port}))


def test_a_changed_port_moves_the_service(place: Place) -> None:
    place.deploy(describe())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    moved = describe(overrides={"port": port})
    place.deploy(moved)
    status = place.provider().engine.status(place.provider().target(moved))
    assert status.outputs["url"] == f"http://127.0.0.1:{port}"
    assert status.state is State.READY


def test_lost_and_open_secrets_are_drift_and_deploying_mends_them(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    secret = place.layout(deployment).data / "secrets" / "secret-key"
    value = secret.read_text(encoding="utf-8")
    secret.chmod(0o640)
    (drift,) = engine.drift(target)
    assert (drift.resource, drift.properties[0].after) == ("secret-key", "mode 0640, not 0600")
    plan = place.plan(deployment)
    assert [c.resource for c in plan.changes if c.action is not Action.NOOP] == ["secret-key"]
    list(engine.apply(plan))
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text(encoding="utf-8") == value
    assert engine.drift(target) == ()


def test_an_altered_or_lost_description_is_drift_and_deploying_mends_it(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    file = place.layout(deployment).release(str(place.state(deployment).current))
    file.write_text(file.read_text().replace("objects", "elsewhere"), encoding="utf-8")
    assert "description" in {drift.resource for drift in engine.drift(target)}
    file.unlink()
    (drift,) = engine.drift(target)
    assert drift.gone
    status = engine.status(target)
    assert status.state is State.DEGRADED
    assert "deploy again" in status.detail
    port = place.port(deployment)
    place.deploy(deployment)
    assert engine.status(target).state is State.READY
    assert engine.drift(target) == ()
    assert place.port(deployment) == port


def test_kept_data_is_found_again(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    layout = place.layout(deployment)
    (layout.data / "objects" / "table.csv").write_text("a,b", encoding="utf-8")
    secret = (layout.data / "secrets" / "secret-key").read_bytes()
    assert engine.issue_api_key(target, "admin", only_first=True) == "tab_k1_secret"
    list(engine.destroy(target, delete_data=False))
    (left,) = engine.list()
    assert left.state is State.RETAINED
    again = place.plan(deployment)
    kept = {c.resource for c in again.changes if c.action is Action.NOOP}
    assert kept == {"storage", "database", "secret-key"}
    list(engine.apply(again))
    assert (layout.data / "objects" / "table.csv").exists()
    assert (layout.data / "secrets" / "secret-key").read_bytes() == secret
    assert engine.issue_api_key(target, "admin", only_first=True) is None
    list(engine.destroy(target, delete_data=False))
    list(engine.destroy(target, delete_data=True))
    assert engine.list() == ()
    assert not layout.data.exists()


def test_no_secret_in_any_file_but_its_own(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    layout = place.layout(deployment)
    secret = (layout.data / "secrets" / "secret-key").read_bytes().strip()
    place.provider().engine.issue_api_key(
        place.provider().target(deployment), "a", only_first=False
    )
    for file in place.path.rglob("*"):
        if file.is_file() and file.name != "secret-key":
            assert secret not in file.read_bytes()
            assert b"tab_k1_secret" not in file.read_bytes()
    for process in place.processes():
        assert secret.decode() not in " ".join(process.cmdline())
        assert secret.decode() not in str(process.environ())


def test_only_the_owner_may_look(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    layout = place.layout(deployment)
    for folder in (layout.state, layout.data, layout.state / "logs", layout.state / "secrets"):
        assert folder.stat().st_mode & 0o077 == 0
    for file in (*layout.state.rglob("*.json*"), *layout.state.rglob("*.log")):
        assert file.stat().st_mode & 0o077 == 0


def test_logs_tail_and_follow(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    assert ("api-0", "serving") in {
        (line.component, line.text) for line in engine.logs(target, follow=False, tail=3)
    }
    following = engine.logs(target, follow=True, tail=0)
    writer = threading.Timer(
        0.3, lambda: place.layout(deployment).log("api-0").open("a").write("a new line\n")
    )
    writer.start()
    assert next(following).text == "a new line"


@pytest.mark.parametrize("verb", ["status", "attach", "preview_rollback", "drift", "logs"])
def test_nothing_there_is_said(place: Place, verb: str) -> None:
    engine, target = place.provider().engine, place.provider().target(describe("nobody"))
    options = {"follow": False, "tail": 1} if verb == "logs" else {}
    with pytest.raises(NotFoundError):
        list(getattr(engine, verb)(target, **options))


@pytest.mark.root
def test_read_only_homes_are_clear_errors(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(PreflightError, match="Read-only file system") as caught:
            Place(disk / "home", package=tmp_path / "package").deploy(describe())
        assert "--home" in str(caught.value.hint)
        planned = run("plan", "--home", str(disk / "home"), home=tmp_path)
        assert (planned.code, planned.out) == (1, "")
        assert "Read-only file system" in planned.err

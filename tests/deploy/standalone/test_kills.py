"""kill -9 of whoever takes part, at whatever moment: nothing is lost, nothing runs twice."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tabular.deploy.events import EventStatus
from tabular.deploy.provider import State
from tabular.deploy.standalone import identity, journal
from tabular.deploy.standalone.health import ask
from tabular.deploy.standalone.ports import free_port
from tabular.deploy.standalone.requests import read_operation
from tabular.errors import ApplyError, EngineError
from tests.deploy.standalone.place import Place, describe, wait_for


def test_killed_supervisor_leaves_its_children_serving_and_is_replaced(place: Place) -> None:
    deployment = describe(compute={"workers": 2})
    place.deploy(deployment)
    api, workers = place.alive(deployment, "api"), place.alive(deployment, "worker")
    first = place.kill_supervisor(deployment)
    assert place.serving(deployment) == place.state(deployment).current

    status = place.provider().engine.status(place.provider().target(deployment))

    assert status.state is State.READY
    assert place.alive(deployment, "api") == api
    assert sorted(place.alive(deployment, "worker")) == sorted(workers)
    wait_for(lambda: place.state(deployment).pid != first, "the next supervisor")


def test_children_that_died_with_the_supervisor_are_started_again(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    place.kill_supervisor(deployment)
    for process in place.processes():
        process.kill()
    wait_for(lambda: not place.processes(), "death of all")
    target = place.provider().target(deployment)
    assert place.provider().engine.status(target).state is State.READY
    assert place.serving(deployment) is not None


def test_a_child_started_but_not_recorded_is_found_by_its_mark(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    (api,) = place.alive(deployment, "api")
    place.kill_supervisor(deployment)
    layout = place.layout(deployment)
    record = journal.read_json(layout.state_file)
    assert record is not None
    for slot in record["slots"].values():
        slot["pid"], slot["born"] = None, ""
    journal.write_json(layout.state_file, record)

    place.provider().engine.status(place.provider().target(deployment))

    wait_for(lambda: place.alive(deployment, "api") == [api], "adoption")


@pytest.mark.slow
def test_a_child_that_nobody_knows_is_ended(place: Place) -> None:
    deployment = describe(compute={"workers": 2})
    place.deploy(deployment)
    lost = place.alive(deployment, "worker")[1]
    place.kill_supervisor(deployment)
    layout = place.layout(deployment)
    record = journal.read_json(layout.state_file)
    assert record is not None
    (key,) = [k for k, slot in record["slots"].items() if slot["pid"] == lost]
    del record["slots"][key]
    journal.write_json(layout.state_file, record)

    place.provider().engine.status(place.provider().target(deployment))

    wait_for(lambda: identity.birth(lost) is None, "end of the unknown process")


def test_another_version_takes_over_without_a_restart_of_the_children(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    api, first = place.alive(deployment, "api"), place.state(deployment).pid
    layout = place.layout(deployment)
    record = journal.read_json(layout.state_file)
    assert record is not None
    journal.write_json(layout.state_file, {**record, "program": "0.0.0"})
    target = place.provider().target(deployment)
    assert place.provider().engine.status(target).state is State.READY
    wait_for(lambda: place.state(deployment).pid != first, "the next supervisor")
    wait_for(lambda: identity.birth(first) is None, "the end of the one before")
    assert place.alive(deployment, "api") == api


def test_killed_child_is_restarted_and_told(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    (before,) = place.alive(deployment, "worker")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: place.alive(deployment, "worker") not in ([], [before]), "restart")
    (slot,) = place.slots(deployment, "worker")
    assert slot.restarts == 1
    assert "SIGKILL" in slot.reason
    (drift,) = place.provider().engine.drift(place.provider().target(deployment))
    assert drift.resource == "worker"
    assert drift.properties[0].path == "instances.0.restarts"


def test_crash_loop_backs_off_and_shows_as_degraded(place: Place) -> None:
    deployment = describe(mode="crash-later")
    place.deploy(describe())
    # It serves for a moment and dies, again and again; the release gets through by luck.
    provider = place.provider()
    target = provider.target(deployment)
    plan = place.plan(deployment)
    layout = place.layout(deployment)
    (api,) = place.slots(deployment, "api")
    for count in range(1, 4):
        wait_for(lambda: bool(place.alive(deployment, "api")), "the API")
        (pid,) = place.alive(deployment, "api")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda c=count: place.slots(deployment, "api")[0].restarts >= c, "restart")
    status = provider.engine.status(target)
    assert status.state is State.DEGRADED
    assert "crash loop" in status.detail
    assert not plan.is_empty
    log = layout.supervisor_log.read_text(encoding="utf-8")
    assert "next start in 0.5 s" in log
    assert "next start in 1.0 s" in log
    assert "next start in 2.0 s" in log
    assert api.restarts == 0


@pytest.mark.parametrize("moment", range(1, 19))
def test_supervisor_killed_in_the_middle_of_an_apply(place: Place, moment: int) -> None:
    deployment = describe(compute={"workers": 2})
    killed = False
    for event in place.deploying(deployment):
        if event.sequence == moment and not killed:
            place.kill_supervisor(deployment)
            killed = True
    assert killed
    status = place.provider().engine.status(place.provider().target(deployment))
    assert status.state is State.READY
    assert place.serving(deployment) == status.release
    assert place.plan(deployment).is_empty
    # One supervisor, one API, two workers; no candidate and no migration left.
    assert len(place.processes()) == 5


def test_supervisor_killed_in_the_middle_of_an_upgrade(place: Place) -> None:
    place.deploy(describe())
    changed = describe(mode="slow-migration")
    for event in place.deploying(changed):
        if event.reason.startswith("migrating") and event.sequence < 4:
            place.kill_supervisor(changed)
    assert place.serving(changed) == place.state(changed).current
    assert place.state(changed).current.startswith("r0002")  # type: ignore[union-attr]
    assert len(place.processes()) == 4


@pytest.mark.slow
def test_supervisor_killed_again_and_again_gives_up_and_takes_back(place: Place) -> None:
    first = describe()
    place.deploy(first)
    served = place.serving(first)
    changed = describe(mode="slow-migration")
    engine = place.provider().engine
    events = engine.apply(place.plan(changed))

    def kill_each_attempt() -> None:
        seen = 0
        while (operation := read_operation(place.layout(first))) and not operation.done:
            if seen < operation.attempts <= 5:
                seen = operation.attempts
                wait_for(lambda: bool(place.slots(first, "api")), "slots")
                place.kill_supervisor(first)

    killer = threading.Thread(target=kill_each_attempt)
    killer.start()
    with pytest.raises(Exception, match="killed") as caught:
        list(events)
    killer.join()
    assert caught.value.rolled_back  # type: ignore[attr-defined]
    assert place.serving(first) == served
    assert place.plan(first).is_empty
    assert len(place.processes()) == 4


def test_supervisor_killed_while_it_takes_back_a_failed_release(place: Place) -> None:
    first = describe()
    place.deploy(first)
    served = place.serving(first)
    layout = place.layout(first)
    with pytest.raises(ApplyError):
        place.deploy(describe(mode="crash"))
    # As a kill right after the last removal leaves it: all gone, and not said to be over.
    record = journal.read_json(layout.operation_file)
    assert record is not None
    place.kill_supervisor(first)
    events = layout.events(record["id"])
    lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
    events.write_text("".join(lines[:-1]), encoding="utf-8")
    journal.write_json(layout.operation_file, {**record, "done": False})
    (layout.state / ".state.json.999999999.new").touch()
    with pytest.raises(ApplyError, match="cannot start") as caught:
        list(place.provider().engine.attach(place.provider().target(first)))
    assert caught.value.rolled_back
    assert place.serving(first) == served
    assert not list(layout.state.glob(".*.new"))
    assert len(place.processes()) == 4


def test_supervisor_killed_during_destroy(place: Place) -> None:
    deployment = describe(mode="slow-end")
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    for event in engine.destroy(target, delete_data=True):
        if event.sequence == 1:
            place.kill_supervisor(deployment)
    assert engine.list() == ()
    assert not place.path.exists() or not any(p.is_file() for p in place.path.rglob("*"))


def test_supervisor_killed_between_rename_and_removal_of_the_folder(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    engine, target = place.provider().engine, place.provider().target(deployment)
    layout = place.layout(deployment)
    left = layout.state.with_name(".removed-demo-1234")
    (left / "logs").mkdir(parents=True)
    list(engine.destroy(target, delete_data=True))
    assert not left.exists()
    events = engine.destroy(target, delete_data=True)
    assert list(events) == []


def test_a_port_that_another_deployment_took_meanwhile_is_not_shared(place: Place) -> None:
    port = free_port()
    first = describe("first", overrides={"port": port})
    second = describe("second", overrides={"port": port})
    place.deploy(first)
    place.kill_supervisor(first)
    for process in place.processes():
        process.kill()
    wait_for(lambda: not place.processes(), "death of all")
    place.deploy(second)
    (pid,) = place.alive(second, "api")
    engine, target = place.provider().engine, place.provider().target(first)
    engine.status(target)
    wait_for(lambda: "is in use by" in place.slots(first, "api")[0].reason, "refusal")
    assert engine.status(target).state is State.DEGRADED
    assert {ask(port, "/health").body.get("pid") for _ in range(20)} == {pid}


def test_a_clock_set_back_does_not_take_an_operations_events_away(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    events = place.layout(deployment).state / "events"
    for number in range(30):  # as written before the clock was set back
        (events / f"99990101T000000-{number:08x}.jsonl").touch()
    seen = place.deploy(describe(compute={"workers": 2}))
    assert seen[-1].status is EventStatus.COMPLETE
    left = sorted(path.name for path in events.iterdir())
    assert len(left) == 20
    assert read_operation(place.layout(deployment)).id + ".jsonl" in left  # type: ignore[union-attr]


def test_another_client_sees_the_rest(place: Place) -> None:
    deployment = describe(mode="slow-migration")
    client = place.client(deployment)
    assert client.stdout is not None
    assert client.stdout.readline()
    client.kill()
    client.wait()
    client.stdout.close()
    events = list(place.provider().engine.attach(place.provider().target(deployment)))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].status is EventStatus.COMPLETE
    assert place.serving(deployment)


def test_a_copy_of_the_home_leaves_the_originals_processes_alone(
    place: Place, tmp_path: Path
) -> None:
    deployment = describe()
    place.deploy(deployment)
    before = sorted(process.pid for process in place.processes())
    (tmp_path / "other").mkdir()
    copy = Place(tmp_path / "other" / "copy")
    subprocess.run(["cp", "-a", place.path, copy.path], check=True)
    engine, target = copy.provider().engine, copy.provider().target(deployment)
    for action in (
        lambda: engine.status(target),
        lambda: copy.deploy(describe(compute={"workers": 2})),
        lambda: list(engine.destroy(target, delete_data=True)),
    ):
        with pytest.raises(EngineError, match="copy of a deployment"):
            action()
    (listed,) = engine.list()
    assert listed.state is State.DEGRADED
    assert sorted(process.pid for process in place.processes()) == before

    list(place.provider().engine.destroy(target, delete_data=True))
    copy.provider().engine.status(target)
    wait_for(lambda: copy.serving(deployment) is not None, "the restored backup")
    copy.close()


def test_folder_removed_by_hand_ends_its_processes(place: Place, tmp_path: Path) -> None:
    deployment = describe()
    place.deploy(deployment)
    place.layout(deployment).state.rename(tmp_path / "moved-away")
    wait_for(lambda: not place.processes(), "end of all")

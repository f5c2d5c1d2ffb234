"""After a reboot one command brings everything back, says so, and starts nothing twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from tabular.deploy.provider import State
from tabular.deploy.spec import Deployment
from tabular.deploy.standalone import cache, journal
from tests.cli.command import run
from tests.deploy.standalone.place import Place, describe, wait_for
from tests.testbed.parts import missing


def _reboot(place: Place, *deployments: Deployment, foreign: int | None = None) -> None:
    """Leave all as a power failure does: files of another boot, pids that others have now."""
    for process in place.processes():
        process.kill()
    wait_for(lambda: not place.processes(), "death of all")
    for deployment in deployments:
        layout = place.layout(deployment)
        record = journal.read_json(layout.state_file)
        assert record is not None
        boot = uuid4()
        for slot in record["slots"].values():
            slot["born"] = f"{boot}:{slot['born'].partition(':')[2]}"
            slot["pid"] = foreign or slot["pid"]
        journal.write_json(layout.state_file, {**record, "pid": foreign or record["pid"]})


def test_one_status_brings_all_back_and_says_that_it_was_down(place: Place) -> None:
    deployment = describe(compute={"workers": 2})
    place.deploy(deployment)
    release, port = place.state(deployment).current, place.port(deployment)
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        _reboot(place, deployment, foreign=stranger.pid)
        engine, target = place.provider().engine, place.provider().target(deployment)
        status = engine.status(target)
        assert status.state is State.READY, status.detail
        assert "was down, 4 of 4 processes gone: the machine was started at 20" in status.detail
        assert "started again" in status.detail
        assert (status.release, place.port(deployment)) == (release, port)
        # A worker between fork and exec shows neither its folder nor its command line.
        wait_for(lambda: len(place.processes()) == 5, "two workers, two APIs and the supervisor")
        assert stranger.poll() is None, "a stranger with a pid of ours was ended"
        assert engine.status(target).detail == ""
    finally:
        stranger.communicate()


def test_many_who_look_at_once_start_nothing_twice(place: Place) -> None:
    deployment = describe(compute={"workers": 2})
    place.deploy(deployment)
    _reboot(place, deployment)
    found = []

    def look() -> None:
        found.append(place.provider().engine.status(place.provider().target(deployment)))

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: place.serving(deployment) is not None, "the API")
    assert len(found) == 6
    assert any("was down" in status.detail for status in found)
    assert len(place.processes()) == 5


def test_a_kill_of_all_without_a_reboot_names_the_last_sign_of_life(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    for process in place.processes():
        process.kill()
    wait_for(lambda: not place.processes(), "death of all")
    status = place.provider().engine.status(place.provider().target(deployment))
    assert status.state is State.READY, status.detail
    assert "its last sign of life is of 20" in status.detail
    place.kill_supervisor(deployment)
    status = place.provider().engine.status(place.provider().target(deployment))
    assert status.state is State.READY
    assert "its processes had gone on" in status.detail


@pytest.mark.slow
def test_what_cannot_come_back_is_said_soon(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    _reboot(place, deployment)
    with_secret = place.layout(deployment).data / "secrets" / "secret-key"
    kept = with_secret.rename(with_secret.with_name("elsewhere"))
    status = place.provider().engine.status(place.provider().target(deployment))
    assert status.state is State.DEGRADED
    assert "was down" in status.detail
    kept.rename(with_secret)


def test_services_come_back_with_their_data(place: Place) -> None:
    if cache.missing():
        missing(f"needs {cache.missing()}")
    deployment = describe(cache={"type": "redis"})
    place.deploy(deployment)
    _reboot(place, deployment)
    status = place.provider().engine.status(place.provider().target(deployment))
    assert status.state is State.READY, status.detail
    assert len(place.alive(deployment, "cache")) == 1


@pytest.mark.slow
def test_list_as_cron_runs_it_brings_every_deployment_back(tmp_path: Path) -> None:
    """The line of docs/operations.md; cron gives HOME and a short PATH, and nothing else."""
    home = tmp_path / "home"
    place = Place(home)
    names = ("one", "two")
    try:
        for name in names:
            spec = tmp_path / f"{name}.yaml"
            spec.write_text(
                "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\n"
                f"metadata: {{name: {name}}}\nspec: {{}}\n",
                encoding="utf-8",
            )
            done = run("deploy", "--yes", "--config", str(spec), "--home", str(home), home=tmp_path)
            assert done.code == 0, done.err
        _reboot(place, *(describe(name) for name in names))
        listed = run(
            "list", "--json", "--home", str(home), home=tmp_path, extra={"PATH": "/usr/bin:/bin"}
        )
        assert listed.code == 0, listed.err
        assert [item["state"] for item in listed.json] == ["ready", "ready"]
        assert all("was down" in item["detail"] for item in listed.json)
    finally:
        for name in names:
            run("destroy", "--yes", "--delete-data", "--name", name, "--home", str(home),
                home=tmp_path)  # fmt: skip

"""A new release beside the old one: no request fails, and a bad one changes nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from tabular.deploy.provider import ProviderOptions, State
from tabular.deploy.standalone.health import ask
from tabular.deploy.standalone.journal import is_locked, write_json
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import ApplyError
from tests.deploy.standalone.place import COMMANDS, Place, describe, wait_for


@contextmanager
def asking(port: int) -> Iterator[list[str]]:
    """Ask the port all the time, each time anew and never twice; gives every failure."""
    failures: list[str] = []
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            answer = ask(port, "/ready", timeout=10)
            if answer.status != 200:
                failures.append(answer.text)
            over.wait(0.003)

    threads = [threading.Thread(target=ask_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("crash", "cannot start with secret ***"),
        ("never-ready", "said 503"),
        ("bad-migration", "the migration went wrong"),
    ],
)
def test_failed_upgrade_leaves_the_old_release_serving(
    place: Place, mode: str, reason: str
) -> None:
    first = describe()
    place.ready_timeout = 2.0
    place.deploy(first)
    served, processes = place.serving(first), {p.pid for p in place.processes()}
    with asking(place.port(first)) as failures, pytest.raises(ApplyError) as caught:
        place.deploy(describe(mode=mode, compute={"workers": 2}))
    assert failures == []
    assert caught.value.rolled_back
    assert reason in caught.value.message
    assert place.serving(first) == served
    assert {p.pid for p in place.processes()} == processes
    assert place.plan(first).is_empty
    status = place.provider().engine.status(place.provider().target(first))
    assert status.state is State.READY
    assert reason in status.detail
    secret = (place.layout(first).data / "secrets" / "secret-key").read_text().strip()
    assert secret not in caught.value.message
    assert secret not in status.detail


def test_upgrade_keeps_port_and_data_and_drops_no_request_under_way(place: Place) -> None:
    first, second = describe(), describe(compute={"workers": 2, "instances": 2})
    place.deploy(first)
    port = place.port(first)
    said: list[str] = []

    def slow() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/slow", timeout=20) as answer:
            said.append(answer.read().decode())

    events = place.deploying(second)
    threads = []
    for event in events:
        if event.resource == "api" and event.status.value == "in_progress":
            threads = [threading.Thread(target=slow) for _ in range(8)]
            for thread in threads:
                thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 8
    assert place.port(second) == port
    assert len(place.alive(second, "api")) == 2
    assert len(place.alive(second, "worker")) == 2


def test_rollback_goes_back_step_by_step(place: Place) -> None:
    releases = []
    for workers in (1, 2, 3):
        deployment = describe(compute={"workers": workers})
        place.deploy(deployment)
        releases.append(place.serving(deployment))
    place.roll_back(deployment)
    assert place.serving(deployment) == releases[1]
    assert len(place.alive(deployment, "worker")) == 2
    place.roll_back(deployment)
    assert place.serving(deployment) == releases[0]
    assert len(place.alive(deployment, "worker")) == 1


def test_failed_first_deploy_leaves_nothing_running(place: Place) -> None:
    deployment = describe(mode="crash")
    with pytest.raises(ApplyError) as caught:
        place.deploy(deployment)
    assert caught.value.rolled_back
    assert not (place.path / "data").exists() or not any((place.path / "data").rglob("*.*"))
    engine, target = place.provider().engine, place.provider().target(deployment)
    status = engine.status(target)
    assert status.state is State.FAILED
    assert "cannot start" in status.detail
    assert any("cannot start" in line.text for line in engine.logs(target, follow=False, tail=5))
    place.deploy(describe())
    assert engine.status(target).state is State.READY


@pytest.mark.slow
def test_no_connection_is_lost_over_upgrades_and_killed_supervisors(place: Place) -> None:
    place.deploy(describe(compute={"workers": 1, "instances": 2}))
    served = set()
    with asking(place.port(describe())) as failures:
        for workers in (2, 1, 2, 1):
            deployment = describe(compute={"workers": workers, "instances": workers})
            place.kill_supervisor(deployment)
            place.deploy(deployment)
            served.add(place.serving(deployment))
        killed = False
        for event in place.deploying(describe(compute={"workers": 3, "instances": 2})):
            if event.resource == "api" and event.status.value == "in_progress" and not killed:
                killed = bool(place.kill_supervisor(describe()))
        assert killed
    assert failures == []
    assert len(served) == 4


def test_the_port_outlives_its_keeper_and_all_that_serve(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    port = place.port(deployment)
    (keeper,), (api,) = place.alive(deployment, "keeper"), place.alive(deployment, "api")
    with asking(port) as failures:
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: place.alive(deployment, "keeper") not in ([], [keeper]), "a keeper")
        killed = place.kill_supervisor(deployment)
        place.provider().engine.status(place.provider().target(deployment))
        wait_for(lambda: place.state(deployment).pid != killed, "the next supervisor")
    assert failures == []
    place.kill_supervisor(deployment)
    os.kill(api, signal.SIGKILL)
    wait_for(lambda: not place.alive(deployment, "api"), "its end")
    waiting = socket.create_connection(("127.0.0.1", port), timeout=20)
    waiting.sendall(b"GET /health HTTP/1.0\r\n\r\n")
    status = place.provider().engine.status(place.provider().target(deployment))
    assert status.state is State.READY
    assert b"200 OK" in waiting.recv(4096)
    waiting.close()


def test_supervisor_and_keeper_killed_at_once(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    (keeper,) = place.alive(deployment, "keeper")
    place.kill_supervisor(deployment)
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: not place.alive(deployment, "keeper"), "its end")
    engine, target = place.provider().engine, place.provider().target(deployment)
    engine.status(target)
    wait_for(lambda: len(place.alive(deployment, "keeper")) == 1, "a keeper")
    wait_for(lambda: engine.status(target).state is State.READY, "the API")


TAKE_OVER = """
import sys
from pathlib import Path
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.requests import ensure_supervisor

input("ready")
ensure_supervisor(Layout(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_a_takeover_asked_for_in_a_long_operation_happens_after_it(place: Place) -> None:
    first = describe()
    place.deploy(first)
    layout, old = place.layout(first), place.state(first).pid
    argv = [sys.executable, "-c", TAKE_OVER, layout.state, layout.data]
    client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stdout.read(5) == b"ready", "what it imports takes longer than the migration"
    asked = False
    for event in place.deploying(describe(mode="slow-migration")):
        if "migrating" in event.reason and not asked:
            # As a supervisor of other code would have written it.
            write_json(layout.state_file, {**asdict(place.state(first)), "program": "another"})
            asked = bool(client.stdin.write(b"\n"))
            client.stdin.flush()
            wait_for(layout.successor.exists, "its wish")
            client.kill()
            client.communicate()
    assert asked
    wait_for(lambda: place.state(first).pid != old, "the next supervisor")
    assert is_locked(layout.supervisor_lock)
    status = place.provider().engine.status(place.provider().target(first))
    assert (status.state, status.detail) == (State.READY, "")


def test_a_release_without_a_copy_of_its_code_says_so(place: Place) -> None:
    deployment = describe()
    place.deploy(deployment)
    file = place.layout(deployment).release(str(place.serving(deployment)))
    old = json.loads(file.read_text())
    del old["stack"]["template"]["code"]
    write_json(file, {**old, "program": "0.0.9+0123456789ab"})
    place.deploy(describe(compute={"workers": 2}))
    engine, target = place.provider().engine, place.provider().target(deployment)
    assert "no copy" not in engine.status(target).detail
    said = [event.reason for event in place.roll_back(deployment)]
    assert any("deployed with code 0.0.9+0123456789ab" in text for text in said)
    status = engine.status(target)
    assert status.state is State.READY
    assert "start from what is installed" in status.detail


def test_the_patience_of_whoever_asks_is_the_providers(place: Place) -> None:
    hasty = StandaloneProvider(
        ProviderOptions(home=place.path, ready_timeout=1.0), commands=COMMANDS, ready_timeout=60.0
    )
    plan = hasty.engine.preview(hasty.compile(describe(mode="never-ready")))
    with pytest.raises(ApplyError, match="within 1 s"):
        list(hasty.engine.apply(plan))

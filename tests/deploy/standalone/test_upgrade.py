"""A new release beside the old one: no request fails, and a bad one changes nothing."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tabular.deploy.provider import State
from tabular.deploy.standalone.health import ask
from tabular.errors import ApplyError
from tests.deploy.standalone.place import Place, describe


@contextmanager
def asking(port: int) -> Iterator[list[str]]:
    """Ask the port all the time; gives every failure.

    A connection that the kernel had queued for a process at the moment it closed its listener is
    reset (docs/adr/0002): like any client of an idempotent request, this one asks once more.
    """
    failures: list[str] = []
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            answer = ask(port, "/ready", timeout=10)
            if "reset by peer" in answer.text:
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
    engine = place.provider().engine
    releases = []
    for workers in (1, 2, 3):
        deployment = describe(compute={"workers": workers})
        place.deploy(deployment)
        releases.append(place.serving(deployment))
    target = place.provider().target(deployment)
    list(engine.rollback(target))
    assert place.serving(deployment) == releases[1]
    assert len(place.alive(deployment, "worker")) == 2
    list(engine.rollback(target))
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

"""What every queue must do."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tabular.errors import ConfigError, InputError, UnavailableError
from tabular.infra.queue import Message, Queue, open_queue
from tests.testbed.ports import free_port
from tests.testbed.valkey import valkey_server

_names = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A queue driver under test."""

    url: str
    shared: bool = True
    opened: list[Queue] = field(default_factory=list)

    def open(self, visibility_timeout: float = 60.0) -> Queue:
        queue = open_queue(self.url, visibility_timeout=visibility_timeout)
        self.opened.append(queue)
        return queue


@pytest.fixture(params=["filesystem", "memory", "valkey"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Every queue driver, empty."""
    if request.param == "filesystem":
        place = Place(f"filesystem://{tmp_path}/queue")
    elif request.param == "memory":
        place = Place(f"memory://test-{os.getpid()}-{next(_names)}", shared=False)
    else:
        place = Place(request.getfixturevalue("valkey_url"))
    yield place
    for queue in place.opened:
        queue.close()


@pytest.fixture
def queue(place: Place) -> Queue:
    return place.open()


def take(queue: Queue) -> Message:
    message = queue.receive(3)
    assert message is not None
    return message


def drain(queue: Queue) -> list[str]:
    found = []
    while (message := queue.receive(0.2)) is not None:
        found.append(message.id)
        message.ack()
    return found


def test_first_in_first_out(place: Place, queue: Queue) -> None:
    sender = place.open()
    for number in range(5):
        sender.send(f"job-{number}")
    assert drain(queue) == [f"job-{number}" for number in range(5)]


def test_waiting_is_bounded(queue: Queue) -> None:
    for timeout in (0, 0.3):
        start = time.monotonic()
        assert queue.receive(timeout) is None
        assert time.monotonic() - start < timeout + 0.5


def test_a_waiting_receiver_is_woken_soon(place: Place, queue: Queue) -> None:
    queue.receive(0)
    sender = place.open()
    timer = threading.Timer(0.3, sender.send, ["late"])
    start = time.monotonic()
    timer.start()
    assert take(queue).id == "late"
    assert 0.25 < time.monotonic() - start < 1.0


def test_acknowledged_is_gone(place: Place, queue: Queue) -> None:
    queue.send("a")
    take(queue).ack()
    queue.close()
    assert place.open(visibility_timeout=0.1).receive(0.5) is None


def test_rejected_comes_again_at_once(place: Place, queue: Queue) -> None:
    queue.send("a")
    take(queue).reject()
    again = take(place.open())
    assert again.id == "a"
    again.ack()
    assert drain(queue) == []


def test_each_message_goes_to_one_receiver(place: Place) -> None:
    sender = place.open()
    ids = [f"job-{number}" for number in range(60)]
    for id in ids:
        sender.send(id)
    found: list[str] = []

    def work() -> None:
        found.extend(drain(place.open()))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == sorted(ids)


def test_a_busy_receiver_holds_nothing_back(place: Place, queue: Queue) -> None:
    sender, other = place.open(), place.open()
    sender.send("first")
    sender.send("second")
    held = take(queue)
    assert held.id == "first"
    assert take(other).id == "second"


def test_what_a_killed_receiver_held_comes_again(place: Place) -> None:
    if not place.shared:
        pytest.skip("memory ends with its process")
    script = (
        "import sys, time; from tabular.infra.queue import open_queue\n"
        "print(open_queue(sys.argv[1]).receive(5).id, flush=True); time.sleep(60)"
    )
    place.open().send("precious")
    receiver = subprocess.Popen(
        [sys.executable, "-c", script, place.url], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "precious\n"
    receiver.send_signal(signal.SIGKILL)
    receiver.wait()
    receiver.stdout.close()
    heir = place.open(visibility_timeout=1.0)
    deadline = time.monotonic() + 10
    message = None
    while message is None and time.monotonic() < deadline:
        message = heir.receive(0.5)
    assert message is not None
    assert message.id == "precious"


def test_settling_late_or_twice_is_harmless(place: Place) -> None:
    queue = place.open(visibility_timeout=0.2)
    queue.send("a")
    message = take(queue)
    time.sleep(0.3)
    message.ack()
    message.ack()
    message.reject()
    queue.close()
    message.ack()


@pytest.mark.parametrize("id", ["", "-x", "a/b", "../x", "a\0", "a b", "x" * 129, "ä"])
def test_ids_are_checked(queue: Queue, id: str) -> None:
    with pytest.raises(InputError):
        queue.send(id)


def test_ping(queue: Queue) -> None:
    queue.ping()
    assert queue.receive(0) is None


def test_many_threads_send_through_one_queue(queue: Queue) -> None:
    def send(worker: int) -> None:
        for number in range(10):
            queue.send(f"{worker}-{number}")

    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drain(queue)) == 60


def test_messages_in_the_folder_are_seen_by_name(tmp_path: Path) -> None:
    queue = open_queue(f"filesystem://{tmp_path}/q")
    queue.send("job-1")
    (waiting,) = (tmp_path / "q" / "new").iterdir()
    assert waiting.name.endswith("-job-1")
    message = take(queue)
    assert not any((tmp_path / "q" / "new").iterdir())
    assert [path.name for path in (tmp_path / "q" / "taken").iterdir()] == [waiting.name]
    message.ack()
    assert not any((tmp_path / "q" / "taken").iterdir())


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    queue = open_queue(f"filesystem://{tmp_path}/file")
    calls: list[Callable[[], object]] = [
        lambda: queue.send("a"),
        lambda: queue.receive(0),
        queue.ping,
    ]
    for call in calls:
        with pytest.raises(UnavailableError, match="folder cannot be used"):
            call()


def test_foreign_messages_are_dropped(valkey_url: str) -> None:
    kombu: Any = importlib.import_module("kombu")  # untyped
    connection = kombu.Connection(
        valkey_url, transport_options={"global_keyprefix": "tabular:queue:"}
    )
    foreign = connection.SimpleQueue("tabular.jobs")
    foreign.put({"id": "../../etc"})
    foreign.put(["no", "id"])
    queue = open_queue(valkey_url)
    queue.send("mine")
    found = [message.id for message in (queue.receive(1) for _ in range(3)) if message]
    assert found == ["mine"]
    queue.close()
    connection.release()


def test_a_broker_that_dies_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    queue = open_queue(f"redis://:canary-password@127.0.0.1:{port}/0")
    calls: list[Callable[[], object]] = [
        lambda: queue.send("a"),
        lambda: queue.receive(0.2),
        queue.ping,
    ]
    for call in calls:
        with pytest.raises(UnavailableError) as caught:
            call()
        assert "canary" not in str(caught.value)

    plain = open_queue(f"redis://127.0.0.1:{port}/0")
    with valkey_server(tmp_path, port=port):
        plain.send("a")
        held = take(plain)
    for call in (lambda: plain.send("b"), lambda: plain.receive(0.2), plain.ping):
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="does not answer"):
            call()
        assert time.monotonic() - start < 6
    held.ack()
    with valkey_server(tmp_path, port=port):
        plain.send("c")
        assert take(plain).id == "c"
        plain.close()


@pytest.mark.parametrize(
    "url", ["filesystem://relative/x", "filesystem:///", "amqp://h", "filesystem:///x?a=1"]
)
def test_wrong_urls(url: str) -> None:
    with pytest.raises(ConfigError):
        open_queue(url)

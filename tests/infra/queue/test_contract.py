"""What every queue must do."""

from __future__ import annotations

import base64
import importlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tabular.errors import ConfigError, InputError, UnavailableError
from tabular.infra.queue import Message, Queue, open_queue
from tests.testbed.ports import free_port
from tests.testbed.pubsub import PubSub, pubsub_server
from tests.testbed.rabbitmq import rabbitmq_home, rabbitmq_server
from tests.testbed.servicebus import ServiceBus, servicebus_server
from tests.testbed.sqs import CREDENTIALS, Sqs, sqs_server
from tests.testbed.tls import make_certificate
from tests.testbed.valkey import valkey_server

_names = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A queue driver under test."""

    url: str
    shared: bool = True
    ordered: bool = True
    redelivers: bool = True
    opened: list[Queue] = field(default_factory=list)

    def open(self, visibility_timeout: float = 60.0) -> Queue:
        queue = open_queue(self.url, visibility_timeout=visibility_timeout)
        self.opened.append(queue)
        return queue


SERVERS = {
    "valkey": "valkey_url",
    "rabbitmq": "rabbitmq_url",
    "sqs": "sqs_url",
    "pubsub": "pubsub_url",
    "servicebus": "servicebus_url",
}
UNORDERED = ("sqs", "pubsub", "servicebus")
RABBITMQ = pytest.param("rabbitmq", marks=pytest.mark.debian)


@pytest.fixture(params=["filesystem", "memory", "valkey", RABBITMQ, *UNORDERED])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Every queue driver, empty."""
    if request.param == "filesystem":
        place = Place(f"filesystem://{tmp_path}/queue")
    elif request.param == "memory":
        place = Place(f"memory://test-{os.getpid()}-{next(_names)}", shared=False)
    else:
        url = request.getfixturevalue(SERVERS[request.param])
        place = Place(
            url, ordered=request.param not in UNORDERED, redelivers=request.param != "pubsub"
        )
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
    sent = [f"job-{number}" for number in range(5)]
    found = drain(queue)
    assert (found if place.ordered else sorted(found)) == sent


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
    assert {held.id, take(other).id} == {"first", "second"}
    if place.ordered:
        assert held.id == "first"


def test_a_receiver_that_does_not_wait_is_handed_nothing(place: Place, queue: Queue) -> None:
    sender, other = place.open(), place.open()
    assert queue.receive(0.1) is None
    sender.send("first")
    take(queue).ack()
    sender.send("second")
    assert take(other).id == "second", "the first receiver is busy with what it took"


def test_what_a_killed_receiver_held_comes_again(place: Place) -> None:
    if not place.shared:
        pytest.skip("memory ends with its process")
    if not place.redelivers:
        pytest.skip("the emulator of Pub/Sub delivers again only what is given back")
    script = (
        "import sys, time; from tabular.infra.queue import open_queue\n"
        "queue = open_queue(sys.argv[1], visibility_timeout=1.0)\n"
        "print(queue.receive(5).id, flush=True); time.sleep(60)"
    )
    place.open(visibility_timeout=1.0).send("precious")  # some know one time for all messages
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
        send_in_time(plain, "c")
        assert take(plain).id == "c"
        plain.close()


def send_in_time(queue: Queue, id: str) -> None:
    """Send as soon as the broker is reached again, which is tried less and less often."""
    deadline = time.monotonic() + 10
    while True:
        try:
            queue.send(id)
            return
        except UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_broker_that_cannot_be_reached_is_not_tried_at_each_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        queue = open_queue(f"amqp://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        for _ in range(100):
            with pytest.raises(UnavailableError):
                queue.send("a")
        assert time.monotonic() - start < 10, "each real attempt takes 2 s"


@pytest.mark.parametrize(
    "url",
    [
        *("filesystem://relative/x", "filesystem:///", "filesystem:///x?a=1", "kafka://h"),
        *("amqp://", "amqp://h?heartbeat=3", "amqp://h?ssl_ca_certs=/x"),
        *("gcpubsub://", "gcpubsub://project", "gcpubsub://project/q?region=x"),
        *("gcpubsub://project/q?endpoint=http://example.com", "gcpubsub://P/q", "gcpubsub://pr/q"),
        *("azureservicebus://", "azureservicebus://space", "azureservicebus://space/a/b"),
        *("azureservicebus://space/q?ssl=1", "azureservicebus://space/q?endpoint=ftp://localhost"),
        *("sqs://", "sqs://a.b?region=x", "sqs://name/path?region=x", "sqs://name?zone=x"),
    ],
)
def test_wrong_urls(url: str) -> None:
    with pytest.raises(ConfigError):
        open_queue(url)


@pytest.mark.debian
def test_rabbitmq_that_is_killed_keeps_what_was_sent() -> None:
    port = free_port()
    queue = open_queue(f"amqp://guest:guest@127.0.0.1:{port}//")
    with rabbitmq_home() as home:
        with rabbitmq_server(home, port=port) as server:
            queue.send("first")
            queue.send("second")
            held = take(queue)
            server.kill()
            for call in (lambda: queue.send("lost"), lambda: queue.receive(0.2), queue.ping):
                with pytest.raises(UnavailableError):
                    call()
            held.ack()
        with rabbitmq_server(home, port=port):
            send_in_time(queue, "third")
            found = []
            while len(found) < 3:
                message = take(queue)
                found.append(message.id)
                message.ack()
            assert sorted(found) == ["first", "second", "third"], "the first was not acknowledged"
            assert queue.receive(0.2) is None
            queue.close()


@pytest.mark.debian
def test_tls_to_rabbitmq_is_verified(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = make_certificate(tmp_path / "other")[0]
    with rabbitmq_home() as home, rabbitmq_server(home, tls=(certificate, key)) as server:

        def send(host: str, query: str) -> None:
            queue = open_queue(f"amqps://guest:guest@{host}:{server.tls_port}//{query}")
            queue.send("a")
            take(queue).ack()
            queue.close()

        send("localhost", f"?ssl_ca_certs={certificate}")
        for host, query in (
            ("localhost", ""),
            ("localhost", f"?ssl_ca_certs={stranger}"),
            ("127.0.0.1", f"?ssl_ca_certs={certificate}"),
        ):
            with pytest.raises(UnavailableError, match="certificate verify failed"):
                send(host, query)


def test_an_emulated_sqs_that_goes_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    queue = open_queue(Sqs(port=port, pid=0).url("jobs"))
    calls: list[Callable[[], object]] = [
        lambda: queue.send("a"),
        lambda: queue.receive(0),
        queue.ping,
    ]
    for call in calls:
        with pytest.raises(UnavailableError):
            call()
    with sqs_server(tmp_path, port=port):
        queue.send("a")
        held = take(queue)
    held.ack()
    with pytest.raises(UnavailableError):
        queue.ping()


def test_foreign_messages_in_sqs_are_dropped(sqs: Sqs, sqs_url: str) -> None:
    import boto3

    queue = open_queue(sqs_url)
    queue.ping()
    client = boto3.client(
        "sqs", region_name="eu-west-1", endpoint_url=f"http://127.0.0.1:{sqs.port}"
    )
    name = sqs_url.removeprefix("sqs://").partition("?")[0]
    client.send_message(
        QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"], MessageBody="../../etc"
    )
    queue.send("mine")
    found = [message.id for message in (queue.receive(1) for _ in range(3)) if message]
    assert found == ["mine"]
    queue.close()


def test_sqs_without_a_region_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="region"):
        open_queue("sqs://name")


@pytest.fixture(scope="module")
def pubsub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PubSub]:
    with pubsub_server(tmp_path_factory.mktemp("pubsub")) as server:
        yield server


@pytest.fixture
def pubsub_url(pubsub: PubSub) -> str:
    return pubsub.url(f"jobs-{next(_names)}")


@pytest.fixture(scope="module")
def servicebus() -> Iterator[ServiceBus]:
    with servicebus_server() as server:
        yield server


@pytest.fixture
def servicebus_url(servicebus: ServiceBus) -> str:
    return servicebus.url(f"jobs-{next(_names)}")


def test_foreign_messages_in_clouds_are_dropped(
    servicebus: ServiceBus, servicebus_url: str, pubsub: PubSub, pubsub_url: str
) -> None:
    for url in (servicebus_url, pubsub_url):
        queue = open_queue(url)
        queue.ping()
        assert queue.receive(0) is None
        name = urlsplit(url).path.strip("/")
        if url == servicebus_url:
            servicebus.put(name, b"../../etc")
        else:
            topic = f"http://127.0.0.1:{pubsub.port}/v1/projects/test-project/topics/{name}"
            body = {"messages": [{"data": base64.b64encode(b"../../etc").decode()}]}
            assert httpx.post(f"{topic}:publish", json=body).status_code == 200
        queue.send("mine")
        found = [message.id for message in (queue.receive(1) for _ in range(3)) if message]
        assert found == ["mine"]
        queue.close()


def test_a_cloud_queue_that_goes_and_comes_back(tmp_path: Path) -> None:
    servers: list[tuple[str, Callable[..., Any]]] = [
        (PubSub(port := free_port()).url("jobs"), lambda: pubsub_server(tmp_path, port=port)),
        (
            f"azureservicebus://testspace/jobs?endpoint=http://127.0.0.1:{(other := free_port())}",
            lambda: servicebus_server(port=other),
        ),
    ]
    for url, server in servers:
        queue = open_queue(url)
        calls: list[Callable[[], object]] = [
            lambda q=queue: q.send("a"), lambda q=queue: q.receive(0), queue.ping,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(UnavailableError):
                call()
        with server():
            send_in_time(queue, "a")
            held = take(queue)
        held.ack()
        with pytest.raises(UnavailableError):
            queue.ping()
        queue.close()


def test_a_refused_identity_is_said() -> None:
    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(401)

        do_GET = do_POST

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for url in ("gcpubsub://project/jobs", "azureservicebus://testspace/jobs"):
            queue = open_queue(f"{url}?endpoint=http://127.0.0.1:{server.server_address[1]}")
            with pytest.raises(UnavailableError, match="refuses these credentials"):
                queue.send("a")
        server.shutdown()

"""A stand-in for Azure Service Bus's REST interface; no emulator of it can be had here.

Written from the reference of that interface ("Send message", "Peek-lock message", "Unlock",
"Delete message", "Create queue"), for the calls that a queue of ids needs. Nothing here shows how
the service itself behaves where the reference is silent.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_NUMBERS = itertools.count(1)


@dataclass
class _Entry:
    number: int
    body: bytes
    token: str = ""
    until: float = 0.0


@dataclass
class _Queue:
    hold: float
    entries: list[_Entry] = field(default_factory=list)


@dataclass(frozen=True)
class ServiceBus:
    """A running stand-in."""

    port: int
    queues: dict[str, _Queue]
    changed: threading.Condition

    def url(self, queue: str) -> str:
        """The queue URL of a name."""
        return f"azureservicebus://testspace/{queue}?endpoint=http://127.0.0.1:{self.port}"

    def put(self, queue: str, body: bytes) -> None:
        """A message from somebody else."""
        with self.changed:
            self.queues[queue].entries.append(_Entry(next(_NUMBERS), body))
            self.changed.notify_all()


@contextlib.contextmanager
def servicebus_server(*, port: int = 0) -> Iterator[ServiceBus]:
    """Run it in threads of this process for the time of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    bus = ServiceBus(server.server_address[1], {}, threading.Condition())
    server.bus = bus  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield bus
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    # One request a connection: a kept one would be served on when the server has ended.
    protocol_version = "HTTP/1.0"

    @property
    def bus(self) -> ServiceBus:
        return self.server.bus  # type: ignore[attr-defined, no-any-return]

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _asked(self) -> tuple[str, list[str], dict[str, list[str]], bytes]:
        parts = urlsplit(self.path)
        queue, *rest = parts.path.strip("/").split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return queue, rest, parse_qs(parts.query), body

    def do_PUT(self) -> None:
        name, rest, query, body = self._asked()
        if rest:
            self._settle(name, rest, keep=True)
            return
        lock = re.search(rb"<LockDuration>PT(\d+)S</LockDuration>", body)
        if query.get("api-version") is None or lock is None or not 5 <= int(lock[1]) <= 300:
            self._answer(400)
            return
        known = name in self.bus.queues
        self.bus.queues.setdefault(name, _Queue(float(lock[1])))
        self._answer(409 if known else 201)

    def do_POST(self) -> None:
        name, rest, query, body = self._asked()
        queue = self.bus.queues.get(name)
        if rest == ["messages"]:
            if queue is None:
                self._answer(404)
                return
            self.bus.put(name, body)
            self._answer(201)
        elif rest == ["messages", "head"]:
            self._lock(queue, float(query.get("timeout", ["60"])[0]))
        else:
            self._answer(404)

    def do_GET(self) -> None:
        name, *_ = self._asked()
        self._answer(204 if name in self.bus.queues else 410)

    def do_DELETE(self) -> None:
        name, rest, *_ = self._asked()
        self._settle(name, rest, keep=False)

    def _lock(self, queue: _Queue | None, timeout: float) -> None:
        if queue is None:
            self._answer(410)
            return
        deadline = time.monotonic() + timeout
        with self.bus.changed:
            while True:
                now = time.monotonic()
                free = next((e for e in queue.entries if e.until <= now), None)
                if free is not None or now >= deadline:
                    break
                self.bus.changed.wait(min(0.05, deadline - now))
            if free is not None:
                free.token, free.until = str(uuid.uuid4()), now + queue.hold
        if free is None:
            self._answer(204)
            return
        properties = {"SequenceNumber": free.number, "LockToken": free.token, "MessageId": "m"}
        self._answer(201, free.body, BrokerProperties=json.dumps(properties))

    def _settle(self, name: str, rest: list[str], *, keep: bool) -> None:
        queue = self.bus.queues.get(name)
        with self.bus.changed:
            held = (
                [e for e in queue.entries if rest[1:] == [str(e.number), e.token]] if queue else []
            )
            if not held or held[0].until <= time.monotonic():
                self._answer(404)
                return
            assert queue is not None
            held[0].until = 0.0
            if not keep:
                queue.entries.remove(held[0])
            self.bus.changed.notify_all()
        self._answer(200)

"""What the watcher finds out about a member: a real server, and a dead wire."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

import psutil
import psycopg
import pytest

from tabular.deploy.onprem.failover.members import Member, Refusal, View
from tabular.deploy.onprem.failover.members import Members as Watched
from tabular.deploy.onprem.rendered.rendering import render
from tests.testbed.members import REPLICATION, members_of

pytestmark = pytest.mark.slow
VALUES: dict[str, Any] = {
    "secrets": {"existingSecret": "demo-secrets"},
    "persistence": {"enabled": True},
    "postgresql": {
        "enabled": True,
        "settings": {"listen_addresses": "127.0.0.1", "max_connections": "20"},
    },
}
FREE = 20 - 10 - 3  # but for those that are reserved: for us, and for the superuser
NAME = "demo-postgresql-0"


class Wire:
    """A way to a server; where it is cut, nobody hangs up and no question is answered any more."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.cut = False

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._ends += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.cut and b"SELECT" in data:
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


def test_what_a_member_says_and_does_not() -> None:
    objects = render(VALUES, name="demo", namespace="a", kube_version="1.30")
    with members_of(objects) as members, contextlib.ExitStack() as clients:
        members.start(0)
        members.wait_ready(0)
        wire = clients.enter_context(Wire(members.ports[0]))
        password = members.folder / "secrets" / "database-replication-password"
        watched = Watched([Member(NAME, "127.0.0.1", wire.port)], password)
        system = members.here(0, "SELECT system_identifier FROM pg_control_system()")

        # Clients took all that they can: the watcher is let in all the same.
        for _ in range(FREE):
            clients.enter_context(psycopg.connect(members.url(0)))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(members.url(0))
        (view,) = watched.look()
        assert isinstance(view, View)
        assert view.system == system

        # Its disk hangs, as far as anybody can see: that is silence, and holds nobody up.
        wire.cut = True
        for _ in range(2):
            began = time.monotonic()
            assert watched.look() == ()
            assert time.monotonic() - began < 12
        wire.cut = False

        # Not one connection is left, for nobody.
        own = members.url(0, "replicator", REPLICATION).replace("dbname=tabular", "dbname=postgres")
        watched = Watched(watched.all, password)
        with pytest.raises(psycopg.OperationalError):
            while True:
                clients.enter_context(psycopg.connect(own))
        (refusal,) = watched.look()
        assert refusal == Refusal(watched.all[0], starting=False)

        # It stops when its clients have left.
        psutil.Process(members.processes[0].pid).terminate()
        time.sleep(1)
        assert watched.look() == (Refusal(watched.all[0], starting=True),)
        members.kill(0)
        assert watched.look() == ()

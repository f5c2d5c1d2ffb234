"""What the watcher finds out about a member: a real server, and a dead wire."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from typing import Any

import psutil
import psycopg
import pytest

from tabular.deploy.onprem.failover.members import Member, Refusal, View, read_members
from tabular.deploy.onprem.failover.members import Members as Watched
from tabular.deploy.onprem.rendered.rendering import render
from tabular.errors import UnavailableError
from tests.testbed.members import REPLICATION, Members, members_of

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
OBJECTS = render(VALUES, name="demo", namespace="a", kube_version="1.30")
REPLICATED = {**VALUES["postgresql"], "replication": {"enabled": True, "readReplicas": 2}}
TRIO = render({**VALUES, "postgresql": REPLICATED}, name="demo", namespace="a", kube_version="1.30")
FOLLOWS = "SELECT current_setting('primary_conninfo')"


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
    with members_of(OBJECTS) as members, contextlib.ExitStack() as clients:
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


def watched_of(members: Members) -> Watched:
    """A primary and one replica of it, running, and what a watcher has of them."""
    for number in range(2):
        members.start(number)
        members.wait_ready(number)
    password = members.folder / "secrets" / "database-replication-password"
    return Watched(read_members(members.file), password)


def test_a_sealed_replica_stays_so_though_it_sees_a_primary() -> None:
    with members_of(TRIO) as members:
        watched = watched_of(members)
        watched.seal(watched.all[1])
        # It hears a primary for longer than one may that nobody has sealed.
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            assert members.probe("alive.sh", 1), members.log(1)
            time.sleep(0.5)
        # It was deaf before it was sealed, and is only started again now.
        members.data(1).with_name("data.made-anew").touch()
        members.stop(1)
        members.start(1)
        eventually_answers(members, 1)
        assert members.here(1, FOLLOWS) == ""
        assert members.here(1, "SELECT count(*) FROM pg_stat_wal_receiver") == "0"
        # The watcher has it follow again, and then it does.
        watched.follow(watched.all[1], watched.all[0])
        members.wait_ready(1)


def test_only_who_is_as_it_was_when_it_was_sealed_is_promoted() -> None:
    with members_of(TRIO) as members:
        watched = watched_of(members)
        primary, replica = watched.all[:2]
        sealed = watched.seal(replica)
        watched.follow(replica, primary)
        members.wait_ready(1)
        members.here(0, "CREATE TABLE more (n int)")
        with pytest.raises(UnavailableError, match="not as it was"):
            watched.promote(sealed)
        sealed = watched.seal(replica)
        members.here(0, "SET synchronous_commit = local; INSERT INTO more VALUES (1)")
        watched.promote(sealed)
        assert members.here(1, "SELECT pg_is_in_recovery()") == "f"
        # A promotion that ends while somebody seals again is over, and no reason for another.
        with pytest.raises(UnavailableError, match="takes writes already"):
            watched.seal(replica)


def eventually_answers(members: Members, number: int) -> None:
    """Wait until a member answers over its own socket."""
    deadline = time.monotonic() + 30
    while True:
        try:
            members.here(number, "SELECT 1")
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, members.log(number)
            time.sleep(0.2)
        else:
            return

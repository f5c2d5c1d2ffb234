"""What the watcher finds out about a member: a real server, and a dead wire."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
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


def test_a_sealed_replica_counts_all_that_is_on_its_disk() -> None:
    with members_of(TRIO) as members:
        watched = watched_of(members)
        members.here(0, "CREATE TABLE more (n int)")
        # Its replay stands still for a while, as a hanging disk or a reader may have it.
        members.here(1, "ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
        members.here(1, "SELECT pg_reload_conf()")
        members.here(0, "INSERT INTO more VALUES (1)")
        told = members.here(0, "SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn")
        members.here(1, "ALTER SYSTEM SET primary_conninfo = ''")
        members.kill(1)
        members.start(1)
        eventually_answers(members, 1)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(watched.seal, watched.all[1])
            with pytest.raises(NotYet):
                asked.result(3)
            members.here(1, "ALTER SYSTEM RESET recovery_min_apply_delay")
            members.here(1, "SELECT pg_reload_conf()")
            assert asked.result(30).position == int(told)


def test_a_replica_past_its_primarys_beginning_starts_and_is_laid_anew() -> None:
    with members_of(TRIO) as members:
        watched = watched_of(members)
        members.start(2)
        members.wait_ready(2)
        behind = watched.seal(watched.all[1])
        # The third receives what the next primary has not, and then hears of that one.
        members.here(0, "CREATE TABLE gone AS SELECT 1 AS n")
        members.here(0, "SELECT pg_switch_wal()")
        members.kill(0)
        watched.promote(behind)
        members.here(2, "CHECKPOINT")
        watched.keep_for(watched.all[1], watched.all)
        watched.follow(watched.all[2], watched.all[1])
        history = members.data(2) / "pg_wal" / "00000002.history"
        eventually(history.is_file)

        # It ends before it was found deaf. While it is sealed it only answers, and is as it was.
        watched.seal(watched.all[2])
        members.kill(2)
        members.start(2)
        eventually_answers(members, 2)
        sealed = watched.seal(watched.all[2])
        assert (sealed.timeline, sealed.branch) == (2, 1)
        assert members.here(2, "SELECT n FROM gone") == "1"

        # When it may follow, its next start lays it anew.
        watched.follow(watched.all[2], watched.all[1])
        members.kill(2)
        members.start(2)
        members.wait_ready(2)
        assert members.here(2, "SELECT to_regclass('gone') IS NULL") == "t"


def test_settings_are_lowered_and_the_password_is_changed_while_members_run() -> None:
    with members_of(TRIO) as members:
        watched_of(members)
        settings = members.folder / "config" / "postgresql.conf"
        lower = {"max_connections = '20'": "max_connections = '17'", "'16'": "'12'"}
        text = settings.read_text()
        for old, new in lower.items():
            assert old in text
            text = text.replace(old, new)
        settings.write_text(text + "max_prepared_transactions = '0'\n")
        # An update starts replicas again before the primary.
        again(members, 1)
        again(members, 0)
        end = members.here(0, "SELECT pg_current_wal_lsn()")
        eventually(lambda: members.here(1, f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t")
        again(members, 1)
        assert {members.here(n, "SHOW max_connections") for n in (0, 1)} == {"17"}

        members.here(0, "ALTER ROLE replicator PASSWORD 'another'")
        (members.folder / "secrets" / "database-replication-password").write_text("another")
        with members.tended():
            members.here(0, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
            members.wait_ready(1)


def again(members: Members, number: int) -> None:
    """Start a member again, as an update does."""
    members.stop(number)
    members.start(number)
    members.wait_ready(number)


def eventually(question: Callable[[], object], told: Callable[[], str] = str) -> None:
    """Wait until something is so; else say what is told then."""
    deadline = time.monotonic() + 30
    while not question():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)


def eventually_answers(members: Members, number: int) -> None:
    """Wait until a member answers over its own socket."""

    def answers() -> bool:
        try:
            return bool(members.here(number, "SELECT 1"))
        except subprocess.CalledProcessError:
            return False

    eventually(answers, lambda: members.log(number)[-3000:])

"""What the watcher asks of PostgreSQL's members and tells them, as the role that replicates."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tabular.errors import ConfigError, UnavailableError

VOTERS = 3
_CONNECT_SECONDS = 3
_SEAL_SECONDS = 10.0
_REPLAY_SECONDS = 60.0
_BEGUN_SECONDS = 0.5
# A server whose disk hangs keeps no limit of its own. Less than it takes to lose the Lease.
_LOOK_SECONDS = 9.0
_PROTOCOL = 3 << 16  # 3.0
_CANNOT_CONNECT_NOW = "57P03"  # it starts, recovers or stops
# A timeline that a member has heard of has a history on its disk; one of which it has anything, a
# segment.
_LOOK = """
SELECT pg_is_in_recovery(),
  (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir()
   WHERE name ~ '^[0-9A-F]{8}([0-9A-F]{16}|[.]history)$'),
  (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir()
   WHERE name ~ '^[0-9A-F]{24}$'),
  CASE WHEN pg_is_in_recovery()
    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn,
  current_setting('primary_conninfo'),
  EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver'),
  (SELECT system_identifier::text FROM pg_control_system())
"""
# A replica that has received since its start knows its own end: it asks for more only when it has
# replayed all that is on its disk. One that nobody sends anything has replayed that when its replay
# waits for more, of any source, by the name that PostgreSQL has for this:
# https://www.postgresql.org/docs/18/monitoring-stats.html#WAIT-EVENT-TIMEOUT-TABLE
_KNOWS_ITS_END = """
SELECT NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() IS NOT NULL OR EXISTS (
  SELECT FROM pg_stat_activity
  WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval')
"""
_MISSING_SLOT = """
SELECT pg_create_physical_replication_slot(%(slot)s, true)
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(slot)s)
"""


@dataclass(frozen=True)
class Member:
    """Where a member is.

    Attributes:
        name: of its pod.
        host: as others reach it.
        port: of PostgreSQL.
    """

    name: str
    host: str
    port: int

    @property
    def slot(self) -> str:
        """The name of the slot in which others keep for it what it has not got."""
        return self.name.replace("-", "_").replace(".", "_")

    def conninfo_of(self, leader: Member) -> str:
        """How this member follows another; the scripts of the chart write the same."""
        return f"host={leader.host} port={leader.port} application_name={self.name}"


@dataclass(frozen=True)
class View:
    """What a member said of itself.

    Attributes:
        member: that was asked.
        replica: it replays, and takes no writes.
        timeline: the latest that it has heard of; its next one is later.
        branch: the timeline that its position is on.
        position: bytes of the log that it has on its disk.
        conninfo: whom it follows; empty if nobody.
        receiving: a receiver of it runs.
        system: the database that it has, as PostgreSQL identifies it.
    """

    member: Member
    replica: bool
    timeline: int
    branch: int
    position: int
    conninfo: str
    receiving: bool
    system: str


@dataclass(frozen=True)
class Refusal:
    """A server that is there and takes no connection, which is no silence.

    Attributes:
        member: that was asked.
        starting: it starts, recovers or stops; else it has, say, no connection left.
    """

    member: Member
    starting: bool


def read_members(path: Path) -> tuple[Member, ...]:
    """The members of a file with lines ``NAME HOST PORT``.

    Raises:
        ConfigError: no such file, or another content.
    """
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
        found = tuple(Member(name, host, int(port)) for name, host, port in lines)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the list of members cannot be read: {error}", where=str(path)) from None
    if len(found) < VOTERS:
        raise ConfigError(
            f"{len(found)} members cannot fail over: a majority of them takes {VOTERS}",
            where=str(path),
            hint="set postgresql.replication.readReplicas to 2 or more",
        )
    return found


class Members:
    """The members, over the network.

    Args:
        members: all of them; the first three vote.
        password: file with the password of the role ``replicator``.
    """

    def __init__(self, members: Sequence[Member], password: Path) -> None:
        self.all = tuple(members)
        self.voters = self.all[:VOTERS]
        self._password = password
        self._asked: dict[Member, Future[View | Refusal | None]] = {}
        self._pool = ThreadPoolExecutor(len(self.all), thread_name_prefix="member")

    def look(self) -> tuple[View | Refusal, ...]:
        """What those members say that answer; at most some seconds."""
        asked = [self._asking(member) for member in self.all]
        wait(asked, timeout=_LOOK_SECONDS)
        found = (one.result() for one in asked if one.done())
        return tuple(one for one in found if one is not None)

    def seal(self, member: Member) -> View:
        """Have a replica follow nobody, and say how far it then is.

        Raises:
            UnavailableError: it does not answer, goes on receiving, or is a primary meanwhile.
        """
        with self._connected(member) as connection:
            _follow(connection, "")
            deadline = time.monotonic() + _SEAL_SECONDS
            while (view := _view(member, connection)).receiving or view.conninfo:
                if time.monotonic() > deadline:
                    raise UnavailableError("the replica goes on receiving", where=member.name)
                time.sleep(0.1)
            view = _settled(member, connection)
            if not view.replica:
                raise UnavailableError("it takes writes already", where=member.name)
            return view

    def promote(self, sealed: View) -> None:
        """Make a replica the primary; returns when it takes writes.

        Args:
            sealed: what it said when it was sealed.

        Raises:
            UnavailableError: it does not answer, is none after a minute, or is not as it was: who
                asks may have stood still since, and another watcher gone on.
        """
        member = sealed.member
        with self._connected(member) as connection:
            if _view(member, connection) != sealed:
                raise UnavailableError("it is not as it was when it was sealed", where=member.name)
            connection.execute("SET statement_timeout = 0")
            row = connection.execute("SELECT pg_promote(true, 60)").fetchone()
            if row is None or not row[0]:
                raise UnavailableError("the replica did not become primary", where=member.name)

    def keep_for(self, leader: Member, others: Sequence[Member]) -> None:
        """Have the primary keep for each other member what that has not got."""
        with self._connected(leader) as connection:
            for other in others:
                connection.execute(_MISSING_SLOT, {"slot": other.slot})

    def follow(self, member: Member, leader: Member) -> None:
        """Have a replica receive from the primary."""
        with self._connected(member) as connection:
            _follow(connection, member.conninfo_of(leader))

    def _asking(self, member: Member) -> Future[View | Refusal | None]:
        """The question to a member; who has not answered the last one is asked no other."""
        last = self._asked.get(member)
        if last is None or last.done():
            last = self._asked[member] = self._pool.submit(self._look, member)
        return last

    def _look(self, member: Member) -> View | Refusal | None:
        try:
            with self._connected(member) as connection:
                return _view(member, connection)
        except UnavailableError as error:
            return _refusal(member, error.__cause__)

    @contextmanager
    def _connected(self, member: Member) -> Iterator[psycopg.Connection]:
        try:
            with psycopg.connect(
                host=member.host,
                port=member.port,
                user="replicator",
                dbname="postgres",
                password=self._password.read_text().strip(),
                connect_timeout=_CONNECT_SECONDS,
                application_name="failover",
                autocommit=True,
                options="-c statement_timeout=5s",
                tcp_user_timeout=5000,
            ) as connection:
                yield connection
        except (psycopg.Error, OSError) as error:
            raise UnavailableError(
                f"the member does not answer: {type(error).__name__}", where=member.name
            ) from error


def _view(member: Member, connection: psycopg.Connection) -> View:
    row = connection.execute(_LOOK).fetchone()
    if row is None:
        raise UnavailableError("the member says nothing", where=member.name)
    replica, timeline, branch, position, conninfo, receiving, system = row
    return View(member, replica, timeline, branch, int(position or 0), conninfo, receiving, system)


def _refusal(member: Member, cause: BaseException | None) -> Refusal | None:
    """Why a member did not answer, if it said so; None if it is away."""
    if type(cause) is not psycopg.OperationalError:
        return None  # no answer in time, or one that broke off
    code = _first_code(member)
    return None if code is None else Refusal(member, starting=code == _CANNOT_CONNECT_NOW)


def _first_code(member: Member) -> str | None:
    """The SQLSTATE with which a server refuses us, "" if it asks who we are.

    None if there is no server. libpq gives none for a connection that failed, its texts are in the
    server's language, and its own ping holds up all threads. Nothing secret is sent, so TLS is not
    needed. Messages: https://www.postgresql.org/docs/18/protocol-message-formats.html
    """
    wanted = b"user\0replicator\0database\0postgres\0\0"
    try:
        address = (member.host, member.port)
        with socket.create_connection(address, timeout=_CONNECT_SECONDS) as connection:
            connection.sendall(struct.pack("!ii", 8 + len(wanted), _PROTOCOL) + wanted)
            answer = connection.makefile("rb")
            kind, length = struct.unpack("!ci", answer.read(5))
            fields = answer.read(length - 4).split(b"\0") if kind == b"E" else []
    except (OSError, struct.error):
        return None
    return next((field[1:].decode() for field in fields if field[:1] == b"C"), "")


def _follow(connection: psycopg.Connection, conninfo: str) -> None:
    setting = sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(sql.Literal(conninfo))
    connection.execute(setting)
    connection.execute("SELECT pg_reload_conf()")


def _settled(member: Member, connection: psycopg.Connection) -> View:
    """The view when its position is all that it has, and a receiver that was just begun is over."""
    deadline = time.monotonic() + _REPLAY_SECONDS
    while time.monotonic() < deadline:
        before = _view(member, connection)
        known = connection.execute(_KNOWS_ITS_END).fetchone()
        time.sleep(_BEGUN_SECONDS)
        if known is not None and known[0] and _view(member, connection) == before:
            return before
    raise UnavailableError("the replica still replays what it has", where=member.name)

"""Sessions, keys with an end and their rotation, and how long events are kept, by a moved clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tabular.errors import (
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
)
from tabular.infra.auth.audit import SIGNED_IN, Asked, AuditTrail
from tabular.infra.auth.authenticator import Authenticator
from tabular.infra.auth.keys import ApiKeys
from tabular.infra.auth.principal import person
from tabular.infra.auth.scopes import ROLES, SCOPES, parse_role_map, scopes_of
from tabular.infra.auth.sessions import Sessions
from tabular.infra.database import Database, migrate
from tabular.infra.database.models import AuditEvent, SignInSession

SECRET = "nJ7w2Kq9sX4vB6mZ1cR8tY3hD5pL0fGa"
HOUR = timedelta(hours=1)
ASKED = Asked("POST /v1/session", "/v1/session", "10.0.0.1", "request-1")


class Clock:
    """The time, moved by a test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/tabular.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database, clock: Clock) -> ApiKeys:
    return ApiKeys(database, SECRET, clock=clock)


@pytest.fixture
def sessions(database: Database, clock: Clock) -> Sessions:
    return Sessions(database, SECRET, ttl=8 * HOUR, clock=clock)


def reason(check: ApiKeys | Sessions, text: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        check.authenticate(text)
    return str(caught.value.reason)


def test_a_session_is_who_signed_in_until_its_end(
    sessions: Sessions, clock: Clock, database: Database, tmp_path: Path
) -> None:
    ann = person("directory", "1", "ann", roles=["user"], groups=["staff"], via="session")
    issued = sessions.open(ann, client="10.0.0.1")
    found = sessions.authenticate(issued.token)
    assert found == replace(ann, session_id=issued.id)
    assert found.session_id == issued.id
    for file in tmp_path.iterdir():
        assert issued.token[-43:].encode() not in file.read_bytes()
    assert reason(sessions, issued.token[:-1] + "!") == "session.malformed"
    assert reason(sessions, issued.token[:-2] + "xx") == "session.wrong"
    assert reason(sessions, f"ifs.{'0' * 16}.{issued.token[-43:]}") == "session.unknown"
    assert reason(Sessions(database, SECRET[::-1], ttl=HOUR), issued.token) == "session.wrong"
    clock.now += 8 * HOUR
    assert reason(sessions, issued.token) == "session.expired"
    other = sessions.open(ann, client="10.0.0.1")
    sessions.end(other.id)
    sessions.end(other.id)
    assert reason(sessions, other.token) == "session.ended"
    with database.session() as session:  # what has expired is removed with the next sign-in
        assert session.scalar(select(func.count()).select_from(SignInSession)) == 1


def test_a_key_has_an_end_and_its_sessions_no_later_one(
    keys: ApiKeys, sessions: Sessions, clock: Clock
) -> None:
    issued = keys.issue("a", role="user", expires_at=clock.now + HOUR)
    assert keys.any_active()
    session = sessions.open(keys.authenticate(issued.key), client="10.0.0.1")
    assert session.expires_at == clock.now + HOUR
    clock.now += HOUR
    assert reason(keys, issued.key) == "key.expired"
    assert reason(sessions, session.token) == "session.expired"
    assert not keys.any_active()
    with pytest.raises(ConflictError):
        keys.rotate(issued.id)
    with pytest.raises(InputError):
        keys.issue("a", role="user", expires_at=clock.now)


def test_the_secret_before_is_right_for_the_overlap(
    keys: ApiKeys, sessions: Sessions, clock: Clock
) -> None:
    first = keys.issue("a", ["jobs:read"])
    session = sessions.open(keys.authenticate(first.key), client="10.0.0.1")
    second = keys.rotate(first.id, overlap=HOUR)
    assert keys.authenticate(first.key) == keys.authenticate(second.key)
    assert sessions.authenticate(session.token).id == first.id
    clock.now += HOUR
    assert reason(keys, first.key) == "key.rotated"
    assert reason(sessions, session.token) == "session.expired"
    third = keys.rotate(first.id, overlap=HOUR)
    keys.rotate(first.id, overlap=timedelta())
    assert reason(keys, second.key) == "key.wrong"
    assert reason(keys, third.key) == "key.wrong"
    for overlap in (timedelta(seconds=-1), timedelta(days=31)):
        with pytest.raises(InputError):
            keys.rotate(first.id, overlap=overlap)


def test_a_secret_before_a_rotation_buys_no_more_time_than_it_has(
    keys: ApiKeys, sessions: Sessions, clock: Clock
) -> None:
    old = keys.issue("a", ["jobs:read"])
    new = keys.rotate(old.id, overlap=HOUR)
    end = clock.now + HOUR
    clock.now += HOUR - timedelta(seconds=1)
    short = sessions.open(keys.authenticate(old.key), client="10.0.0.1")
    long = sessions.open(keys.authenticate(new.key), client="10.0.0.1")
    assert (short.expires_at, long.expires_at) == (end, clock.now + 8 * HOUR)
    clock.now = end
    assert reason(sessions, short.token) == "session.expired"
    assert sessions.authenticate(long.token).id == new.id


def test_sessions_of_others_are_listed_and_ended(
    sessions: Sessions, clock: Clock, database: Database
) -> None:
    ann, bob = (
        person("directory", name, name, roles=["user"], groups=[], via="session")
        for name in ("ann", "bob")
    )

    def open_ones(principal_id: str | None = None) -> list[str]:
        with database.session() as session:
            return [row.id for row in session.scalars(sessions.open_ones(principal_id))]

    first, second, other = (sessions.open(who, client="10.0.0.1") for who in (ann, ann, bob))
    assert set(open_ones()) == {first.id, second.id, other.id}
    assert open_ones(bob.id) == [other.id]
    sessions.end_other(first.id)
    sessions.end_other(first.id)
    assert reason(sessions, first.token) == "session.ended"
    assert sessions.end_all(ann.id) == 1
    assert sessions.end_all(ann.id) == 0
    assert reason(sessions, second.token) == "session.ended"
    assert sessions.authenticate(other.token).id == bob.id
    with pytest.raises(NotFoundError):
        sessions.end_other("0" * 16)
    clock.now += 8 * HOUR
    assert open_ones() == []


def test_a_credential_of_one_kind_is_none_of_another(keys: ApiKeys, sessions: Sessions) -> None:
    issued = keys.issue("a", ["jobs:read"])
    asked = Authenticator(keys, sessions)
    assert asked.authenticate(issued.key).via == "key"
    for text in (issued.key.replace("ift.", "ifs."), "eyJ.a.b", "", "ift", "ifs."):
        with pytest.raises(UnauthenticatedError):
            asked.authenticate(text)


def test_events_are_kept_as_long_as_they_should(database: Database, clock: Clock) -> None:
    for _ in range(2):  # each process removes old ones when it begins, then hourly
        trail = AuditTrail(database, retention=timedelta(days=30), clock=clock)
        trail.record(SIGNED_IN, ASKED, name="ann\nevil", refused="password.wrong")
        clock.now += timedelta(days=31)
    with database.session() as session:
        (row,) = session.scalars(select(AuditEvent))
        assert (row.name, row.outcome, row.reason) == ("annevil", "refused", "password.wrong")
        assert row.at == datetime(2026, 2, 1, tzinfo=UTC)


def test_roles_are_sets_of_scopes() -> None:
    assert {scope for role in ROLES for scope in ROLES[role]} <= set(SCOPES)
    assert scopes_of(["viewer", "admin"]) >= {"admin", "jobs:read"}
    assert scopes_of([]) == frozenset()


def test_people_of_different_sources_are_different() -> None:
    def made(source: str, subject: str) -> str:
        return person(source, subject, "ann", roles=(), groups=(), via="oidc").id

    assert made("https://a", "1") == made("https://a", "1")
    assert len({made("https://a", "1"), made("https://b", "1"), made("https://a", "2")}) == 3
    assert len(made("https://a", "1")) <= 40


def test_role_maps() -> None:
    dn = "cn=Admins,ou=groups,dc=example"
    assert parse_role_map(f"{dn}=admin; staff = user ;", ";") == {
        dn.casefold(): "admin",
        "staff": "user",
    }
    for wrong in ("staff", "=user", "staff=king", "a=user;A=admin"):
        with pytest.raises(ConfigError):
            parse_role_map(wrong, ";")

"""Sign-in by a directory: a real slapd over TLS by its own authority."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.api.directory_checks import directory_checks
from tabular.errors import (
    ConfigError,
    ForbiddenError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from tabular.infra.auth.directory import Directory, DirectorySettings, plain_dn
from tabular.infra.auth.ldap_connection import LdapConnection, Link, check_link
from tabular.infra.auth.ldap_filters import IN_CHAIN, filled, member_in_chain, parse_filter
from tabular.infra.auth.scopes import parse_role_map
from tests.testbed.ports import free_port
from tests.testbed.slapd import (
    BIND_DN,
    BIND_PASSWORD,
    GROUPS,
    ODD,
    USERS,
    Slapd,
    make_authority,
    password_of,
    slapd_server,
)

debian = pytest.mark.debian


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd_server(tmp_path_factory.mktemp("slapd")) as server:
        yield server


def configured(server: Slapd, *urls: str, **more: Any) -> DirectorySettings:
    links = [Link(url, str(server.ca_file)) for url in urls or (server.ldaps,)]
    found = DirectorySettings(
        links=tuple(links),
        bind_dn=BIND_DN,
        user_base=USERS,
        group_base=GROUPS,
        role_map=parse_role_map(f"cn=tabular-admins,{GROUPS}=admin; tabular-viewers=viewer", ";"),
    )
    return replace(found, **more)


@pytest.fixture
def directory(slapd: Slapd) -> Iterator[Directory]:
    opened = Directory(configured(slapd), lambda again: BIND_PASSWORD)
    yield opened
    opened.close()


def refused(directory: Directory, username: str, password: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        directory.authenticate(username, password)
    assert caught.value.message == "the name or the password is not right"
    return str(caught.value.reason)


@debian
def test_groups_within_groups_give_roles(directory: Directory) -> None:
    alice = directory.authenticate("alice", password_of("alice"))
    assert alice.roles == ("admin",)
    assert alice.may("admin")
    assert alice.name == "alice"
    assert set(alice.groups) == {
        f"cn={name},{GROUPS}" for name in ("team", "engineers", "tabular-admins")
    }
    bob = directory.authenticate("bob", password_of("bob"))
    assert bob.roles == ("viewer",)
    assert directory.authenticate("alice", password_of("alice")) == alice
    assert directory.look_up("bob") == bob


@debian
def test_a_group_may_be_written_in_another_way_than_the_directory_does(slapd: Slapd) -> None:
    written = GROUPS.replace(",", " , ").replace("=", " = ").upper()
    roles = parse_role_map(f"CN = Tabular-Admins, {written}=admin", ";")
    directory = Directory(configured(slapd, role_map=roles), lambda again: BIND_PASSWORD)
    assert directory.look_up("alice").roles == ("admin",)
    directory.close()


@pytest.mark.parametrize(
    ("written", "other"),
    [("cn=a\\ ,ou=x", "cn=a\\,ou=x"), ("cn=a \\, b,ou=x", "cn=a\\,b,ou=x"), ("a b", "ab")],
)
def test_names_that_differ_are_never_taken_for_one(written: str, other: str) -> None:
    assert plain_dn(written) != plain_dn(other)


@debian
def test_who_may_not_sign_in(directory: Directory) -> None:
    assert refused(directory, "alice", "wrong") == "password.wrong"
    assert refused(directory, "alice", "") == "password.empty"
    assert refused(directory, "nobody", "wrong") == "user.unknown"
    assert refused(directory, "", "wrong") == "user.malformed"
    assert refused(directory, "ali\0ce", "wrong") == "user.malformed"
    assert refused(directory, "x" * 201, "wrong") == "user.malformed"
    assert refused(directory, "alice", "x" * 1025) == "password.long"
    assert refused(directory, "twin", password_of("twin")) == "user.ambiguous"
    assert refused(directory, "dave", password_of("dave")) == "user.disabled"
    assert refused(directory, "carol", password_of("carol")) == "user.disabled"
    with pytest.raises(ForbiddenError) as no_role:
        directory.authenticate("erin", password_of("erin"))
    assert no_role.value.reason == "user.no-role"


@debian
@pytest.mark.parametrize(
    "name",
    [
        "*",
        "ali*",
        "alice)(uid=*",
        "*)(|(objectClass=*",
        "alice)(objectClass=*))(&(uid=x",
        f"uid=alice,{USERS}",
        "alice\\",
        "\\61lice",
        "alice,ou=people",
        "{dn}",
        "{username}",
    ],
)
def test_a_name_is_a_name_whatever_is_in_it(directory: Directory, name: str) -> None:
    assert refused(directory, name, password_of("alice")) == "user.unknown"


@debian
def test_every_sign_may_be_part_of_a_name(directory: Directory) -> None:
    assert directory.authenticate(ODD, password_of(ODD)).roles == ("viewer",)


@debian
def test_start_tls(slapd: Slapd) -> None:
    directory = Directory(configured(slapd, slapd.ldap), lambda again: BIND_PASSWORD)
    assert directory.authenticate("bob", password_of("bob")).roles == ("viewer",)
    directory.close()


@debian
def test_a_server_of_another_authority_is_not_asked(slapd: Slapd, tmp_path: Path) -> None:
    other = str(make_authority(tmp_path))
    for url in (slapd.ldaps, slapd.ldap):
        for ca_file in (other, None):
            with pytest.raises(UnavailableError, match="certificate"):
                LdapConnection(Link(url, ca_file))
    wrong_name = Link(f"ldaps://127.0.0.1:{slapd.tls_port}", str(slapd.ca_file))
    with pytest.raises(UnavailableError, match="certificate"):
        LdapConnection(wrong_name)


@debian
def test_the_second_server_answers_for_the_first(slapd: Slapd) -> None:
    dead = f"ldaps://localhost:{free_port()}"
    directory = Directory(configured(slapd, dead, slapd.ldaps), lambda again: BIND_PASSWORD)
    for _ in range(2):
        assert directory.authenticate("bob", password_of("bob")).name == "bob"
    directory.close()


@debian
def test_a_server_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    """Idle connections that the server has dropped cost nobody a sign-in."""
    with slapd_server(tmp_path) as server:
        directory = Directory(configured(server), lambda again: BIND_PASSWORD)
        directory.authenticate("bob", password_of("bob"))
        server.modify(
            f"dn: uid=bob,{USERS}\nchangetype: modify\n"
            "replace: userPassword\nuserPassword: another one\n"
        )
        assert refused(directory, "bob", password_of("bob")) == "password.wrong"
        assert directory.authenticate("bob", "another one").name == "bob"
    with pytest.raises(UnavailableError):
        directory.authenticate("bob", "another one")
    directory.close()


@debian
def test_a_new_service_password_is_asked_for_when_the_old_one_is_refused(slapd: Slapd) -> None:
    directory = Directory(configured(slapd), lambda again: BIND_PASSWORD if again else "old")
    assert directory.authenticate("bob", password_of("bob")).name == "bob"
    wrong = Directory(configured(slapd), lambda again: "wrong for ever")
    with pytest.raises(UnavailableError, match="service's own") as caught:
        wrong.authenticate("bob", password_of("bob"))
    assert "wrong for ever" not in str(caught.value)
    directory.close()


def test_a_wrong_password_is_tried_once_so_that_no_account_is_locked() -> None:
    tried: list[bytes] = []

    def answer(message: bytes) -> bytes:
        if b"service" in message:
            tried.append(message)
        return of_389(message.replace(b"cn=service", b"cn=strangr"))

    with speaking(answer) as one, speaking(answer) as other:
        links = (Link(one, plain=True), Link(other, plain=True))
        settings = DirectorySettings(links, "cn=service", "ou=people", role_map={"a": "user"})
        directory = Directory(settings, lambda again: "wrong for ever")
        with pytest.raises(UnavailableError, match="service's own"):
            directory.look_up("other")
        assert len(tried) == 1
        tried.clear()
        told = list(directory_checks(settings, lambda again: "wrong for ever", "other"))
        assert len(tried) == 1
    said = "the name or password of cn=service"
    assert [check.detail for check in told] == [
        f"it refuses {said}",
        f"it answers; another server refuses {said}",
    ]


@debian
def test_unknown_names_take_as_long_as_wrong_passwords(directory: Directory) -> None:
    def seconds(name: str) -> float:
        begun = time.perf_counter()
        refused(directory, name, "wrong")
        return time.perf_counter() - begun

    seconds("alice")
    known = median(seconds("alice") for _ in range(15))
    unknown = median(seconds(f"nobody{n}") for n in range(15))
    assert 0.5 < unknown / known < 2.0


@debian
def test_a_bind_without_password_never_leaves_this_process(slapd: Slapd) -> None:
    connection = LdapConnection(Link(slapd.ldaps, str(slapd.ca_file)))
    with pytest.raises(ValueError, match="password"):
        connection.bind(f"uid=alice,{USERS}", "")
    connection.close()


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []
        threading.Thread(target=lambda: held.append(listener.accept()[0]), daemon=True).start()
        port = listener.getsockname()[1]
        connection = LdapConnection(Link(f"ldap://127.0.0.1:{port}", timeout=0.3, plain=True))
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="does not answer"):
            connection.bind("cn=a", "b")
        assert time.monotonic() - begun < 3
        connection.close()


def test_a_disabled_account_is_refused_in_the_words_of_an_unknown_one() -> None:
    """389 Directory Server and FreeIPA answer 53 to the bind of an inactivated account."""
    with speaking(of_389) as url:
        settings = DirectorySettings(
            (Link(url, plain=True),), "cn=service", "ou=people", role_map={"a": "user"}
        )
        directory = Directory(settings, lambda again: "x")
        assert refused(directory, "nobody", "pw") == "user.unknown"
        assert refused(directory, "gone", "pw") == "user.disabled"
        assert refused(directory, "other", "pw") == "password.wrong"
        directory.close()
        service = Directory(replace(settings, bind_dn="cn=gone"), lambda again: "x")
        with pytest.raises(UnavailableError, match="result 53"):
            service.authenticate("gone", "pw")


def test_the_account_is_told_before_its_password_is_tried() -> None:
    with speaking(of_389) as url:
        settings = DirectorySettings(
            (Link(url, plain=True),), "cn=service", "ou=people", role_map={"a": "user"}
        )
        directory = Directory(settings, lambda again: "x")
        told: list[str] = []
        for name in ("gone", "nobody"):
            with pytest.raises(UnauthenticatedError):
                directory.authenticate(name, "pw", told.append)
        assert told == ["dn:cn=gone,ou=people", "name:nobody"]

        def stop(lasting_id: str) -> None:
            raise RateLimitedError("enough", retry_after=1.0)

        with pytest.raises(RateLimitedError):
            directory.authenticate("gone", "pw", stop)
        directory.close()


def of_389(message: bytes) -> bytes:
    """What 389 Directory Server answers, as far as it is asked here."""

    def part(tag: int, *values: bytes) -> bytes:
        joined = b"".join(values)
        return bytes([tag, 0x82]) + len(joined).to_bytes(2, "big") + joined

    start = 2 + (message[1] & 0x7F if message[1] & 0x80 else 0)
    number, operation = message[start + 2], message[start + 3]

    def result(tag: int, code: int) -> bytes:
        body = part(tag, part(0x0A, bytes([code])), part(4), part(4))
        return part(0x30, part(2, bytes([number])), body)

    if operation == 0x60:
        code = 53 if b"cn=gone" in message else 49
        return result(0x61, 0 if b"cn=service" in message else code)
    if operation != 0x63:
        return b""
    for name in (b"gone", b"other"):
        if name in message:
            locked = part(0x31, part(4, b"true" if name == b"gone" else b"false"))
            attribute = part(0x30, part(4, b"nsAccountLock"), locked)
            entry = part(0x64, part(4, b"cn=" + name + b",ou=people"), part(0x30, attribute))
            return part(0x30, part(2, bytes([number])), entry) + result(0x65, 0)
    return result(0x65, 0)


@contextlib.contextmanager
def speaking(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """The URL of a server that answers each message."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while message := self.request.recv(65536):
                self.request.sendall(answer(message))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"ldap://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("ldap://directory.example", True),
        ("ldaps://localhost", True),
        ("http://localhost", False),
        ("ldap://", False),
        ("ldaps://user:secret@localhost", False),
        ("directory.example", False),
    ],
)
def test_passwords_never_travel_in_the_open(url: str, plain: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        check_link(Link(url, plain=plain))
    assert "secret" not in str(caught.value)
    check_link(Link("ldap://127.0.0.1:389", plain=True))
    check_link(Link("ldap://directory.example"))


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_a_filled_filter_is_the_same_but_for_its_value(name: str) -> None:
    from sansldap import FilterAnd, FilterEquality

    template = parse_filter("(&(objectClass=person)(uid={username}))", ("username",))
    found = filled(template, {"username": name, "dn": "x"})
    assert found == FilterAnd(
        [FilterEquality("objectClass", b"person"), FilterEquality("uid", name.encode())]
    )


def test_filters_that_name_nobody_are_refused() -> None:
    for text in ("(uid=alice)", "(uid={user})", "uid={username", "", "(&)"):
        with pytest.raises(ConfigError):
            parse_filter(text, ("username",))


def test_active_directory_is_asked_for_the_whole_chain() -> None:
    dn = "CN=Ann (x),OU=People,DC=corp,DC=example"
    assert str(member_in_chain(dn)).startswith(f"(member:{IN_CHAIN}:=CN=Ann \\28x\\29")

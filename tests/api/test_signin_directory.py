"""Signing in with a password, against a real directory server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.api.directory_checks import directory_checks
from tabular.infra.config import load_settings
from tests.platform import Processes, environment, platform
from tests.testbed.slapd import (
    BIND_DN,
    BIND_PASSWORD,
    GROUPS,
    ODD,
    USERS,
    Slapd,
    password_of,
    slapd_server,
)

pytestmark = pytest.mark.debian
NOBODY = {"Authorization": ""}


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd_server(tmp_path_factory.mktemp("slapd")) as server:
        yield server


def settings_of(slapd: Slapd, folder: Path) -> dict[str, str]:
    secret = folder / "bind-password"
    secret.write_text(BIND_PASSWORD)
    return {
        "TABULAR_LDAP_URL": slapd.ldaps,
        "TABULAR_LDAP_CA_FILE": str(slapd.ca_file),
        "TABULAR_LDAP_BIND_DN": BIND_DN,
        "TABULAR_LDAP_BIND_PASSWORD": f"file:{secret}",
        "TABULAR_LDAP_USER_BASE": USERS,
        "TABULAR_LDAP_GROUP_BASE": GROUPS,
        "TABULAR_LDAP_ROLE_MAP": "tabular-admins=admin; tabular-viewers=viewer",
        "TABULAR_SIGNIN_ACCOUNT_LIMIT": "3",
    }


def test_people_sign_in_and_guessers_do_not(slapd: Slapd, tmp_path: Path) -> None:
    with platform(tmp_path, **settings_of(slapd, tmp_path)) as one:

        def sign_in(name: str, password: str) -> tuple[int, dict[str, str]]:
            begun = time.monotonic()
            body = {"username": name, "password": password}
            answer = one.client.post("/v1/session", json=body, headers=NOBODY)
            if answer.status_code == 401:
                assert time.monotonic() - begun >= 0.5
                assert answer.json()["detail"] == "the name or the password is not right"
            return answer.status_code, answer.json()

        status, session = sign_in("alice", password_of("alice"))
        assert status == 201
        headers = {"Authorization": f"Bearer {session['token']}"}
        who = one.client.get("/v1/whoami", headers=headers).json()
        assert (who["kind"], who["name"], who["roles"]) == ("user", "alice", ["admin"])
        assert f"cn=tabular-admins,{GROUPS}" in who["groups"]
        assert one.client.get("/v1/keys", headers=headers).status_code == 200
        made = one.client.post("/v1/keys", json={"name": "a", "role": "user"}, headers=headers)
        assert made.status_code == 201
        assert sign_in("erin", password_of("erin"))[0] == 403
        assert sign_in("dave", password_of("dave"))[0] == 401
        assert sign_in("nobody", "canary-password")[0] == 401
        statuses = [sign_in("bob", "canary-password")[0] for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        assert sign_in("bob", password_of("bob"))[0] == 429
        assert one.client.get("/v1/whoami", headers=headers).status_code == 200
        events = one.client.get("/v1/audit", headers=headers).json()["items"]
        assert "canary" not in str(events)
        reasons = {(e["name"], e["reason"]) for e in events if e["outcome"] == "refused"}
        assert reasons == {
            ("erin", "user.no-role"),
            ("dave", "user.disabled"),
            ("nobody", "user.unknown"),
            ("bob", "password.wrong"),
        }


def test_every_name_of_a_person_is_one_account(slapd: Slapd, tmp_path: Path) -> None:
    settings = settings_of(slapd, tmp_path)
    settings["TABULAR_LDAP_USER_FILTER"] = "(|(uid={username})(cn={username}))"
    with platform(tmp_path, **settings) as one:

        def sign_in(name: str, password: str) -> int:
            body = {"username": name, "password": password}
            return one.client.post("/v1/session", json=body, headers=NOBODY).status_code

        assert sign_in("odd", password_of(ODD)) == 201
        one.service.cache.close()  # the address is known no more
        assert [sign_in(name, "wrong") for name in (ODD, "odd", ODD)] == [401, 401, 401]
        assert [sign_in(name, password_of(ODD)) for name in ("odd", ODD)] == [429, 429]
        assert sign_in("bob", password_of("bob")) == 201


Said = dict[str, tuple[bool, str, str]]


def look(env: dict[str, str], *arguments: str) -> tuple[int, Said]:
    """What the look from within says: its exit code; whether it is well, detail, hint, by name."""
    command = [sys.executable, "-m", "tabular.api.doctor", "--json", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert BIND_PASSWORD not in done.stdout + done.stderr
    found = {
        one["name"]: (one["ok"], one["detail"], one["hint"]) for one in json.loads(done.stdout)
    }
    return done.returncode, found


def env_of(slapd: Slapd, folder: Path, **more: str) -> dict[str, str]:
    known = {**environment(folder), **settings_of(slapd, folder), "PATH": os.environ["PATH"]}
    return {**known, **more}


def test_an_operator_tries_the_settings(slapd: Slapd, tmp_path: Path) -> None:
    env = env_of(slapd, tmp_path)
    one = Processes(tmp_path, env)
    one.run("tabular.api", "migrate")
    try:
        one.api()
        code, told = look({**env, "TABULAR_PORT": str(one.port)}, "--user", "alice")
    finally:
        one.close()
    ok, detail, hint = told.pop("workers")
    assert (ok, hint) == (False, "the API's log has the words"), "none was started"
    assert detail.endswith(": unavailable.workers")
    assert code == 1
    parts = ("database", "storage", "cache", "queue")
    people = (f"directory {slapd.ldaps}", "directory people", "directory groups", "user alice")
    assert {name: ok for name, (ok, _, _) in told.items()} == dict.fromkeys(parts + people, True)
    server = told[f"directory {slapd.ldaps}"][1]
    assert f"it knows {BIND_DN}; its certificate is trusted and ends on 20" in server
    assert "admin; groups: cn=" in told["user alice"][1]
    assert "service" in look(env)[1], "it does not run"


def test_an_operator_learns_what_is_wrong_with_the_settings(slapd: Slapd, tmp_path: Path) -> None:
    server = f"directory {slapd.ldaps}"

    def said(name: str, user: str = "alice", **more: str) -> tuple[str, str]:
        settings = load_settings(env_of(slapd, tmp_path, **more)).directory()
        assert settings is not None
        told = {one.name: one for one in directory_checks(settings, lambda _: BIND_PASSWORD, user)}
        assert not told[name].ok, told
        return told[name].detail, told[name].hint

    assert "user.unknown" in said("user nobody", "nobody")[0]
    assert "user.disabled" in said("user dave", "dave")[0]
    assert f"no role; groups: cn=others,{GROUPS}" in said("user erin", "erin")[0]
    detail, hint = said(server, TABULAR_LDAP_CA_FILE="")
    assert "CERTIFICATE_VERIFY_FAILED" in detail
    assert "spec.security.ca_bundle" in hint
    other = slapd.ldaps.replace("localhost", "127.0.0.1")
    assert "as its certificate does" in said(f"directory {other}", TABULAR_LDAP_URL=other)[1]
    away = "ldaps://localhost:1"
    assert "network policies" in said(f"directory {away}", TABULAR_LDAP_URL=away)[1]
    unnamed = "ldaps://directory.invalid"
    assert "DNS" in said(f"directory {unnamed}", TABULAR_LDAP_URL=unnamed)[1]
    assert (
        f"password of cn=nobody,{USERS}"
        in said(server, TABULAR_LDAP_BIND_DN=f"cn=nobody,{USERS}")[0]
    )
    for kind in ("people", "groups"):
        base = {"people": "USER", "groups": "GROUP"}[kind]
        setting = {f"TABULAR_LDAP_{base}_BASE": "ou=elsewhere,dc=example,dc=org"}
        assert "there is no ou=elsewhere" in said(f"directory {kind}", **setting)[0]
    roles = f"cn=nobodies,{GROUPS}=admin; tabular-viewers=viewer"
    detail, _ = said("directory groups", "erin", TABULAR_LDAP_ROLE_MAP=roles)
    assert detail == f"not found in {GROUPS}: cn=nobodies,{GROUPS}"


def test_an_operator_learns_which_setting_is_missing(slapd: Slapd, tmp_path: Path) -> None:
    def said(name: str, **more: str) -> str:
        code, told = look(env_of(slapd, tmp_path, **more), "--user", "alice")
        assert (code, told[name][0]) == (1, False)
        return told[name][1]

    assert "required" in said("settings", TABULAR_LDAP_USER_BASE="")
    assert "no reference" in said("settings", TABULAR_LDAP_BIND_PASSWORD=BIND_PASSWORD)
    assert "no directory" in said("user alice", TABULAR_LDAP_URL="")
    gone = f"{tmp_path}/gone"
    away = {"TABULAR_LDAP_BIND_PASSWORD": f"file:{gone}"}
    assert gone in said(f"directory {slapd.ldaps}", **away)


def test_a_certificate_that_ends_soon_is_told(tmp_path: Path) -> None:
    (tmp_path / "slapd").mkdir()
    with slapd_server(tmp_path / "slapd", days=2) as ends_soon:
        _, told = look(env_of(ends_soon, tmp_path), "--user", "alice")
    ok, detail, _ = told[f"directory {ends_soon.ldaps}"]
    assert (ok, "its certificate is trusted and ends on 20" in detail) == (False, True)
    assert told["user alice"][0], "people sign in until then"


def test_a_second_server_that_is_away_is_told_though_people_can_sign_in(
    slapd: Slapd, tmp_path: Path
) -> None:
    away = "ldaps://localhost:1"
    _, told = look(env_of(slapd, tmp_path, TABULAR_LDAP_URL=f"{away},{slapd.ldaps}"))
    assert not told[f"directory {away}"][0]
    assert told[f"directory {slapd.ldaps}"][0]
    assert told["directory groups"][0]


def test_without_its_directory_the_service_goes_on(slapd: Slapd, tmp_path: Path) -> None:
    settings = settings_of(slapd, tmp_path) | {"TABULAR_LDAP_URL": "ldaps://localhost:1"}
    with platform(tmp_path, **settings) as one:
        body = {"username": "alice", "password": password_of("alice")}
        for _ in range(5):
            answer = one.client.post("/v1/session", json=body, headers=NOBODY)
            assert answer.status_code == 503
        assert one.client.get("/v1/jobs").status_code == 200

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

from tests.platform import environment, platform
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


def test_an_operator_tries_the_settings(slapd: Slapd, tmp_path: Path) -> None:
    env = {**environment(tmp_path), **settings_of(slapd, tmp_path), "PATH": os.environ["PATH"]}

    def check(name: str, **more: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "tabular.api.check_directory", "--user", name]
        done = subprocess.run(
            command, env={**env, **more}, capture_output=True, text=True, timeout=60, check=False
        )
        assert BIND_PASSWORD not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, text = check("alice")
    assert (code, json.loads(text)["roles"]) == (0, ["admin"])
    assert "user.unknown" in check("nobody")[1]
    assert "user.disabled" in check("dave")[1]
    assert "certificate" in check("alice", TABULAR_LDAP_CA_FILE="")[1]
    assert "required" in check("alice", TABULAR_LDAP_USER_BASE="")[1]
    assert "no reference" in check("alice", TABULAR_LDAP_BIND_PASSWORD=BIND_PASSWORD)[1]
    assert "no directory" in check("alice", TABULAR_LDAP_URL="")[1]


def test_without_its_directory_the_service_goes_on(slapd: Slapd, tmp_path: Path) -> None:
    settings = settings_of(slapd, tmp_path) | {"TABULAR_LDAP_URL": "ldaps://localhost:1"}
    with platform(tmp_path, **settings) as one:
        body = {"username": "alice", "password": password_of("alice")}
        for _ in range(5):
            answer = one.client.post("/v1/session", json=body, headers=NOBODY)
            assert answer.status_code == 503
        assert one.client.get("/v1/jobs").status_code == 200

"""Signing in and out over HTTP: sessions, cookies, other sites, keys, limits, the audit trail."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tabular.api.service import SIGN_INS
from tabular.infra.auth.audit import EVENTS
from tabular.infra.logs import JsonFormatter, Redactor
from tests.platform import Platform, platform, table, upload
from tests.testbed.oidc import AUDIENCE, oidc_provider

NOBODY = {"Authorization": ""}
OURS = {"X-Requested-With": "console"}
PLAIN, SECURE = "tabular_session", "__Host-tabular_session"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    plans = '{"gold": {}}'
    with platform(tmp_path_factory.mktemp("signin"), TABULAR_PLANS=plans) as opened:
        yield opened


@pytest.fixture
def browser(one: Platform) -> TestClient:
    """A client without a key, at an address that can only be this machine."""
    return TestClient(one.client.app, base_url="http://localhost", raise_server_exceptions=False)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The audit log as it is written."""
    formatter = JsonFormatter(Redactor())
    found = [r for r in caplog.records if r.name == "tabular.audit"]
    return [json.loads(formatter.format(record)) for record in found]


def test_a_key_is_exchanged_for_a_session(one: Platform) -> None:
    key = one.issue("jobs:read")["Authorization"].removeprefix("Bearer ")
    answer = one.client.post("/v1/session", json={"key": key}, headers=NOBODY)
    assert answer.status_code == 201, answer.text
    session = answer.json()
    assert key not in answer.text
    assert "set-cookie" not in answer.headers
    headers = bearer(session["token"])
    who = one.client.get("/v1/whoami", headers=headers).json()
    assert who == session["principal"]
    assert (who["via"], who["kind"], who["scopes"]) == ("session", "key", ["jobs:read"])
    assert who["id"] == key.split(".")[1]
    assert one.client.get("/v1/jobs", headers=headers).status_code == 200
    assert one.client.get("/v1/models", headers=headers).status_code == 403
    assert one.client.delete("/v1/session", headers=headers).status_code == 204
    ended = one.client.get("/v1/whoami", headers=headers)
    assert ended.status_code == 401
    assert 'error="invalid_token"' in ended.headers["www-authenticate"]
    assert one.client.get("/v1/whoami", headers=bearer(key)).json()["via"] == "key"
    assert one.client.delete("/v1/session", headers=bearer(key)).status_code == 409


def test_a_session_ends_with_its_key(one: Platform) -> None:
    issued = one.client.post("/v1/keys", json={"name": "k", "role": "viewer"}).json()
    session = one.client.post("/v1/session", json={"key": issued["key"]}).json()
    headers = bearer(session["token"])
    assert one.client.get("/v1/whoami", headers=headers).json()["roles"] == ["viewer"]
    one.client.delete(f"/v1/keys/{issued['id']}")
    assert one.client.get("/v1/whoami", headers=headers).status_code == 401


def test_a_cookie_is_only_for_the_browser(one: Platform, browser: TestClient) -> None:
    answer = browser.post("/v1/session", json={"key": one.key, "cookie": True})
    assert answer.status_code == 201
    assert answer.json()["token"] is None
    cookie = answer.headers["set-cookie"]
    for part in (f"{PLAIN}=ifs.", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
        assert part in cookie
    assert "Secure" not in cookie
    assert browser.get("/v1/whoami").json()["via"] == "session"
    gone = browser.delete("/v1/session", headers=OURS)
    assert gone.status_code == 204
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert browser.get("/v1/whoami").status_code == 401


@pytest.mark.parametrize("base", ["https://tabular.example", "http://tabular.example"])
def test_away_from_this_machine_a_cookie_needs_tls(one: Platform, base: str) -> None:
    client = TestClient(one.client.app, base_url=base)
    cookie = client.post("/v1/session", json={"key": one.key, "cookie": True}).headers["set-cookie"]
    assert cookie.startswith(f"{SECURE}=ifs.")
    assert "Secure" in cookie
    token = cookie.partition(";")[0].partition("=")[2]
    plain = client.get("/v1/whoami", headers={"Cookie": f"{PLAIN}={token}"})
    assert plain.status_code == 401  # a name that anybody near the network could have set


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 403),
        ("POST", OURS, 201),
        ("POST", {"Origin": "http://localhost"}, 201),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "http://evil.example", **OURS}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {}, 200),
        ("GET", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Origin": "http://evil.example"}, 403),
    ],
)
def test_other_sites_cannot_use_a_cookie(
    one: Platform, browser: TestClient, method: str, headers: dict[str, str], status: int
) -> None:
    browser.post("/v1/session", json={"key": one.key, "cookie": True})
    body = {"name": "n", "scopes": ["jobs:read"]} if method == "POST" else None
    answer = browser.request(method, "/v1/keys", json=body, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "access.cross-site"


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({}, False),
        ({"X-Requested-With": "console"}, False),
    ],
)
def test_other_sites_cannot_open_a_websocket_with_a_cookie(
    one: Platform, browser: TestClient, headers: dict[str, str], admitted: bool
) -> None:
    browser.post("/v1/session", json={"key": one.key, "cookie": True})
    path = f"ws://localhost/v1/jobs/job_{'0' * 20}/progress"
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        browser.websocket_connect(path, headers=headers),
    ):
        pass
    assert caught.value.status_code == (404 if admitted else 403)  # there is no such job


def test_a_session_opens_a_websocket(one: Platform) -> None:
    token = one.client.post("/v1/session", json={"key": one.key}).json()["token"]
    path = f"/v1/jobs/job_{'0' * 20}/progress"
    for protocol, status in ((f"tabular.bearer.{token}", 404), ("tabular.bearer.ifs.0.0", 401)):
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            one.client.websocket_connect(
                path, subprotocols=["tabular.progress.v1", protocol], headers=dict(NOBODY)
            ),
        ):
            pass
        assert caught.value.status_code == status


def test_other_sites_cannot_sign_a_browser_in(one: Platform, browser: TestClient) -> None:
    answer = browser.post(
        "/v1/session", json={"key": one.key}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a"},
        {"password": "canary-password"},
        {"username": "a", "password": "canary-password", "key": "k"},
        {"username": "a", "password": ["canary-password"]},
    ],
)
def test_half_a_credential_is_refused_and_not_repeated(
    one: Platform, body: dict[str, object]
) -> None:
    answer = one.client.post("/v1/session", json=body, headers=NOBODY)
    assert answer.status_code == 422
    assert "canary" not in answer.text


def test_a_host_or_origin_that_is_none_is_no_failure_of_ours(browser: TestClient) -> None:
    key = {"key": "x"}
    refused = browser.post("/v1/session", json=key, headers={"Origin": "http://["})
    assert (refused.status_code, refused.json()["code"]) == (403, "access.cross-site")
    for host in ("[", "[x", "[::1", "a]b"):
        asked = browser.get("/v1/whoami", headers={"Host": host, "Cookie": f"{PLAIN}=x"})
        assert asked.status_code == 401, host


def test_without_a_directory_no_password_is_taken(one: Platform) -> None:
    answer = one.client.post("/v1/session", json={"username": "a", "password": "b"}, headers=NOBODY)
    assert answer.status_code == 422
    assert "directory" in answer.json()["detail"]


def test_wrong_keys_are_counted_and_right_ones_are_not_shut_out(tmp_path: Path) -> None:
    with platform(tmp_path, TABULAR_SIGNIN_CLIENT_LIMIT="3") as one:
        wrong = one.key[:-1] + ("A" if one.key[-1] != "A" else "B")
        answers = [one.client.post("/v1/session", json={"key": wrong}) for _ in range(5)]
        assert [a.status_code for a in answers] == [401, 401, 401, 429, 429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 300
        assert one.client.post("/v1/session", json={"key": one.key}).status_code == 201
        assert one.client.get("/v1/jobs").status_code == 200


def test_keys_have_roles_plans_and_an_end(one: Platform) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"name": "n", "role": "operator", "plan": "gold", "expires_at": later}
    issued = one.client.post("/v1/keys", json=body).json()
    assert (issued["role"], issued["plan"], issued["scopes"]) == ("operator", "gold", [])
    who = one.client.get("/v1/whoami", headers=bearer(issued["key"])).json()
    assert who["plan"] == "gold"
    assert "jobs:write" in who["scopes"]
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for wrong in (
        {"name": "n"},
        {"name": "n", "role": "king"},
        {"name": "n", "role": "user", "scopes": ["generate"]},
        {"name": "n", "role": "user", "expires_at": past},
        {"name": "n", "role": "user", "expires_at": "2099-01-01T00:00:00"},
    ):
        assert one.client.post("/v1/keys", json=wrong).status_code == 422, wrong


def test_a_key_is_changed_over_without_an_outage(one: Platform) -> None:
    old = one.client.post("/v1/keys", json={"name": "n", "role": "viewer"}).json()
    new = one.client.post(f"/v1/keys/{old['id']}/rotate").json()
    assert new["id"] == old["id"]
    assert new["previous_until"] is not None
    for key in (old["key"], new["key"]):
        assert one.client.get("/v1/whoami", headers=bearer(key)).status_code == 200
    last = one.client.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_seconds": 0}).json()
    statuses = [
        one.client.get("/v1/whoami", headers=bearer(issued["key"])).status_code
        for issued in (old, new, last)
    ]
    assert statuses == [401, 401, 200]
    one.client.delete(f"/v1/keys/{old['id']}")
    assert one.client.post(f"/v1/keys/{old['id']}/rotate").status_code == 409
    assert one.client.post(f"/v1/keys/{'0' * 16}/rotate").status_code == 404


def test_challenges_say_what_is_wrong(one: Platform) -> None:
    def challenge(headers: dict[str, str]) -> str:
        return one.client.get("/v1/keys", headers=headers).headers["www-authenticate"]

    assert challenge(NOBODY) == 'Bearer realm="inferloop-tabular"'
    assert challenge(bearer("ift.0.0")).endswith('error="invalid_token"')
    lacks = challenge(one.issue("jobs:read"))
    assert lacks.endswith('error="insufficient_scope", scope="admin"')


def test_every_decision_is_one_line_without_secrets(
    one: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = one.issue("jobs:read")
    session = one.client.post("/v1/session", json={"key": one.key}).json()["token"]
    with caplog.at_level(logging.INFO, "tabular.audit"):
        asked = one.client.get("/v1/jobs", headers={**viewer, "X-Request-Id": "request-0001"})
        one.client.get(f"/v1/jobs/job_{'0' * 20}", headers=viewer)
        one.client.get("/v1/keys", headers=viewer)
        one.client.get("/v1/jobs", headers=NOBODY)
        one.client.get("/v1/jobs", headers=bearer("ift.0.0"))
        one.client.get("/v1/jobs", headers=bearer(session))
        one.client.get("/health")
        with (
            pytest.raises(WebSocketDenialResponse),
            one.client.websocket_connect(f"/v1/jobs/job_{'0' * 20}/progress", headers=NOBODY),
        ):
            pass
    assert asked.status_code == 200
    found = lines(caplog)
    assert [(line["decision"], line["reason"]) for line in found] == [
        ("allow", "granted"),
        ("allow", "granted"),
        ("deny", "access.forbidden"),
        ("deny", "credential.missing"),
        ("deny", "key.malformed"),
        ("allow", "granted"),
        ("deny", "credential.missing"),
    ]
    assert found[0]["request_id"] == "request-0001"
    assert found[0]["scopes"] == ["jobs:read"]
    assert found[1]["action"] == "GET /v1/jobs/{job_id}"
    assert found[1]["resource"] == f"/v1/jobs/job_{'0' * 20}"
    assert found[2]["scopes"] == ["admin"]
    assert found[0]["who"] == viewer["Authorization"].split(".")[1]
    assert (found[5]["via"], found[5]["who_kind"]) == ("session", "key")
    text = json.dumps(found)
    for secret in (viewer["Authorization"][-43:], session[-43:], one.key[-43:]):
        assert secret not in text


def test_administrators_end_the_sessions_of_others(tmp_path: Path) -> None:
    with platform(tmp_path) as one:

        def made(role: str) -> tuple[str, list[dict[str, str]]]:
            issued = one.client.post("/v1/keys", json={"name": role, "role": role}).json()
            body = {"key": issued["key"]}
            opened = [one.client.post("/v1/session", json=body, headers=NOBODY) for _ in range(2)]
            return issued["id"], [answer.json() for answer in opened]

        def status(session: dict[str, str]) -> int:
            return one.client.get("/v1/whoami", headers=bearer(session["token"])).status_code

        viewer, (first, second) = made("viewer")
        other = made("user")[1][0]
        listed = one.client.get("/v1/sessions", params={"principal_id": viewer})
        assert first["token"][-43:] not in listed.text
        assert [s["id"] for s in listed.json()["items"]] == [second["id"], first["id"]]
        assert listed.json()["items"][0]["key_id"] == viewer
        assert len(one.client.get("/v1/sessions").json()["items"]) == 4
        assert [status(s) for s in (first, second, other)] == [200, 200, 200]
        assert one.client.delete(f"/v1/sessions/{first['id']}").status_code == 204
        assert [status(s) for s in (first, second, other)] == [401, 200, 200]
        assert one.client.delete("/v1/sessions").status_code == 422
        ended = one.client.delete("/v1/sessions", params={"principal_id": viewer})
        assert (ended.status_code, ended.json()) == (200, {"ended": 1})
        assert [status(s) for s in (first, second, other)] == [401, 401, 200]
        assert one.client.delete(f"/v1/sessions/{'0' * 16}").status_code == 404
        page = one.client.get("/v1/audit").json()["items"]
        me = one.key.split(".")[1]
        assert [(e["event"], e["resource"], e["principal_id"]) for e in page[:2]] == [
            ("sessions.ended", viewer, me),
            ("session.ended", first["id"], me),
        ]


def test_a_directory_that_hangs_holds_up_no_one_with_a_key(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        settings = {
            "TABULAR_LDAP_URL": f"ldap://127.0.0.1:{listener.getsockname()[1]}",
            "TABULAR_LDAP_PLAIN": "true",
            "TABULAR_LDAP_BIND_DN": "cn=service",
            "TABULAR_LDAP_BIND_PASSWORD": f"file:{tmp_path}/password",
            "TABULAR_LDAP_USER_BASE": "ou=people",
            "TABULAR_LDAP_GROUP_BASE": "ou=groups",
            "TABULAR_LDAP_ROLE_MAP": "a=user",
            "TABULAR_LDAP_TIMEOUT": "60",
        }
        with platform(tmp_path, **settings) as one, ThreadPoolExecutor(60) as crowd:

            def sign_in(number: int) -> tuple[int, str, str | None]:
                body = {"username": f"user{number}", "password": "x"}
                answer = one.client.post("/v1/session", json=body, headers=NOBODY)
                return answer.status_code, answer.json()["code"], answer.headers.get("retry-after")

            waiting = [crowd.submit(sign_in, number) for number in range(60)]
            done = itertools.islice(as_completed(waiting, timeout=50), 60 - SIGN_INS)
            assert {future.result() for future in done} == {(503, "unavailable.sign-in", "5")}
            hanging = [future for future in waiting if not future.done()]
            assert len(hanging) == SIGN_INS
            begun = time.monotonic()
            assert one.client.get("/v1/jobs").status_code == 200
            by_key = one.client.post("/v1/session", json={"key": one.key}, headers=NOBODY)
            assert by_key.status_code == 201
            assert time.monotonic() - begun < 10
            listener.close()
            answers = {future.result()[:2] for future in hanging}
            assert answers == {(503, "unavailable.directory")}


def test_tokens_that_cannot_be_checked_count_against_the_address(tmp_path: Path) -> None:
    settings = {
        "TABULAR_OIDC_ISSUER": "http://127.0.0.1:1/",
        "TABULAR_OIDC_AUDIENCE": AUDIENCE,
        "TABULAR_CLIENT_RATE_LIMIT": "3/minute",
    }
    header = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"q"}').rstrip(b"=").decode()
    with platform(tmp_path, **settings) as one:

        def ask(credential: str) -> int:
            return one.client.get("/v1/whoami", headers=bearer(credential)).status_code

        assert [ask(f"{header}.e30.AAAA") for _ in range(5)] == [503, 503, 503, 429, 429]
        assert ask(one.key) == 200
        (tmp_path / "tabular.db").rename(tmp_path / "away.db")
        (tmp_path / "tabular.db").mkdir()
        one.service.recent.forget()
        # Whoever has a key is told of the outage, and not to ask less.
        assert [ask(one.key) for _ in range(5)] == [503] * 5
        assert ask("nonsense") == 429


def test_security_events_are_kept_for_administrators(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        dataset = upload(one.client, table(20))
        issued = one.client.post("/v1/keys", json={"name": "n", "role": "viewer"}).json()
        session = one.client.post("/v1/session", json={"key": issued["key"]}).json()
        one.client.delete("/v1/session", headers=bearer(session["token"]))
        one.client.post("/v1/session", json={"key": "ift.0.0"})
        one.client.post(f"/v1/keys/{issued['id']}/rotate")
        one.client.delete(f"/v1/keys/{issued['id']}")
        one.client.delete(f"/v1/datasets/{dataset}")
        one.client.delete(f"/v1/datasets/{dataset}")  # 404 now: nothing happened
        page = one.client.get("/v1/audit").json()["items"]
        assert [(e["event"], e["outcome"], e["reason"]) for e in reversed(page)] == [
            ("key.created", "ok", None),
            ("session.created", "ok", None),
            ("session.ended", "ok", None),
            ("session.created", "refused", "key.malformed"),
            ("key.rotated", "ok", None),
            ("key.revoked", "ok", None),
            ("dataset.deleted", "ok", None),
        ]
        assert page[0]["resource"] == dataset
        assert page[0]["principal_id"] == one.key.split(".")[1]
        assert issued["key"][-43:] not in json.dumps(page)
        refused = one.client.get("/v1/audit", params={"outcome": "refused"}).json()["items"]
        assert len(refused) == 1
        for event in EVENTS:
            assert one.client.get("/v1/audit", params={"event": event}).status_code == 200
        assert one.client.get("/v1/audit", params={"event": "x"}).status_code == 422


def test_tokens_of_a_provider_sign_in(tmp_path: Path) -> None:
    (tmp_path / "oidc").mkdir()
    with oidc_provider(tmp_path / "oidc") as provider:
        settings = {
            "TABULAR_OIDC_ISSUER": provider.issuer,
            "TABULAR_OIDC_AUDIENCE": AUDIENCE,
            "TABULAR_OIDC_ROLES_CLAIM": "realm_access.roles",
            "TABULAR_OIDC_ROLE_MAP": "tabular-admins=admin,tabular-viewers=viewer",
        }
        admin, viewer = bearer(provider.token("admin")), bearer(provider.token("viewer"))
        with platform(tmp_path, **settings) as one:
            assert one.client.get("/v1/keys", headers=admin).status_code == 200
            assert one.client.get("/v1/jobs", headers=viewer).status_code == 200
            assert one.client.get("/v1/keys", headers=viewer).status_code == 403
            other = bearer(provider.token(audience="https://other.example"))
            refused = one.client.get("/v1/jobs", headers=other)
            assert refused.status_code == 401
            assert "another audience" in refused.headers["www-authenticate"]
            assert one.client.get("/v1/jobs").status_code == 200  # keys go on
            dataset = one.client.post(
                "/v1/datasets",
                params={"name": "t.csv"},
                content=table(20),
                headers={**admin, "Content-Type": "text/csv"},
            )
            assert dataset.status_code == 201
    with platform(tmp_path / "oidc", **settings) as one:
        down = one.client.get("/v1/jobs", headers=viewer)
        assert down.status_code == 503
        assert "retry-after" in down.headers
        assert one.client.get("/v1/jobs").status_code == 200
        assert isinstance(down, httpx.Response)

"""Who may do what: 401, 403, limits, and what answers say about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform import Platform, platform

ID = "0" * 20
ROUTES = {
    ("GET", "/v1/datasets"): "datasets:read",
    ("GET", f"/v1/datasets/ds_{ID}"): "datasets:read",
    ("GET", f"/v1/datasets/ds_{ID}/preview"): "datasets:read",
    ("GET", f"/v1/datasets/ds_{ID}/profile"): "datasets:read",
    ("POST", "/v1/datasets"): "datasets:write",
    ("DELETE", f"/v1/datasets/ds_{ID}"): "datasets:write",
    ("GET", "/v1/models"): "models:read",
    ("GET", f"/v1/models/mdl_{ID}"): "models:read",
    ("POST", "/v1/models"): "models:write",
    ("DELETE", f"/v1/models/mdl_{ID}"): "models:write",
    ("POST", "/v1/generate"): "generate",
    ("GET", f"/v1/jobs/job_{ID}/result"): "generate",
    ("POST", "/v1/evaluations"): "evaluate",
    ("GET", "/v1/evaluations"): "evaluate",
    ("GET", f"/v1/evaluations/ev_{ID}"): "evaluate",
    ("GET", f"/v1/evaluations/ev_{ID}/report"): "evaluate",
    ("GET", "/v1/jobs"): "jobs:read",
    ("GET", f"/v1/jobs/job_{ID}"): "jobs:read",
    ("POST", f"/v1/jobs/job_{ID}/cancel"): "jobs:write",
    ("DELETE", f"/v1/jobs/job_{ID}"): "jobs:write",
    ("DELETE", f"/v1/evaluations/ev_{ID}"): "evaluate",
    ("GET", "/v1/keys"): "admin",
    ("POST", "/v1/keys"): "admin",
    ("DELETE", f"/v1/keys/{'0' * 16}"): "admin",
    ("POST", f"/v1/keys/{'0' * 16}/rotate"): "admin",
    ("GET", "/v1/sessions"): "admin",
    ("DELETE", "/v1/sessions"): "admin",
    ("DELETE", f"/v1/sessions/{'0' * 16}"): "admin",
    ("GET", "/v1/audit"): "admin",
    ("GET", "/v1/usage/principals"): "admin",
}
ANYONE = {
    ("POST", "/v1/session"),
    ("DELETE", "/v1/session"),
    ("GET", "/v1/whoami"),
    ("GET", "/v1/usage"),
}
BODIES = {
    "/v1/models": {"dataset_id": f"ds_{ID}"},
    "/v1/generate": {"model_id": f"mdl_{ID}", "rows": 1},
    "/v1/evaluations": {"dataset_id": f"ds_{ID}", "job_id": f"job_{ID}"},
    "/v1/keys": {"name": "n", "scopes": ["generate"]},
}
MORE = {"datasets:read": "datasets:write", "models:read": "models:write", "jobs:read": "jobs:write"}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("access")) as opened:
        yield opened


def test_the_matrix_covers_every_route(one: Platform) -> None:
    documented = {
        (method.upper(), path)
        for path, methods in one.client.get("/openapi.json").json()["paths"].items()
        for method in methods
        if path.startswith("/v1/")
    }
    assert len(documented - ANYONE) == len(ROUTES)
    assert documented >= ANYONE


@pytest.mark.parametrize(("method", "path"), list(ROUTES))
def test_each_route_wants_its_scope(one: Platform, method: str, path: str) -> None:
    scope = ROUTES[method, path]
    body = BODIES.get(path) if method == "POST" else None

    def ask(headers: dict[str, str]) -> tuple[int, str]:
        answer = one.client.request(method, path, json=body, headers=headers)
        code = answer.json().get("code", "") if answer.content else ""
        return answer.status_code, code

    assert ask({"Authorization": ""}) == (401, "access.unauthenticated")
    assert ask({"Authorization": "Bearer ift.0.0"}) == (401, "access.unauthenticated")
    assert ask({"Authorization": "Basic YTpi"}) == (401, "access.unauthenticated")
    others = {"datasets:write", "models:write", "generate", "evaluate", "jobs:write"}
    others -= {scope, MORE.get(scope, "")}
    assert ask(one.issue(*sorted(others))) == (403, "access.forbidden")
    assert ask(one.issue(scope))[0] not in (401, 403)


def test_401_comes_before_the_body_is_looked_at(one: Platform) -> None:
    answer = one.client.post(
        "/v1/generate", content=b"{nonsense", headers={"Authorization": "Bearer x"}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_keys_are_issued_listed_and_revoked(one: Platform) -> None:
    answer = one.client.post("/v1/keys", json={"name": "ci", "scopes": ["jobs:read"]})
    assert answer.status_code == 201
    issued = answer.json()
    headers = {"Authorization": f"Bearer {issued['key']}"}
    assert one.client.get("/v1/jobs", headers=headers).status_code == 200
    listed = one.client.get("/v1/keys")
    assert issued["key"][-43:] not in listed.text
    (row,) = [row for row in listed.json()["items"] if row["id"] == issued["id"]]
    assert row["last_used_at"] is not None
    assert one.client.delete(f"/v1/keys/{issued['id']}").status_code == 204
    assert one.client.get("/v1/jobs", headers=headers).status_code == 401
    own = one.key.split(".")[1]
    assert one.client.delete(f"/v1/keys/{own}").status_code == 409
    wrong = one.client.post("/v1/keys", json={"name": "x", "scopes": ["jobs:reed"]})
    assert wrong.status_code == 422
    assert "jobs:read" in wrong.json()["hint"]


def test_limits_count_keys_apart_and_strangers_by_address(tmp_path: Path) -> None:
    limits = {"TABULAR_RATE_LIMIT": "5/minute", "TABULAR_CLIENT_RATE_LIMIT": "3/minute"}
    with platform(tmp_path, **limits) as one:
        first, second = one.issue("jobs:read"), one.issue("jobs:read")
        remaining = []
        for _ in range(5):
            answer = one.client.get("/v1/jobs", headers=first)
            assert answer.status_code == 200
            remaining.append(answer.headers["ratelimit-remaining"])
        assert remaining == ["4", "3", "2", "1", "0"]
        refused = one.client.get("/v1/jobs", headers=first)
        assert (refused.status_code, refused.json()["code"]) == (429, "access.rate-limited")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-limit"] == "5"
        assert one.client.get("/v1/jobs", headers=second).status_code == 200

        wrong = {"Authorization": "Bearer wrong"}
        statuses = [one.client.get("/v1/jobs", headers=wrong).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert one.client.get("/docs").status_code == 429
        assert one.client.get("/v1/jobs", headers=second).status_code == 200
        for probe in ("/health", "/ready", "/metrics"):
            assert one.client.get(probe, headers={"Authorization": ""}).status_code == 200


def test_only_a_trusted_proxy_can_name_the_client(tmp_path: Path) -> None:
    limit = {"TABULAR_CLIENT_RATE_LIMIT": "1/minute"}
    with platform(tmp_path, **limit) as one:
        for address in ("1.1.1.1", "2.2.2.2"):
            answer = one.client.get("/docs", headers={"X-Forwarded-For": address})
        assert answer.status_code == 429


def test_every_answer_has_its_id_and_protects_the_browser(one: Platform) -> None:
    for path in ("/", "/docs", "/v1/jobs", "/v1/nothing", "/health"):
        answer = one.client.get(path)
        assert len(answer.headers["x-request-id"]) == 24
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    given = one.client.get("/health", headers={"X-Request-Id": "my-own-id-1"})
    assert given.headers["x-request-id"] == "my-own-id-1"
    bad = one.client.get("/health", headers={"X-Request-Id": "a b<script>"})
    assert "script" not in bad.headers["x-request-id"]


def test_cors_is_off(one: Platform) -> None:
    answer = one.client.options(
        "/v1/jobs",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
    )
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers

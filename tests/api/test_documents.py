"""What the API says about itself, and how it says that something went wrong."""

from __future__ import annotations

import inspect
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from sqlalchemy import event

from tabular import errors
from tabular.api.problems import STATUS, status_of
from tests.platform import Platform, environment, platform


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("documents")) as opened:
        yield opened


def test_the_openapi_document_is_valid(one: Platform) -> None:
    document = one.client.get("/openapi.json").json()
    validate(document)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            assert operation["tags"], (method, path)
            if path.startswith("/v1/"):
                signs_in = (method, path) == ("post", "/v1/session")
                assert signs_in != ("security" in operation), (method, path)
                assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_the_pages_need_nothing_from_elsewhere(one: Platform) -> None:
    for path in ("/", "/docs"):
        page = one.client.get(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    docs = one.client.get("/docs").text
    for path in one.client.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in docs


def test_every_error_of_the_tree_has_a_status() -> None:
    tree = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    tree = [kind for kind in tree if issubclass(kind, errors.TabularError)]
    assert len(tree) > 20
    for kind in tree:
        found = next(status for base, status in STATUS if issubclass(kind, base))
        assert 400 <= found <= 599
    assert status_of(errors.IntegrityError("x")) == 503
    assert status_of(errors.UnauthenticatedError("x")) == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/nothing", None, 404, "not-found"),
        ("GET", "/nothing", None, 404, "not-found"),
        ("GET", "/v1/jobs/job_" + "0" * 20, None, 404, "not-found"),
        ("GET", "/v1/jobs/../../etc/passwd", None, 404, "not-found"),
        ("GET", "/v1/jobs/x' OR 1=1", None, 422, "input.invalid"),
        ("PUT", "/v1/jobs", None, 405, "method-not-allowed"),
        ("POST", "/v1/generate", "{", 422, "input.invalid"),
        ("POST", "/v1/generate", "[]", 422, "input.invalid"),
        ("POST", "/v1/generate", '{"rows": 1}', 422, "input.invalid"),
        ("POST", "/v1/generate", '{"model_id": "x", "rows": 0, "extra": 1}', 422, "input.invalid"),
        (
            "POST",
            "/v1/models",
            json.dumps({"dataset_id": "ds_" + "0" * 20, "engine": "treees"}),
            422,
            "input.invalid",
        ),
        (
            "POST",
            "/v1/models",
            json.dumps({"dataset_id": "ds_" + "0" * 20, "schema": {"columnz": {}}}),
            422,
            None,
        ),
        ("POST", "/v1/models", json.dumps({"dataset_id": "ds_" + "0" * 20}), 404, "not-found"),
    ],
)
def test_problems(
    one: Platform, method: str, path: str, body: str | None, status: int, code: str | None
) -> None:
    answer = one.client.request(
        method, path, content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == f"urn:inferloop-tabular:error:{problem['code']}"
    assert code in (None, problem["code"])
    assert problem["title"]


@pytest.mark.parametrize(
    ("method", "path", "body", "said", "hint"),
    [
        ("GET", "/v1/jobs/x", None, "path.job_id: this is no id of that kind: job_", "/v1/jobs"),
        ("GET", "/v1/models/ds_1", None, "such as mdl_0123456789abcdef0123", "/v1/models"),
        ("DELETE", "/v1/keys/mine", None, "16 hex digits, such as 0123456789abcdef", "/v1/keys"),
        ("POST", "/v1/models", '{"dataset_id": "x"}', "body.dataset_id: this is", "/v1/datasets"),
    ],
)  # fmt: skip
def test_a_bad_id_is_answered_with_how_one_looks_and_who_lists_them(
    one: Platform, method: str, path: str, body: str | None, said: str, hint: str
) -> None:
    answer = one.client.request(
        method, path, content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert said in problem["detail"]
    assert problem["hint"] == f"GET {hint} lists them"
    assert "^" not in answer.text, "a pattern is for programs"
    listed = one.client.get(hint)
    assert listed.status_code == 200
    example = said.rpartition("such as ")[2]
    if example != said:
        shown = one.client.get("/openapi.json").json()["paths"]
        patterns = [
            parameter["schema"]["pattern"]
            for route, methods in shown.items()
            if route.startswith(f"{hint}/{{")
            for parameter in next(iter(methods.values()))["parameters"]
            if parameter["in"] == "path"
        ]
        assert patterns
        assert all(re.match(pattern, example) for pattern in patterns)


@pytest.mark.parametrize(
    "body",
    [
        r'{"model_id": "mdl_00000000000000000000", "rows": 1, "where": ["a=\u0000"]}',
        r'{"model_id": "mdl_00000000000000000000", "rows": 1, "where": ["a=\ud800"]}',
        '{"model_id": "mdl_00000000000000000000", "rows": NaN}',
        '{"model_id": "mdl_00000000000000000000", "rows": 1e400}',
        '{"model_id": "mdl_00000000000000000000", "rows": 1, "seed": 9007199254740993}',
        "[" * 100_000,
    ],
)
def test_what_json_can_say_and_no_database_can_keep(one: Platform, body: str) -> None:
    answer = one.client.post(
        "/v1/generate", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_was_sent_is_not_repeated(one: Platform) -> None:
    answer = one.client.post("/v1/keys", json={"name": "n", "scopes": [], "password": "hunter22"})
    assert answer.status_code == 422
    assert "hunter22" not in answer.text
    assert answer.json()["errors"]


def test_an_unexpected_error_is_a_500_without_internals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with platform(tmp_path) as one:

        @one.client.app.get("/broken")  # type: ignore[attr-defined, untyped-decorator]
        def broken() -> None:
            raise RuntimeError("secret inside")

        answer = one.client.get("/broken")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "secret inside" not in answer.text
        assert "secret inside" in caplog.text
        metrics = one.client.get("/metrics").text
        assert 'tabular_errors_total{kind="unexpected.RuntimeError"' in metrics


def test_a_database_that_is_away_is_a_503(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        (tmp_path / "tabular.db").write_bytes(b"no database")
        answer = one.client.get("/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "tabular.db" not in answer.text
        ready = one.client.get("/ready")
        assert ready.status_code == 503
        checks = ready.json()["checks"]
        assert checks["database"]["status"] == "failed"
        assert checks["storage"]["status"] == "ok"
        assert one.client.get("/health").json()["status"] == "ok"


def test_ready_asks_every_part_and_health_says_where_it_runs(tmp_path: Path) -> None:
    place = {
        "TABULAR_RELEASE": "r-17",
        "TABULAR_REGION": "mars",
        "TABULAR_PROVIDER": "standalone",
        "TABULAR_ENVIRONMENT": "prod",
    }
    with platform(tmp_path, **place) as one:
        ready = one.client.get("/ready")
        assert ready.status_code == 200
        assert set(ready.json()["checks"]) == {
            "database",
            "storage",
            "cache",
            "queue",
            "workers",
        }
        assert ready.json()["status"] == "degraded"  # no worker has been seen
        assert ready.json()["checks"]["workers"]["code"] == "unavailable.workers"
        health = one.client.get("/health").json()
        assert (health["release"], health["region"], health["environment"]) == (
            "r-17",
            "mars",
            "prod",
        )
        assert 'region="mars"' in one.client.get("/metrics").text


def test_who_scrapes_all_the_time_keeps_the_database_out_of_it(one: Platform) -> None:
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    with one.service.database.session() as session:
        engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    try:
        begun = time.monotonic()
        for _ in range(40):
            assert "tabular_jobs_waiting" in one.client.get("/metrics").text
        seconds = time.monotonic() - begun
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(asked) <= 12 * (seconds + 1), asked  # a look at everything is 11 statements


def test_ready_does_not_wait_for_a_part_that_hangs() -> None:
    import asyncio
    import time

    from tabular.api.health import Readiness

    async def ask() -> tuple[str, dict[str, object]]:
        readiness = Readiness({"slow": lambda: time.sleep(2), "good": lambda: None}, limit=0.2)
        begun = time.monotonic()
        answer = await readiness.report()
        assert time.monotonic() - begun < 1.0
        return answer

    state, checks = asyncio.run(ask())
    assert state == "unavailable"
    assert checks["slow"]["code"] == "unavailable.timeout"  # type: ignore[index]
    assert checks["good"]["status"] == "ok"  # type: ignore[index]


def test_a_schema_that_is_missing_makes_it_not_ready(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from tabular.api.app import create_app
    from tabular.infra.config import load_settings

    with TestClient(create_app(load_settings(environment(tmp_path)))) as client:
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["database"]["code"] == "unavailable.schema"

"""Live progress over a websocket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from tabular.api.app import create_app
from tabular.api.service import open_service
from tabular.errors import UnavailableError
from tabular.infra.config import load_settings
from tabular.infra.database import Database, migrate
from tests.platform import Platform, environment, fitted, platform, submit


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("progress")) as opened, opened.worker():
        yield opened


def states(one: Platform, job_id: str, **options: object) -> list[dict[str, object]]:
    seen = []
    path = f"/v1/jobs/{job_id}/progress"
    with one.client.websocket_connect(path, **options) as socket:  # type: ignore[arg-type]
        while True:
            try:
                seen.append(socket.receive_json())
            except WebSocketDisconnect as end:
                assert end.code == 1000
                return seen


def test_a_job_is_followed_to_its_end(one: Platform) -> None:
    _, model = fitted(one.client)
    job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 400_000})
    seen = states(one, job["id"])
    numbers = [int(str(state.pop("event_id"))) for state in seen]
    assert numbers == sorted(set(numbers))
    assert seen[-1] == {"id": job["id"], "status": "succeeded", "progress": 1.0, "error": None}
    progress = [float(str(state["progress"])) for state in seen]
    assert progress == sorted(progress)
    assert states(one, job["id"]) == [{**seen[-1], "event_id": numbers[-1]}]


def test_a_failed_job_ends_with_its_error(one: Platform) -> None:
    _, model = fitted(one.client, rows=100)
    body = {"model_id": model, "rows": 5, "where": ["size=77777"]}
    seen = states(one, submit(one.client, "/v1/generate", body)["id"])
    assert seen[-1]["status"] == "failed"
    assert seen[-1]["error"]


def test_places_of_our_own_stores_are_not_told(tmp_path: Path) -> None:
    with platform(tmp_path) as alone:
        jobs = alone.service.jobs
        with alone.service.database.transaction() as session:
            job = jobs.submit(session, "generate", {}, created_by="me")
        lease = jobs.claim("worker")
        assert lease is not None
        jobs.fail(lease, UnavailableError("away", where="s3://private"), retry=False)
        (state,) = states(alone, job.id)
        assert state["error"] == alone.client.get(f"/v1/jobs/{job.id}").json()["error"]
        assert "private" not in str(state)


def test_a_database_that_goes_away_ends_the_progress_with_a_word(tmp_path: Path) -> None:
    with platform(tmp_path) as alone:
        with alone.service.database.transaction() as session:
            job = alone.service.jobs.submit(session, "generate", {}, created_by="me")
        with alone.client.websocket_connect(f"/v1/jobs/{job.id}/progress") as socket:
            assert socket.receive_json()["status"] == "queued"
            (tmp_path / "tabular.db").rename(tmp_path / "away.db")
            (tmp_path / "tabular.db").mkdir()
            with pytest.raises(WebSocketDisconnect) as end:
                socket.receive_json()
        assert end.value.code == 1013


def test_progress_ends_with_the_credential(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path))
    database = Database(settings.database_url)
    migrate(database)
    database.close()
    service = replace(open_service(settings), recheck_every=0.1)
    app = create_app(settings, service=service)
    with TestClient(app, raise_server_exceptions=False) as client:
        with service.database.transaction() as session:
            job = service.jobs.submit(session, "generate", {}, created_by="me")
        path = f"/v1/jobs/{job.id}/progress"
        key = service.keys.issue("a", ["jobs:read"])
        admin = service.keys.issue("admin", ["admin"])
        body = {"key": key.key}
        session_of = client.post("/v1/session", json=body).json()
        other = client.post("/v1/session", json=body).json()
        headers = {"Authorization": f"Bearer {admin.key}"}

        def left(credential: str) -> WebSocketTestSession:
            held = {"Authorization": f"Bearer {credential}"}
            return client.websocket_connect(path, headers=held)

        with (
            left(key.key) as by_key,
            left(session_of["token"]) as first,
            left(other["token"]) as second,
            left(admin.key) as stays,
        ):
            for each in (by_key, first, second, stays):
                assert each.receive_json()["status"] == "queued"
            client.delete(f"/v1/sessions/{session_of['id']}", headers=headers)
            assert code(first) == 1008
            client.delete(f"/v1/keys/{key.id}", headers=headers)
            assert [code(second), code(by_key)] == [1008, 1008]
            client.post(f"/v1/jobs/{job.id}/cancel", headers=headers)
            assert stays.receive_json()["status"] == "cancelled"


def code(socket: WebSocketTestSession) -> int:
    with pytest.raises(WebSocketDisconnect) as end:
        socket.receive_json()
    return end.value.code


def test_a_browser_signs_in_with_a_subprotocol(one: Platform) -> None:
    _, model = fitted(one.client, rows=100)
    job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 5})
    path = f"/v1/jobs/{job['id']}/progress"
    with one.client.websocket_connect(
        path,
        subprotocols=["tabular.progress.v1", f"tabular.bearer.{one.key}"],
        headers={"Authorization": ""},
    ) as socket:
        assert socket.accepted_subprotocol == "tabular.progress.v1"
        assert socket.receive_json()["id"] == job["id"]


def test_who_may_not_is_refused_before_the_handshake(one: Platform) -> None:
    _, model = fitted(one.client, rows=100)
    job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 5})
    missing = "job_" + "0" * 20
    for job_id, headers, status in (
        (job["id"], {"Authorization": ""}, 401),
        (job["id"], {"Authorization": "Bearer wrong"}, 401),
        (job["id"], one.issue("datasets:read"), 403),
        (missing, one.issue("jobs:read"), 404),
    ):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            one.client.websocket_connect(f"/v1/jobs/{job_id}/progress", headers=headers),
        ):
            pass
        assert refused.value.status_code == status
        assert refused.value.json()["status"] == status


def test_a_client_that_leaves_leaves_nothing_behind(one: Platform) -> None:
    _, model = fitted(one.client, rows=100)
    job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 300_000})
    with one.client.websocket_connect(f"/v1/jobs/{job['id']}/progress") as socket:
        socket.receive_json()
    assert states(one, job["id"])[-1]["status"] == "succeeded"

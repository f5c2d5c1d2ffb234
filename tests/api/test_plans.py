"""Plans and usage as a client meets them: what is refused, with what to do, and what is counted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.platform import Platform, finished, fitted, platform, submit, table, upload

PLANS = {
    "rows": {"rows_per_day": 500, "max_job_rows": 400},
    "one": {"concurrent_jobs": 1},
    "small": {"storage_bytes": 2000, "max_upload_bytes": 1500},
    "slow": {"rate_limit": "3/hour"},
    "sockets": {"max_websockets": 2},
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("plans")
    with platform(folder, TABULAR_PLANS=json.dumps(PLANS)) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(one: Platform) -> str:
    with one.worker():
        return fitted(one.client, rows=200)[1]


def client_of(one: Platform, plan: str) -> TestClient:
    body = {"name": plan, "plan": plan, "role": "operator"}
    key = one.client.post("/v1/keys", json=body).json()["key"]
    client = TestClient(
        one.client.app,
        headers={"Authorization": f"Bearer {key}"},
        raise_server_exceptions=False,
    )
    client.portal = one.client.portal  # one event loop, as a process has
    return client


def generation(model: str, rows: int, **more: Any) -> dict[str, Any]:
    return {"model_id": model, "rows": rows, "format": "csv", **more}


def usage(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/v1/usage")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_key_names_a_plan_that_is_there(one: Platform) -> None:
    wrong = one.client.post("/v1/keys", json={"name": "n", "plan": "smal", "role": "user"})
    assert wrong.status_code == 422
    assert wrong.json()["code"] == "input.unknown-plan"
    assert "'small'" in wrong.json()["hint"]


def test_rows_of_a_day_jobs_and_requests_together(one: Platform, model: str) -> None:
    client = client_of(one, "rows")
    large = client.post("/v1/generate", json=generation(model, 401))
    assert (large.status_code, large.json()["code"]) == (403, "quota.job-rows")
    job = submit(client, "/v1/generate", generation(model, 300))
    inline = client.post("/v1/generate", json=generation(model, 150, inline=True))
    assert inline.status_code == 200
    refused = client.post("/v1/generate", json=generation(model, 51))
    told = refused.json()
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert told["code"] == "quota.rows-per-day"
    assert (told["limit"], told["used"], told["requested"]) == (500, 450, 51)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert datetime.fromisoformat(told["resets_at"]).date() == tomorrow
    assert "at most 50 rows" in told["hint"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    with one.worker():
        assert finished(client, job["id"])["status"] == "succeeded"
    rows = client.get(f"/v1/jobs/{job['id']}/result")
    part = client.get(f"/v1/jobs/{job['id']}/result", headers={"Range": "bytes=0-9"})
    assert len(part.content) == 10
    found = usage(client)
    (day,) = found["days"]
    assert (day["rows"], day["jobs"]) == (450, 1)
    assert day["bytes_downloaded"] == len(rows.content) + len(inline.content) + 10
    assert (found["rows_today"], found["rows_promised"]) == (450, 0)
    assert found["storage_bytes"] == day["bytes_stored"] == len(rows.content)
    assert found["quotas"]["rows_per_day"] == 500
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert usage(client)["storage_bytes"] == 0, "deletion gives it back"


def test_a_repeated_request_is_promised_once(one: Platform, model: str) -> None:
    client = client_of(one, "rows")
    for _ in range(3):
        again = {"Idempotency-Key": "the-same"}
        body = generation(model, 300)
        assert client.post("/v1/generate", json=body, headers=again).status_code == 202
    assert usage(client)["rows_promised"] == 300


def test_requests_that_fail_give_their_rows_back(one: Platform, model: str) -> None:
    client = client_of(one, "rows")
    where = ["colour=none-of-them"]
    failed = client.post("/v1/generate", json=generation(model, 300, inline=True, where=where))
    assert failed.status_code >= 400
    found = usage(client)
    assert (found["rows_today"], found["rows_promised"]) == (0, 0)


def test_many_requests_at_once_make_no_more_rows_than_the_plan(one: Platform, model: str) -> None:
    client = client_of(one, "rows")
    statuses: list[int] = []

    def ask() -> None:
        body = generation(model, 100, inline=True)
        statuses.append(client.post("/v1/generate", json=body).status_code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [429] * 7
    assert usage(client)["rows_today"] == 500


def test_jobs_at_once(one: Platform, model: str) -> None:
    client = client_of(one, "one")
    first = submit(client, "/v1/generate", generation(model, 5))
    second = client.post("/v1/generate", json=generation(model, 5))
    assert (second.status_code, second.json()["code"]) == (429, "quota.concurrent-jobs")
    assert client.post(f"/v1/jobs/{first['id']}/cancel").status_code == 200
    submit(client, "/v1/generate", generation(model, 5))


def test_storage_and_the_size_of_an_upload(one: Platform) -> None:
    client = client_of(one, "small")
    data = table(60)
    assert 700 < len(data) < 1500
    kept = upload(client, data)
    assert usage(client)["storage_bytes"] == len(data)
    upload(client, data[: data.rindex(b"\n", 0, 1900 - len(data))])
    over = client.post("/v1/datasets?name=t.csv", content=data)
    assert (over.status_code, over.json()["code"]) == (403, "quota.storage")
    assert (over.json()["limit"], over.json()["requested"]) == (2000, len(data))
    large = client.post("/v1/datasets?name=t.csv", content=table(200))
    assert large.status_code == 413
    assert "1,500 bytes" in large.json()["detail"]
    assert client.delete(f"/v1/datasets/{kept}").status_code == 204
    upload(client, data)
    assert usage(client)["total"]["bytes_uploaded"] > 2000


def test_the_rate_limit_of_a_plan(one: Platform) -> None:
    client = client_of(one, "slow")
    found = [client.get("/v1/whoami").status_code for _ in range(4)]
    assert found == [200, 200, 200, 429]


def test_websockets_at_once(one: Platform, model: str) -> None:
    client = client_of(one, "sockets")
    job = submit(client, "/v1/generate", generation(model, 5))
    path = f"/v1/jobs/{job['id']}/progress"
    with client.websocket_connect(path), client.websocket_connect(path):
        with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect(path):
            pass
        assert caught.value.status_code == 429
        assert caught.value.json()["code"] == "quota.websockets"
    deadline = time.monotonic() + 30
    while True:
        try:
            with client.websocket_connect(path):
                break
        except WebSocketDenialResponse:
            assert time.monotonic() < deadline
            time.sleep(0.5)  # attempts count against the rate limit


def test_usage_of_others_is_for_administrators(one: Platform, model: str) -> None:
    client = client_of(one, "rows")
    assert client.post("/v1/generate", json=generation(model, 7, inline=True)).status_code == 200
    own = usage(client)
    seen = one.client.get("/v1/usage", params={"principal": own["principal_id"]}).json()
    assert (seen["plan"], seen["total"]) == ("rows", own["total"])
    admin = one.key.split(".")[1]
    assert client.get("/v1/usage", params={"principal": admin}).status_code == 403
    assert client.get("/v1/usage/principals").status_code == 403
    listed = one.client.get("/v1/usage/principals", params={"limit": 1}).json()
    assert listed["items"][0]["principal_id"] == own["principal_id"]
    assert listed["items"][0]["rows"] == 7
    following = one.client.get("/v1/usage/principals", params={"cursor": listed["next"]}).json()
    assert own["principal_id"] not in {item["principal_id"] for item in following["items"]}
    assert one.client.get("/v1/usage", params={"principal": "nobody"}).status_code == 404
    old = one.client.get("/v1/usage?from=2020-01-01&to=2020-01-31").json()
    assert (old["days"], old["total"]["rows"]) == ([], 0)
    assert one.client.get("/v1/usage?from=2020-01-02&to=2020-01-01").status_code == 422
    assert one.client.get("/v1/usage?from=2020-01-01&to=2022-01-01").status_code == 422

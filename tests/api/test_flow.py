"""The way of a job, from upload to report, through the real application and worker."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path

import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import pytest

from tests.platform import finished, fitted, platform, submit, table, upload


def test_upload_fit_generate_evaluate(database_url: str, tmp_path: Path) -> None:
    with platform(tmp_path, database_url) as one, one.worker():
        client = one.client
        dataset, model = fitted(client)
        holdout = upload(client, table(500), "holdout.csv")
        body = {"model_id": model, "rows": 3000, "seed": 5, "where": ["colour=red", "size>=50"]}
        job = finished(client, submit(client, "/v1/generate", body)["id"])
        assert job["status"] == "succeeded", job
        rows = client.get(job["result"]["url"])
        assert rows.headers["content-type"] == "text/csv; charset=utf-8"
        digest = hashlib.sha256(rows.content).digest()
        assert rows.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
        assert digest.hex() == job["result"]["sha256"]
        made = pyarrow.csv.read_csv(io.BytesIO(rows.content))
        assert made.num_rows == 3000
        assert set(made["colour"].to_pylist()) == {"red"}
        assert min(made["size"].to_pylist()) >= 50

        evaluated = finished(
            client,
            submit(
                client,
                "/v1/evaluations",
                {"dataset_id": dataset, "job_id": job["id"], "holdout_dataset_id": holdout},
            )["id"],
        )
        assert evaluated["status"] == "succeeded", evaluated
        found = client.get(f"/v1/evaluations/{evaluated['evaluation_id']}").json()
        assert found["report"]["rows"] == {"real": 2000, "synthetic": 3000, "holdout": 500}
        page = client.get(found["report_url"])
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "<svg" in page.text
        listed = client.get("/v1/evaluations").json()["items"]
        assert [item["id"] for item in listed] == [found["id"]]

        metrics = client.get("/metrics").text
        assert 'tabular_request_seconds_count{method="POST"' in metrics
        assert "synthdata_generation_rate{" in metrics


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with platform(tmp_path_factory.mktemp("flow")) as one, one.worker():
        dataset, model = fitted(one.client)
        yield one, dataset, model


READERS = {
    "csv": pyarrow.csv.read_csv,
    "parquet": pyarrow.parquet.read_table,
    "jsonl": pyarrow.json.read_json,
}


@pytest.mark.parametrize("kind", list(READERS))
def test_inline_rows_are_those_of_the_job(flow, kind: str) -> None:  # type: ignore[no-untyped-def]
    one, _, model = flow
    body = {"model_id": model, "rows": 200, "seed": 9, "format": kind}
    inline = one.client.post("/v1/generate", json={**body, "inline": True})
    assert inline.status_code == 200
    assert READERS[kind](io.BytesIO(inline.content)).num_rows == 200
    preferred = one.client.post("/v1/generate", json=body, headers={"Prefer": "wait=10"})
    assert preferred.headers["preference-applied"] == "wait"
    job = finished(one.client, submit(one.client, "/v1/generate", body)["id"])
    assert one.client.get(job["result"]["url"]).content == inline.content == preferred.content
    assert "tabular_rows_generated_total" in one.client.get("/metrics").text


def test_too_many_rows_are_not_waited_for(flow) -> None:  # type: ignore[no-untyped-def]
    one, _, model = flow
    body = {"model_id": model, "rows": 10_001}
    refused = one.client.post("/v1/generate", json={**body, "inline": True})
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
    preferred = one.client.post("/v1/generate", json=body, headers={"Prefer": "wait"})
    assert preferred.status_code == 202
    assert finished(one.client, preferred.json()["job"]["id"])["status"] == "succeeded"


def test_a_range_of_the_result(flow) -> None:  # type: ignore[no-untyped-def]
    one, _, model = flow
    job = finished(
        one.client, submit(one.client, "/v1/generate", {"model_id": model, "rows": 100})["id"]
    )
    url = job["result"]["url"]
    whole = one.client.get(url).content
    for asked, part in {
        "bytes=0-9": whole[:10],
        "bytes=10-": whole[10:],
        "bytes=-7": whole[-7:],
        "bytes=5-99999999": whole[5:],
    }.items():
        answer = one.client.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, part), asked
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")
    outside = one.client.get(url, headers={"Range": "bytes=99999999-"})
    assert (outside.status_code, outside.json()["code"]) == (416, "input.range")
    ignored = one.client.get(url, headers={"Range": "lines=1-2"})
    assert (ignored.status_code, ignored.content) == (200, whole)


def test_impossible_conditions_end_the_job_with_the_reason(flow) -> None:  # type: ignore[no-untyped-def]
    one, _, model = flow
    body = {"model_id": model, "rows": 10, "where": ["colour=purple"]}
    job = finished(one.client, submit(one.client, "/v1/generate", body)["id"])
    assert job["status"] == "failed"
    assert job["attempt"] == 1
    assert "purple" in json.dumps(job["error"])
    inline = one.client.post("/v1/generate", json={**body, "inline": True})
    assert inline.status_code == 422
    assert inline.json()["code"] == job["error"]["code"]


def test_the_same_idempotency_key_makes_one_job(flow) -> None:  # type: ignore[no-untyped-def]
    one, dataset, model = flow
    for path, body, other in (
        ("/v1/generate", {"model_id": model, "rows": 10}, {"model_id": model, "rows": 11}),
        ("/v1/models", {"dataset_id": dataset}, {"dataset_id": dataset, "seed": 1}),
    ):
        headers = {"Idempotency-Key": "once"} if path == "/v1/models" else {"Idempotency-Key": "1"}
        first = one.client.post(path, json=body, headers=headers)
        again = one.client.post(path, json=body, headers=headers)
        assert first.status_code == again.status_code == 202
        assert first.json()["job"]["id"] == again.json()["job"]["id"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        clash = one.client.post(path, json=other, headers=headers)
        assert (clash.status_code, clash.json()["code"]) == (409, "conflict.idempotency-key")
        other_caller = one.client.post(path, json=body, headers={**headers, **one.issue("admin")})
        assert other_caller.json()["job"]["id"] != first.json()["job"]["id"]


def test_a_model_must_be_fitted_and_is_needed_while_it_is_used(tmp_path: Path) -> None:
    with platform(tmp_path) as one:  # no worker: everything waits
        client = one.client
        dataset = upload(client, table(50))
        accepted = client.post("/v1/models", json={"dataset_id": dataset}).json()
        model, job = accepted["model"], accepted["job"]
        assert (model["status"], model["job_id"]) == ("queued", job["id"])
        early = client.post("/v1/generate", json={"model_id": model["id"], "rows": 5})
        assert (early.status_code, early.json()["code"]) == (409, "conflict")
        for path in (f"/v1/datasets/{dataset}", f"/v1/models/{model['id']}"):
            needed = client.delete(path)
            assert needed.status_code == 409
            assert job["id"] in needed.json()["hint"]
        for path in (f"/v1/jobs/{job['id']}/result",):
            assert client.get(path).status_code == 409
        assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
        assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
        assert client.delete(f"/v1/models/{model['id']}").status_code == 204
        assert client.get(f"/v1/models/{model['id']}").status_code == 404
        assert list(one.service.store.list()) == []


def test_deleting_removes_rows_and_objects(flow) -> None:  # type: ignore[no-untyped-def]
    one, _, _ = flow
    dataset, model = fitted(one.client, rows=100)
    assert any(f"datasets/{dataset}/" in info.key for info in one.service.store.list())
    assert one.client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert one.client.get(f"/v1/datasets/{dataset}").status_code == 404
    assert not any(f"datasets/{dataset}/" in info.key for info in one.service.store.list())
    left = one.client.get(f"/v1/models/{model}").json()
    assert left["dataset_id"] is None
    inline = {"model_id": model, "rows": 5, "inline": True}
    assert one.client.post("/v1/generate", json=inline).status_code == 200
    assert one.client.delete(f"/v1/models/{model}").status_code == 204
    assert not any(left["job_id"] in info.key for info in one.service.store.list())


def test_a_damaged_model_ends_the_job_as_failed(tmp_path: Path) -> None:
    with platform(tmp_path, TABULAR_JOB_MAX_ATTEMPTS="1") as one, one.worker():
        _, model = fitted(one.client, rows=100)
        (data,) = [
            path
            for path in (tmp_path / "objects").rglob("model@*")
            if not path.name.endswith("@ref")
        ]
        raw = bytearray(data.read_bytes())
        raw[len(raw) // 2] ^= 1
        data.write_bytes(raw)
        job = finished(
            one.client, submit(one.client, "/v1/generate", {"model_id": model, "rows": 5})["id"]
        )
        assert (job["status"], job["error"]["code"]) == ("failed", "unavailable.integrity")
        good = finished(
            one.client,
            submit(one.client, "/v1/models", {"dataset_id": upload(one.client, table(100))})["id"],
        )
        assert good["status"] == "succeeded"


def test_lists_are_paged_newest_first(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        ids = [upload(one.client, b"a\n1\n", f"t{i}.csv") for i in range(5)]
        seen: list[str] = []
        params: dict[str, str | int] = {"limit": 2}
        while True:
            page = one.client.get("/v1/datasets", params=params).json()
            seen += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            params["cursor"] = page["next"]
        assert seen == ids[::-1]
        for wrong in ({"limit": 0}, {"limit": 501}, {"cursor": "x"}):
            assert one.client.get("/v1/datasets", params=wrong).status_code == 422

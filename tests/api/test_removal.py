"""Deleting jobs and evaluations, and results that grow too old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabular.worker.retention import Retention
from tests.platform import Platform, finished, fitted, platform, submit, table, upload


@pytest.fixture
def one(database_url: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path, database_url, TABULAR_RESULT_RETENTION="30d") as opened:
        yield opened


def generated(one: Platform, model: str, **more: object) -> dict[str, object]:
    body = {"model_id": model, "rows": 50, "seed": 4, **more}
    job = finished(one.client, submit(one.client, "/v1/generate", body)["id"])
    assert job["status"] == "succeeded", job
    return job


def evaluated(one: Platform, dataset: str, job_id: object, holdout: str | None = None) -> str:
    body = {"dataset_id": dataset, "job_id": job_id, "holdout_dataset_id": holdout}
    job = finished(one.client, submit(one.client, "/v1/evaluations", body)["id"])
    assert job["status"] == "succeeded", job
    return str(job["evaluation_id"])


def objects(one: Platform, part: object) -> list[str]:
    return [info.key for info in one.service.store.list() if str(part) in info.key]


def grow_old(one: Platform, days: int) -> int:
    """What a worker does in so many days."""
    later = datetime.now(UTC) + timedelta(days=days)
    retention = one.settings.result_retention
    gone = Retention(one.service.database, retention, clock=lambda: later).expire()
    one.service.garbage.empty()
    return gone


def test_a_job_is_deleted_with_its_rows(one: Platform) -> None:
    client = one.client
    with one.worker():
        _, model = fitted(client, rows=100)
        headers = {"Idempotency-Key": "mine"}
        body = {"model_id": model, "rows": 50}
        accepted = client.post("/v1/generate", json=body, headers=headers).json()["job"]
        job = finished(client, accepted["id"])
    path = f"/v1/jobs/{job['id']}"
    assert objects(one, job["id"])
    assert client.delete(path, headers=one.issue("jobs:read")).status_code == 403
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == client.delete(path).status_code == 404
    assert client.get(f"{path}/result").status_code == 404
    assert objects(one, job["id"]) == []
    assert job["id"] not in client.get("/v1/jobs").text
    again = client.post("/v1/generate", json=body, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "conflict.idempotency-key")
    assert "was deleted" in again.json()["detail"]


def test_a_job_that_has_not_ended_or_has_made_something_stays(one: Platform) -> None:
    client = one.client
    with one.worker():
        dataset, model = fitted(client, rows=100)
        rows = generated(one, model)
        evaluation = evaluated(one, dataset, rows["id"])
    waiting = submit(client, "/v1/generate", {"model_id": model, "rows": 5})["id"]
    early = client.delete(f"/v1/jobs/{waiting}")
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert early.json()["hint"] == f"POST /v1/jobs/{waiting}/cancel first"
    assert client.post(f"/v1/jobs/{waiting}/cancel").status_code == 200
    assert client.delete(f"/v1/jobs/{waiting}").status_code == 204

    fit = client.get(f"/v1/models/{model}").json()["job_id"]
    judged = client.get(f"/v1/evaluations/{evaluation}").json()["job_id"]
    for job, maker in ((fit, f"/v1/models/{model}"), (judged, f"/v1/evaluations/{evaluation}")):
        kept = client.delete(f"/v1/jobs/{job}")
        assert (kept.status_code, kept.json()["hint"]) == (409, f"DELETE {maker} first")
        assert client.get(maker).status_code == 200
        assert client.delete(maker).status_code == 204
        assert client.get(maker).status_code == client.delete(maker).status_code == 404
        assert objects(one, job) == []
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{rows['id']}/result").status_code == 200


def test_rows_and_evaluations_stay_while_they_are_needed(one: Platform) -> None:
    client = one.client
    with one.worker():
        dataset, model = fitted(client, rows=100)
        rows = generated(one, model)
    body = {"dataset_id": dataset, "job_id": rows["id"]}
    accepted = client.post("/v1/evaluations", json=body).json()
    needing = accepted["job"]["id"]
    evaluation = accepted["evaluation"]["id"]
    for path in (f"/v1/jobs/{rows['id']}", f"/v1/evaluations/{evaluation}"):
        refused = client.delete(path)
        assert refused.status_code == 409
        assert needing in refused.json()["hint"]
    assert grow_old(one, 31) == 0  # not even for their age
    with one.worker():
        assert finished(client, needing)["status"] == "succeeded"
    assert grow_old(one, 31) == 2


def test_a_dataset_takes_the_reports_about_it_along(one: Platform) -> None:
    client = one.client
    with one.worker():
        dataset, model = fitted(client, rows=100)
        holdout, other = upload(client, table(60)), upload(client, table(70))
        rows = generated(one, model)
        both = evaluated(one, dataset, rows["id"], holdout)
        beside = evaluated(one, other, rows["id"])
        jobs = {
            item["id"]: item["job_id"] for item in client.get("/v1/evaluations").json()["items"]
        }
    assert objects(one, jobs[both])
    assert client.delete(f"/v1/datasets/{holdout}").status_code == 204
    assert client.get(f"/v1/evaluations/{both}").status_code == 404
    assert client.get(f"/v1/evaluations/{both}/report").status_code == 404
    assert objects(one, jobs[both]) == objects(one, holdout) == []
    assert client.get(f"/v1/evaluations/{beside}/report").status_code == 200
    assert client.get(f"/v1/datasets/{dataset}").status_code == 200
    assert client.delete(f"/v1/datasets/{other}").status_code == 204
    assert client.get("/v1/evaluations").json()["items"] == []
    assert objects(one, jobs[beside]) == []
    assert client.get(f"/v1/jobs/{rows['id']}/result").status_code == 200


def test_an_old_result_is_gone_and_can_be_had_again(one: Platform) -> None:
    client = one.client
    with one.worker():
        dataset, model = fitted(client, rows=100)
        job = generated(one, model)
        evaluation = evaluated(one, dataset, job["id"])
    path = f"/v1/jobs/{job['id']}"
    ends = datetime.fromisoformat(str(job["finished_at"])) + timedelta(days=30)
    assert datetime.fromisoformat(str(job["result_expires_at"])) == ends
    assert job["expired_at"] is None
    assert grow_old(one, 29) == 0
    assert client.get(f"{path}/result").status_code == 200

    assert grow_old(one, 31) == 2
    assert grow_old(one, 32) == 0
    gone = client.get(f"{path}/result")
    assert (gone.status_code, gone.json()["code"]) == (410, "gone.expired")
    assert "gives the same rows" in gone.json()["hint"]
    shown = client.get(path).json()
    assert (shown["status"], shown["result"]) == ("succeeded", job["result"])
    assert shown["result_expires_at"] is None
    assert shown["expired_at"] is not None
    report = client.get(f"/v1/evaluations/{evaluation}/report")
    assert (report.status_code, report.json()["code"]) == (410, "gone.expired")
    left = client.get(f"/v1/evaluations/{evaluation}").json()
    assert (left["status"], left["report"], left["report_url"]) == ("succeeded", None, None)
    assert objects(one, job["id"]) == objects(one, left["job_id"]) == []
    body = {"dataset_id": dataset, "job_id": job["id"]}
    assert client.post("/v1/evaluations", json=body).status_code == 410

    assert client.get(f"/v1/models/{model}").json()["status"] == "succeeded"  # models stay
    with one.worker():
        again = generated(one, model)
    assert again["result"]["sha256"] == job["result"]["sha256"]  # type: ignore[index]
    assert client.delete(path).status_code == 204
    assert client.delete(f"/v1/evaluations/{evaluation}").status_code == 204


def test_a_worker_removes_what_is_too_old_by_itself(tmp_path: Path) -> None:
    with platform(tmp_path, TABULAR_RESULT_RETENTION="1s") as one:
        with one.worker():
            _, model = fitted(one.client, rows=100)
            job = generated(one, model)
        with one.worker():  # looks when it starts, and then once a minute
            path = f"/v1/jobs/{job['id']}/result"
            deadline = datetime.now(UTC) + timedelta(seconds=30)
            while one.client.get(path).status_code != 410:
                assert datetime.now(UTC) < deadline
        assert objects(one, job["id"]) == []


def test_by_default_results_are_kept_for_ever(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        with one.worker():
            _, model = fitted(one.client, rows=100)
            job = generated(one, model)
        assert job["result_expires_at"] is None
        assert grow_old(one, 100_000) == 0

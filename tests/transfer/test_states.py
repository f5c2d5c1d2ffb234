"""Whatever state a service can leave in its database, a backup of it is made and restored.

Most of a database is what did not go well: jobs that failed, were cancelled or lost what they
made. A backup that only knows of successes fails on the day on which it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tabular.errors import IntegrityError, TabularError, UnavailableError
from tabular.infra.database.models import Evaluation, Garbage, Job, Model
from tabular.infra.database.usage_models import UsageReservation
from tabular.infra.storage import open_store
from tabular.transfer.backup import Backup
from tabular.transfer.drill import check
from tabular.transfer.place import Place
from tabular.transfer.restore import restore_into
from tabular.worker import accounting
from tabular.worker.jobs import Jobs, Lease
from tabular.worker.retention import Retention
from tests.platform import SECRET, Platform, finished, platform, submit, table, upload
from tests.testbed.postgres import Postgres
from tests.transfer.conftest import PARTS, fill

PIECES = [(0, 262_144), (262_144, 37_856)]
NO_ANSWER = UnavailableError("the store does not answer")
FAULT = TabularError("it went wrong")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def used(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform with something in every state; no worker runs any more."""
    url = None
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create_database("every_state")
    with platform(tmp_path_factory.mktemp("used"), url, **PARTS) as one:
        with one.worker():
            old = fill(one)
            judged(one, old.dataset, old.split)
            expire(one)  # rows, rows in parts and two reports
            model, dataset = old.model, old.dataset
            whole, split = generated(one, model, 500), generated(one, model, 300_000)
            judged(one, dataset, split)
            deleted = judged(one, dataset, whole)
            assert one.client.delete(f"/v1/evaluations/{deleted}").status_code == 204
            removed = generated(one, model, 300_000)
            assert one.client.delete(f"/v1/jobs/{removed}").status_code == 204
            lonely(one)
            impossible(one, model)
        in_between(one, model, dataset)
        yield one


def generated(one: Platform, model: str, rows: int) -> str:
    """A generation that succeeded."""
    asked = {"model_id": model, "rows": rows, "seed": 3, "format": "parquet"}
    job = finished(one.client, submit(one.client, "/v1/generate", asked)["id"])
    assert job["status"] == "succeeded", job
    return str(job["id"])


def judged(one: Platform, dataset: str, job: str) -> str:
    """An evaluation that succeeded."""
    asked = {"dataset_id": dataset, "job_id": job}
    ended = finished(one.client, submit(one.client, "/v1/evaluations", asked)["id"])
    assert ended["status"] == "succeeded", ended
    return str(ended["evaluation_id"])


def expire(one: Platform) -> None:
    """Let go of every result so far, for its age."""
    assert Retention(one.service.database, timedelta(0)).expire() >= 4


def lonely(one: Platform) -> None:
    """A model without its dataset, and rows without their model."""
    datasets = [upload(one.client, table(300 + n)) for n in range(2)]
    for number, dataset in enumerate(datasets):
        job = finished(one.client, submit(one.client, "/v1/models", {"dataset_id": dataset})["id"])
        model = job["model_id"]
        generated(one, model, 50)
        assert one.client.delete(f"/v1/datasets/{dataset}").status_code == 204
        if number:
            assert one.client.delete(f"/v1/models/{model}").status_code == 204


def impossible(one: Platform, model: str) -> None:
    """Rows that cannot be: the worker finds out."""
    asked = {"model_id": model, "rows": 10, "seed": 1, "where": ["size>=1000000"]}
    job = submit(one.client, "/v1/generate", asked)
    assert finished(one.client, job["id"])["status"] == "failed"


def in_between(one: Platform, model: str, dataset: str) -> None:
    """What no worker runs for: jobs in each state on the way, as their transactions leave them."""
    jobs = Jobs(one.service.database, max_tries=3)
    small = {"model_id": model, "rows": 100, "seed": 1}
    large = {"model_id": model, "rows": 300_000, "seed": 1}

    def claimed(body: dict[str, Any], path: str = "/v1/generate") -> Lease:
        job = submit(one.client, path, body)["id"]
        lease = jobs.claim("test")
        assert lease is not None
        assert lease.job.id == job, "another job waits before it"
        return lease

    def split() -> tuple[Lease, Lease]:
        lease = claimed(large)
        jobs.split(lease, PIECES)
        part = jobs.claim("test")
        assert part is not None
        assert part.part is not None
        return lease, part

    jobs.fail(claimed(small), FAULT, retry=False)
    jobs.fail(claimed({"dataset_id": dataset}, "/v1/models"), FAULT, retry=False)
    jobs.fail(split()[1], FAULT, retry=False)
    jobs.cancel(split()[0].job.id)
    asked = claimed(small)
    jobs.cancel(asked.job.id)
    jobs.cancelled(asked)
    without_result(one, jobs, claimed(small))
    runs = claimed(small)
    jobs.beat(runs, 0.5)
    jobs.cancel(claimed(small).job.id)  # asked for, and not yet seen by its worker
    claimed({"dataset_id": dataset}, "/v1/models")
    _, part = split()
    jobs.finish(part, {"key": f"{part.folder}/rows", "size": 3, "head": 0})
    other = jobs.claim("test")
    assert other is not None
    jobs.postpone(other, NO_ANSWER, spent=5.0)
    jobs.fail(claimed(small), FAULT, retry=True)
    jobs.postpone(claimed(small), NO_ANSWER, spent=5.0)
    jobs.release(claimed(small))
    waits = submit(one.client, "/v1/generate", small)["id"]
    jobs.cancel(waits)
    submit(one.client, "/v1/generate", small)
    begun_and_held(one)


def without_result(one: Platform, jobs: Jobs, lease: Lease) -> None:
    """A job that succeeded and says nothing of what it made, as no release should leave it."""
    jobs.finish(lease, {})
    with one.service.database.transaction() as session:
        session.execute(update(Job).where(Job.id == lease.job.id).values(result=None))


def begun_and_held(one: Platform) -> None:
    """An upload that has begun, rows that a request generates, a key that ended."""
    one.service.garbage.begin("datasets/begun")
    open_store(one.settings.storage_url).put("datasets/begun/data", b"half of it")
    key = one.service.keys.issue("gone", ["admin"])
    one.service.keys.revoke(key.key.split(".")[1])
    with one.service.database.transaction() as session:
        accounting.reserve(session, "key", 5, datetime.now(UTC))


def states(session: Session) -> dict[str, Any]:
    """What of the jobs, models and evaluations stays as it was."""
    query = select(Job.id, Job.status, Job.result, Job.error, Job.expired_at).order_by(Job.seq)
    ended = {row.id: tuple(row) for row in session.execute(query) if row.status != "running"}
    models = select(Model.id, Model.dataset_id, Model.object_key, Model.details)
    reports = select(Evaluation.id, Evaluation.report_key, Evaluation.page_key)
    return {
        "jobs": ended,
        "models": [tuple(row) for row in session.execute(models.order_by(Model.seq))],
        "evaluations": [tuple(row) for row in session.execute(reports.order_by(Evaluation.seq))],
    }


def answers(client: httpx.Client) -> dict[str, tuple[int, bytes]]:
    """What everything that can be downloaded gives."""
    found = {}
    for kind, tail in (("jobs", "/result"), ("evaluations", "/report"), ("datasets", "")):
        items = client.get(f"/v1/{kind}", params={"limit": 100}).json()["items"]
        for item in items:
            if item.get("status") in ("running", "queued"):
                continue
            path = f"/v1/{kind}/{item['id']}{tail}"
            answer = client.get(path)
            problem = answer.status_code >= 400  # which tells the number of the request
            found[path] = (answer.status_code, b"" if problem else answer.content)
    return found


@pytest.mark.slow
def test_every_state_is_backed_up_and_comes_back(
    used: Platform, plain: Place, tmp_path: Path
) -> None:
    before, given = read(used), answers(used.client)
    assert {200, 409, 410} <= {code for code, _ in given.values()}
    with used.service.database.session() as session:
        assert {*session.scalars(select(Job.status))} == {
            "queued", "running", "succeeded", "failed", "cancelled",
        }  # fmt: skip
        assert session.scalar(select(Job.id).where(Job.parts.is_not(None), Job.status == "running"))
    made = Backup(used.settings, plain).run()
    tried = check(plain, made.id, restore=True, secret=SECRET)
    assert tried["ok"], tried
    manifest, _ = plain.read(made.id)
    assert not [entry.key for entry in manifest.objects if entry.key.startswith("datasets/begun")]
    folder = tmp_path / "new"
    url, store = f"sqlite:///{folder}/tabular.db", open_store(f"{folder.as_uri()}/objects")
    done = restore_into(plain, manifest, url, store)
    assert (done.requeued, done.cancelled) == (3, 1)  # one of them in parts
    with platform(folder, **PARTS) as one:
        one.client.headers["Authorization"] = f"Bearer {used.key}"
        after = read(one)
        now = {name: after["jobs"][name] for name in before["jobs"]}
        assert {**after, "jobs": now} == before
        again = answers(one.client)
        assert {path: again[path] for path in given} == given
        with one.service.database.session() as session:
            assert session.scalar(select(UsageReservation.id)) is None
            assert session.scalar(select(Garbage.seq).where(Garbage.prefix == "datasets/begun"))
        ends(one)


def read(one: Platform) -> dict[str, Any]:
    with one.service.database.session() as session:
        return states(session)


def ends(one: Platform) -> None:
    """Every job that waits there ends."""
    with one.worker():
        for job in one.client.get("/v1/jobs", params={"limit": 100}).json()["items"]:
            if job["status"] in ("queued", "running"):
                assert finished(one.client, job["id"])["status"] == "succeeded"


def test_a_result_that_names_no_objects_is_an_error_and_no_half_backup(
    plain: Place, tmp_path: Path
) -> None:
    """A later release may keep rows in a way that this one does not know."""
    with platform(tmp_path / "platform") as one:
        jobs = Jobs(one.service.database, max_tries=3)
        with one.service.database.transaction() as session:
            jobs.submit(session, "generate", {"rows": 1}, created_by="key")
        lease = jobs.claim("test")
        assert lease is not None
        for result in ({"volumes": ["a"]}, {"pieces": [[]]}, {"pieces": None}):
            with one.service.database.transaction() as session:
                session.execute(update(Job).values(status="succeeded", result=result))
            with pytest.raises(IntegrityError, match="names no objects"):
                Backup(one.settings, plain).run()
    assert plain.ids() == []

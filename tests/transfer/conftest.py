"""A platform with data, and places to back it up to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from tabular.infra.config import Settings
from tabular.infra.database.models import Job
from tabular.infra.storage import ObjectStore, open_store
from tabular.transfer.place import Place, create_place
from tabular.transfer.sealing import Keys
from tests.platform import SECRET, Platform, finished, fitted, platform, submit

PHRASE = Keys(passphrase="correct horse battery staple")
PLAIN = Keys(unencrypted=True)
PARTS = {"TABULAR_PART_ROWS": "262144"}  # the smallest; what has more rows is split


@dataclass(frozen=True)
class Filled:
    """A platform with one of each.

    Attributes:
        rows: what the generation made.
        split, split_rows: a generation in parts, and what it made.
    """

    settings: Settings
    key: str
    dataset: str
    model: str
    job: str
    rows: bytes
    split: str
    split_rows: bytes


@contextlib.contextmanager
def filled(folder: Path, database_url: str | None = None, **more: str) -> Iterator[Filled]:
    """A platform with a dataset, a model, rows and an evaluation, which runs on."""
    with platform(folder, database_url, **PARTS, **more) as one, one.worker():
        yield fill(one)


def fill(one: Platform) -> Filled:
    """Make one of each; a worker must run that splits what is larger than `PARTS` say."""
    dataset, model = fitted(one.client, 300)
    asked = {"model_id": model, "rows": 500, "seed": 7, "format": "csv"}
    job = finished(one.client, submit(one.client, "/v1/generate", asked)["id"])
    assert job["status"] == "succeeded", job
    judged = {"dataset_id": dataset, "job_id": job["id"]}
    ended = finished(one.client, submit(one.client, "/v1/evaluations", judged)["id"])
    assert ended["status"] == "succeeded", ended
    large = {"model_id": model, "rows": 300_000, "seed": 7, "format": "parquet"}
    split = finished(one.client, submit(one.client, "/v1/generate", large)["id"])
    assert split["status"] == "succeeded", split
    with one.service.database.session() as session:
        result = session.scalar(select(Job.result).where(Job.id == split["id"]))
    assert result is not None
    assert len(result["pieces"]) == 3, result  # two parts and the end of the file
    rows, split_rows = (
        one.client.get(f"/v1/jobs/{made['id']}/result").content for made in (job, split)
    )
    return Filled(
        one.settings, one.key, dataset, model, str(job["id"]), rows, str(split["id"]), split_rows
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A platform on SQLite and files that the tests of a module share."""
    with filled(tmp_path_factory.mktemp("platform")) as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store for backups."""
    return open_store(f"{tmp_path.as_uri()}/backups")


@pytest.fixture
def plain(store: ObjectStore) -> Place:
    """A place of unencrypted backups."""
    return create_place(store, PLAIN, SECRET)

"""Backups from outside: a deployment is backed up while it works, and restored into another."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import on_terminal, run
from tests.platform import ENDED, table, upload

PHRASE = {"BACKUP_PASSPHRASE": "correct horse battery staple"}
SECRET = ("--passphrase", "env:BACKUP_PASSPHRASE")
SPEC = """\
apiVersion: synthdata.inferloop.io/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  database: {{type: {database}}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, where nothing runs on when the test has failed."""
    yield tmp_path
    for name in ("first", "second"):
        gone = run("destroy", "--name", name, "--yes", "--delete-data", home=tmp_path)
        assert gone.code == 0, gone.err


def deploy(home: Path, name: str, database: str) -> tuple[httpx.Client, str]:
    """A deployment's client, and its administrator's key."""
    file = home / f"{name}.yaml"
    file.write_text(SPEC.format(name=name, database=database))
    done = run("deploy", "--config", str(file), "--yes", "--json", home=home)
    assert done.code == 0, done.err
    url, key = done.json["url"], done.json["api_key"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30), key


def finished(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A job once it has ended well."""
    answer = client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()["job"]
    deadline = time.monotonic() + 90
    while job["status"] not in ENDED:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    assert job["status"] == "succeeded", job
    return job


@pytest.mark.parametrize(
    ("database", "other"),
    [
        ("postgresql", "sqlite"),
        pytest.param("sqlite", "postgresql", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.slow
def test_backup_restore_into_a_second_deployment(home: Path, database: str, other: str) -> None:
    client, key = deploy(home, "first", database)
    dataset = upload(client, table(500))
    model = finished(client, "/v1/models", {"dataset_id": dataset})["model_id"]
    asked = {"model_id": model, "rows": 300, "seed": 3, "format": "csv"}
    job = finished(client, "/v1/generate", asked)
    rows = client.get(f"/v1/jobs/{job['id']}/result").content
    # A job that waits or runs at the moment of the backup.
    waiting = client.post("/v1/generate", json={**asked, "rows": 50_000}).json()["job"]["id"]

    place = (home / "backups").as_uri()
    said = run("backup", "create", "--name", "first", "--to", place, home=home)
    assert said.code == 1
    assert "nothing says how to encrypt" in said.err
    create = ("backup", "create", "--name", "first", "--to", place, *SECRET, "--json")
    made = run(*create, home=home, extra=PHRASE)
    assert made.code == 0, made.err
    assert made.json["encryption"] == "age-passphrase"

    listed = run("backup", "list", "--from", place, home=home)
    assert made.json["id"] in listed.out
    assert made.json["id"] in on_terminal(80, "backup", "list", "--from", place, home=home)
    assert "never" in listed.out
    wrong = {"BACKUP_PASSPHRASE": "not the right passphrase"}
    refused = run("backup", "verify", "--from", place, *SECRET, home=home, extra=wrong)
    assert refused.code == 1
    assert "does not open this backup" in refused.err
    tried = run("backup", "verify", "--from", place, *SECRET, "--restore", home=home, extra=PHRASE)
    assert tried.code == 0, tried.err + tried.out
    assert "Restored and compared" in tried.out
    assert "restored" in run("backup", "list", "--from", place, home=home).out

    second, own_key = deploy(home, "second", other)
    into = ("backup", "restore", "--name", "second", "--from", place, *SECRET)
    asked_first = run(*into, home=home, extra=PHRASE)
    assert asked_first.code == 2
    assert "--yes" in asked_first.err
    done = run(*into, "--yes", "--json", home=home, extra=PHRASE)
    assert done.code == 0, done.err
    assert done.json["compared"] is True
    assert second.get("/v1/datasets").status_code == 401, own_key
    second.headers["Authorization"] = f"Bearer {key}"
    assert [item["id"] for item in second.get("/v1/datasets").json()["items"]] == [dataset]
    assert second.get(f"/v1/jobs/{job['id']}/result").content == rows
    again = finished(second, "/v1/generate", asked)
    assert second.get(f"/v1/jobs/{again['id']}/result").content == rows
    there = second.get(f"/v1/jobs/{waiting}").json()
    assert there["status"] in ("queued", "running", "succeeded"), there

    refused = run(*into, "--yes", home=home, extra=PHRASE)
    assert refused.code == 3
    assert "not empty" in refused.err
    more = run(*create, home=home, extra=PHRASE)
    assert more.json["added"] < more.json["size"]
    pruned = run("backup", "prune", "--from", place, *SECRET, "--keep", "1", "--yes", "--json",
                 home=home, extra=PHRASE)  # fmt: skip
    assert pruned.json["forgotten"] == [made.json["id"]]
    shown = run("backup", "list", "--from", place, "--json", home=home).json
    assert [one["id"] for one in shown] == [more.json["id"]]
    log = home / ".local/state/inferloop-tabular/audit.jsonl"
    if log.exists():
        actions = [json.loads(line)["action"] for line in log.read_text().splitlines()]
        assert {"backup", "restore"} <= set(actions)

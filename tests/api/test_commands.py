"""The commands that a deployment runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from tabular.infra.database import Database
from tabular.infra.database.models import AuditEvent
from tests.platform import environment
from tests.testbed.postgres import Postgres


def run(folder: Path, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment(folder), **changes}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={name: value for name, value in env.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_create_key_prints_it_once(tmp_path: Path) -> None:
    early = run(tmp_path, "tabular.api", "create-key", "--name", "a")
    assert early.returncode == 1
    assert "python -m tabular.api migrate" in early.stderr
    assert run(tmp_path, "tabular.api", "migrate").returncode == 0
    create = ("tabular.api", "create-key", "--name", "first", "--json")
    first = json.loads(run(tmp_path, *create, "--if-none").stdout)
    assert first["name"] == "first"
    assert first["key"].split(".")[:2] == ["ift", first["id"]]
    again = json.loads(run(tmp_path, *create, "--if-none").stdout)
    assert again == {"id": None, "name": "first", "key": None}
    more = json.loads(run(tmp_path, *create, "--scopes", "jobs:read,generate").stdout)
    assert more["key"] != first["key"]
    database = Database(environment(tmp_path)["TABULAR_DATABASE_URL"])
    with database.session() as session:
        kept = [(e.event, e.resource, e.client) for e in session.scalars(select(AuditEvent))]
    database.close()
    assert kept == [("key.created", made["id"], "console") for made in (first, more)]
    wrong = run(tmp_path, *create, "--scopes", "everything")
    assert wrong.returncode == 1
    assert "unknown scope" in wrong.stderr


@pytest.mark.parametrize("command", [("tabular.api", "serve"), ("tabular.worker",)])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TABULAR_SECRET_KEY": None}, "TABULAR_SECRET_KEY is required"),
        ({"TABULAR_SECRET_KEY": "changeme" * 5}, "too easy to guess"),
        ({"TABULAR_STORGE_URL": "x"}, "TABULAR_STORAGE_URL"),
        ({"TABULAR_DATABASE_URL": "oracle://x"}, "no database driver"),
    ],
)
def test_wrong_settings_are_refused_without_a_traceback(
    tmp_path: Path, command: tuple[str, ...], change: dict[str, str | None], words: str
) -> None:
    done = run(tmp_path, *command, **change)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_waits_for_a_database_that_is_just_being_made(
    tmp_path: Path, postgres: Postgres
) -> None:
    name = "made_later"
    url = postgres.url(name)
    at_once = run(tmp_path, "tabular.api", "migrate", TABULAR_DATABASE_URL=url)
    assert at_once.returncode == 1
    assert "waiting" not in at_once.stderr
    with subprocess.Popen(
        [sys.executable, "-m", "tabular.api", "migrate", "--wait", "60"],
        env={**os.environ, **environment(tmp_path), "TABULAR_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("waiting: ")
        postgres.create_database(name)
        out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "the schema is at revision" in out


def test_migrate_does_not_wait_for_wrong_settings_to_get_right(tmp_path: Path) -> None:
    wrong = {"TABULAR_DATABASE_URL": "oracle://x"}
    done = run(tmp_path, "tabular.api", "migrate", "--wait", "600", **wrong)
    assert done.returncode == 1
    assert "no database driver" in done.stderr

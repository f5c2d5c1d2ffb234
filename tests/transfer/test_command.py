"""`python -m tabular.transfer`, as a container of the platform runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tabular.infra.database import Database
from tabular.infra.storage import open_store
from tabular.transfer.backup import Backup
from tabular.transfer.hold import holding
from tabular.transfer.place import create_place
from tabular.transfer.sealing import Keys, keygen
from tabular.transfer.verify import newer
from tests.platform import SECRET, environment
from tests.testbed.s3 import S3
from tests.transfer.conftest import Filled


def command(*arguments: str, env: dict[str, str], code: int = 0) -> tuple[Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tabular.transfer", *arguments],
        env={**os.environ, **env, "PHRASE": "correct horse battery staple"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.mark.slow
def test_a_service_backs_itself_up_and_another_takes_it_over(
    source: Filled, tmp_path: Path
) -> None:
    settings = source.settings
    env = environment(tmp_path, settings.database_url, TABULAR_STORAGE_URL=settings.storage_url)
    place, keys = f"{tmp_path.as_uri()}/backups", ("--passphrase", "env:PHRASE")
    made, _ = command("create", "--to", place, *keys, env=env)
    assert made["objects"] >= 10
    found, _ = command("verify", "--from", place, *keys, "--restore", env=env)
    assert found["ok"]
    new = environment(tmp_path / "new")
    done, _ = command("restore", "--from", place, *keys, env=new)
    assert done["objects"] == made["objects"]
    other = {**new, "TABULAR_SECRET_KEY": "another secret key of thirty-two characters"}
    _, said = command("restore", "--from", place, *keys, env=other, code=1)
    assert "secret key" in said
    assert new["TABULAR_SECRET_KEY"] not in said


@pytest.mark.slow
def test_the_store_of_backups_has_keys_of_its_own_and_old_backups_are_forgotten(
    source: Filled, tmp_path: Path, s3: S3
) -> None:
    settings = source.settings
    env = environment(tmp_path, settings.database_url, TABULAR_STORAGE_URL=settings.storage_url)
    # The service's own keys, which are wrong for that store.
    env |= {"AWS_ACCESS_KEY_ID": "another", "AWS_SECRET_ACCESS_KEY": "another-secret"}
    (tmp_path / "id").write_text(s3.credentials["access_key_id"])
    (tmp_path / "key").write_text(s3.credentials["secret_access_key"])
    own = ("--access-key", f"file:{tmp_path}/id", "--secret-access-key", f"file:{tmp_path}/key")
    to = s3.create_bucket("copies") + "&region=us-east-1"
    place = create_place(open_store(to, credentials=s3.credentials), Keys(unencrypted=True), SECRET)
    old = datetime.now(UTC) - timedelta(days=40)
    first = Backup(settings, place, clock=lambda: old).run().id
    _, said = command("create", "--to", to, "--unencrypted", env=env, code=5)
    assert "another-secret" not in said
    keep = ("--unencrypted", "--keep-days", "30")
    database = Database(settings.database_url)
    with holding(database, "somebody else's backup"):
        made, said = command("create", "--to", to, *keep, *own, env=env)
    assert made["forgotten"] == []
    assert "another one is being made" in said
    made, _ = command("create", "--to", to, *keep, *own, env=env)
    assert made["forgotten"] == [first]
    assert len(place.ids()) == 2
    # The last one stays, however old it is.
    assert newer(place, datetime.now(UTC) + timedelta(days=1)) == 1
    secret = ("--unencrypted", *own)
    found, _ = command("verify", "--from", to, *secret, "--restore", env=env)
    assert found["ok"]
    _, said = command("create", "--to", to, "--unencrypted", *own[:2], env=env, code=2)
    assert "go together" in said


@pytest.mark.slow
def test_a_schedule_that_knows_public_keys_alone_forgets_old_backups(
    source: Filled, tmp_path: Path
) -> None:
    settings = source.settings
    env = environment(tmp_path, settings.database_url, TABULAR_STORAGE_URL=settings.storage_url)
    to, (_, public) = f"{tmp_path.as_uri()}/backups", keygen()
    place = create_place(open_store(to), Keys(recipients=(public,)), SECRET)
    old = datetime.now(UTC) - timedelta(days=40)
    first = Backup(settings, place, clock=lambda: old).run().id
    made, _ = command("create", "--to", to, "--recipient", public, "--keep-days", "30", env=env)
    assert made["forgotten"] == [first]


def test_days_are_a_number(tmp_path: Path) -> None:
    for days in ("0", "-1", "many"):
        _, said = command("create", "--to", "file:///x", "--keep-days", days, env={}, code=2)
        assert "number of days" in said

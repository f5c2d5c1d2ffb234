"""`python -m tabular.transfer`, as a container of the platform runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.platform import environment
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

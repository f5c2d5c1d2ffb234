"""The command of the API's init container, against servers that others wrote."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tabular.deploy.onprem.bucket import make_bucket
from tabular.errors import ConfigError, TabularError, UnavailableError
from tabular.infra.storage import open_store
from tests.testbed.ports import free_port
from tests.testbed.s3 import S3, rclone_s3


def test_the_bucket_is_made_once_and_found_afterwards(s3: S3) -> None:
    url = s3.url("made-by-us", "tabular") + "&region=us-east-1"
    make_bucket(url, credentials=s3.credentials)
    store = open_store(url, credentials=s3.credentials)
    store.put("a/b", [b"rows"])
    make_bucket(url, credentials=s3.credentials)
    assert b"".join(store.get("a/b")) == b"rows"


def test_as_the_init_container_runs_it(tmp_path: Path) -> None:
    with rclone_s3(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tabular.deploy.onprem.bucket"],
            env={**os.environ, **server.environ, "TABULAR_STORAGE_URL": server.url("mine", "t")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"mine" in server.rclone("lsd", "remote:")


def test_wrong_keys_are_told_and_not_tried_for_minutes(s3: S3) -> None:
    wrong = {"access_key_id": "nobody", "secret_access_key": "wrong"}
    with pytest.raises(ConfigError, match="403") as refused:
        make_bucket(s3.url("another"), credentials=wrong)
    assert "storage-access-key" in str(refused.value)
    assert "wrong" not in str(refused.value)


def test_it_waits_for_a_store_that_comes_up(s3: S3) -> None:
    nobody = s3.url("late").replace(s3.endpoint, f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="ConnectError"):
        make_bucket(nobody, credentials=s3.credentials, patience=1)
    assert time.monotonic() - began < 5


def test_many_at_once_make_it(s3: S3) -> None:
    url = s3.url("by-many")
    failed: list[TabularError] = []

    def make() -> None:
        try:
            make_bucket(url, credentials=s3.credentials)
        except TabularError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []

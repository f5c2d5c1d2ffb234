"""The test bed itself: each server is real, is reached, and is gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.testbed import parts
from tests.testbed.ports import free_port, is_free
from tests.testbed.postgres import Postgres
from tests.testbed.s3 import S3
from tests.testbed.valkey import Valkey, valkey_server


def test_postgres_is_version_18_and_each_test_has_its_own_database(
    postgres: Postgres, postgres_url: str
) -> None:
    sqlalchemy = parts.module("sqlalchemy", package="sqlalchemy")
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.connect() as connection:
        version = connection.execute(sqlalchemy.text("show server_version")).scalar()
        tables = sqlalchemy.inspect(connection).get_table_names()
    engine.dispose()
    assert version.startswith("18")
    assert tables == []
    assert psutil.Process(postgres.pid).username() != "root"


def test_valkey_answers(valkey: Valkey, valkey_url: str) -> None:
    redis = parts.module("redis", package="redis")
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        assert client.info("server")["tcp_port"] == valkey.port


def test_s3_keeps_what_another_client_wrote(s3: S3, bucket_url: str) -> None:
    s3.rclone("rcat", f"{s3.remote(bucket_url)}/a/b", data=b"hello")
    assert s3.rclone("cat", f"{s3.remote(bucket_url)}/a/b") == b"hello"


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as server:
        assert not is_free(server.port)
    assert not psutil.pid_exists(server.pid)
    assert is_free(server.port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_server_ends_with_a_killed_test_process(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from tests.testbed.valkey import valkey_server\n"
        "with valkey_server(Path(sys.argv[1]), port=int(sys.argv[2])) as server:\n"
        "    print(server.pid, flush=True); time.sleep(60)"
    )
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(port)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while not is_free(port):
        assert time.monotonic() < deadline, f"the server {pid} outlived its parent"
        time.sleep(0.05)


def test_what_is_missing_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="pip install no-such-package"):
        parts.module("no_such_module", package="no-such-package")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs the program"):
        parts.binary("no-such-program", package="no-such-package")

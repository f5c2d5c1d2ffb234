"""The audit log keeps a record of every action, also of those that were cut off."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tabular.deploy.audit import AuditLog
from tabular.deploy.target import Target
from tabular.errors import ApplyError, PreflightError

TARGET = Target("standalone", "demo", "development")


def test_an_action_leaves_its_start_and_its_end(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "new" / "audit.jsonl", clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    with log.action("deploy", TARGET, changes={"create": 3}):
        pass
    started, done = log.records()
    assert (started["outcome"], done["outcome"]) == ("started", "done")
    assert started["id"] == done["id"]
    assert started["target"] == "standalone/development/demo"
    assert started["changes"] == {"create": 3}
    assert started["time"] == "2026-01-02T00:00:00+00:00"


def test_a_failure_is_recorded_with_its_code_and_raised(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises(ApplyError), log.action("deploy", TARGET):
        raise ApplyError("no", rolled_back=True)
    assert [r["outcome"] for r in log.records()] == ["started", "failed"]
    assert list(log.records())[-1]["code"] == "engine.apply-failed"


def _hang(path: Path) -> None:
    with AuditLog(path).action("destroy", TARGET):
        time.sleep(60)


def test_a_killed_client_leaves_its_start(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=_hang, args=(path,))
    process.start()
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert [r["outcome"] for r in AuditLog(path).records()] == ["started"]


@pytest.mark.parametrize("place", ["/proc/none/audit.jsonl", "/dev/full"])
def test_nothing_is_done_unrecorded(place: str) -> None:
    with (
        pytest.raises(PreflightError, match="audit log") as caught,
        AuditLog(Path(place)).action("deploy", TARGET),
    ):
        pytest.fail("it was done")
    assert caught.value.where == place


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with log.action("deploy", TARGET):
        pass
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def _append(path: Path, count: int) -> None:
    for _ in range(count):
        with AuditLog(path).action("deploy", TARGET, padding="x" * 500):
            pass


def test_lines_of_concurrent_clients_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("spawn")
    clients = [context.Process(target=_append, args=(path, 25)) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(list(AuditLog(path).records())) == 150


_FILLS_UP = """
import resource, sys
from pathlib import Path
from tabular.deploy.audit import AuditLog
from tabular.deploy.target import Target
from tabular.errors import ApplyError, EngineError

log, target = AuditLog(Path(sys.argv[1]), actor="me"), Target("standalone", "demo", "development")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def limited():  # as a disk that fills up while the action runs, in the middle of a line
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 20, hard))

try:
    with log.action("destroy", target):
        limited()
except EngineError as error:
    print(error.exit_code, error.code, "|", error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    with log.action("deploy", target):
        limited()
        raise ApplyError("its own reason", rolled_back=True, hint="mend")
except ApplyError as error:
    print(error.message, "|", error.hint)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
with log.action("deploy", target):
    pass
"""


def test_a_disk_that_fills_up_meanwhile_hides_neither_the_end_nor_the_reason(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _FILLS_UP, str(path)], capture_output=True, text=True, check=True
    )
    destroyed, failed = done.stdout.splitlines()
    assert destroyed.startswith("5 engine.audit-end | the destroy was carried out, but")
    assert failed.startswith("its own reason | mend; the audit log cannot be written")
    assert [r["outcome"] for r in AuditLog(path).records()] == ["started"] * 3 + ["done"]

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tabular.errors import NotFoundError, TableError, TabularError
from tabular.worker import wire
from tabular.worker.process import ChildProcess

CHILD = """
import json, os, signal, sys, time
lines = iter(sys.stdin)
next(lines)
for line in lines:
    task = json.loads(line)
    def say(**message):
        print(json.dumps(message), flush=True)
    if task["kind"] == "die":
        os.kill(os.getpid(), task["signal"])
    if task["kind"] == "heir":  # dies, and leaves its output to a process of its own
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    if task["kind"] == "close":
        os.close(1)
        time.sleep(60)
    if task["kind"] == "exit":
        sys.exit(7)
    if task["kind"] == "sleep":
        say(event="progress", fraction=0.5, rows=3)
        time.sleep(60)
    memory = task.get("memory", 0)
    say(event="done", result={"pid": os.getpid(), "scratch": task["scratch"]}, memory=memory)
"""


class StopError(Exception):
    pass


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """A child that does as it is told, which the real one does not."""
    file = tmp_path / "child.py"
    file.write_text(CHILD)
    return [sys.executable, str(file)]


@pytest.fixture
def stand_in(program: list[str]) -> Iterator[ChildProcess]:
    child = ChildProcess("memory://x", command=program)
    yield child
    child.close()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[ChildProcess]:
    child = ChildProcess(f"file://{tmp_path}/objects")
    yield child
    child.close()


def test_a_child_is_used_again(stand_in: ChildProcess) -> None:
    first = stand_in.run({"kind": "echo"})
    assert stand_in.run({"kind": "echo"})["pid"] == first["pid"] != os.getpid()
    assert not Path(first["scratch"]).exists()


def test_a_child_can_be_started_ahead(stand_in: ChildProcess) -> None:
    assert stand_in.pid is None
    stand_in.warm()
    assert stand_in.run({"kind": "echo"})["pid"] == stand_in.pid


def test_a_child_that_has_grown_is_replaced(stand_in: ChildProcess) -> None:
    first = stand_in.run({"kind": "echo", "memory": 2**40})
    assert stand_in.run({"kind": "echo"})["pid"] != first["pid"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_told_and_the_next_task_runs(
    stand_in: ChildProcess, number: signal.Signals
) -> None:
    with pytest.raises(TabularError, match=number.name) as caught:
        stand_in.run({"kind": "die", "signal": number})
    assert caught.value.code == "job.crashed"
    assert not wire.is_final(caught.value)
    assert stand_in.run({"kind": "echo"})


def test_an_exit_is_told(stand_in: ChildProcess) -> None:
    with pytest.raises(TabularError, match="exit code 7"):
        stand_in.run({"kind": "exit"})


def test_a_tick_that_raises_stops_the_task(stand_in: ChildProcess) -> None:
    seen: list[tuple[float, int]] = []
    first = stand_in.run({"kind": "echo"})["pid"]

    def tick() -> None:
        if seen:
            raise StopError

    begun = time.monotonic()
    with pytest.raises(StopError):
        stand_in.run(
            {"kind": "sleep"}, on_progress=lambda *at: seen.append(at), tick=tick, interval=0.05
        )
    assert time.monotonic() - begun < 10
    assert seen == [(0.5, 3)]
    assert not psutil.pid_exists(first)
    assert stand_in.run({"kind": "echo"})["pid"] != first


def test_a_task_that_takes_too_long_is_stopped(stand_in: ChildProcess) -> None:
    with pytest.raises(TabularError) as caught:
        stand_in.run({"kind": "sleep"}, interval=0.05, limit=0.3)
    assert caught.value.code == "job.timeout"


def test_a_child_that_takes_no_task_is_stopped(stand_in: ChildProcess) -> None:
    stand_in.warm()
    assert stand_in.pid is not None
    os.kill(stand_in.pid, signal.SIGSTOP)
    beats: list[float] = []
    large = {"kind": "echo", "where": "x" * 1_000_000}  # more than a pipe holds
    with pytest.raises(TabularError) as caught:
        stand_in.run(
            large,
            tick=lambda: beats.append(time.monotonic()),
            interval=0.05,
            limit=0.5,
            limit_hint="ask for less",
        )
    assert (caught.value.code, caught.value.hint) == ("job.timeout", "ask for less")
    assert wire.is_final(caught.value)
    assert len(beats) > 3
    assert stand_in.run(large)


def test_no_heart_beats_for_a_dead_child(stand_in: ChildProcess) -> None:
    begun = time.monotonic()
    with pytest.raises(TabularError, match="SIGKILL") as caught:
        stand_in.run({"kind": "heir"}, interval=0.05)
    assert caught.value.code == "job.crashed"
    assert time.monotonic() - begun < 4  # it does not wait for the heir
    assert stand_in.run({"kind": "echo"})


@pytest.mark.slow
def test_a_child_that_says_nothing_more_is_ended(stand_in: ChildProcess) -> None:
    with pytest.raises(TabularError) as caught:
        stand_in.run({"kind": "close"})
    assert caught.value.code == "job.crashed"
    assert stand_in.run({"kind": "echo"})


def test_the_real_child_inspects_a_table(child: ChildProcess, tmp_path: Path) -> None:
    from tabular.infra.storage import open_store

    store = open_store(f"file://{tmp_path}/objects")
    store.put("t/data", b"a,b\n1,x\n2,\n")
    store.put("t/bad", b"a,b\n1,x\n2,y,z\n")
    task = {"kind": "inspect", "key": "t/data", "format": "csv", "name": "t.csv", "folder": "t"}
    found = child.run(task)
    assert found["rows"] == 2
    assert [column["name"] for column in found["columns"]] == ["a", "b"]
    assert b"".join(store.get(found["preview_key"])) == (
        b'{"columns":["a","b"],"rows":[[1,"x"],[2,null]]}'
    )
    with pytest.raises(TableError, match="3 cells") as caught:
        child.run({**task, "key": "t/bad"})
    assert caught.value.where == "t.csv:3"
    with pytest.raises(NotFoundError):
        child.run({**task, "key": "t/nothing"})
    with pytest.raises(TabularError) as unexpected:
        child.run({"kind": "nonsense"})
    assert unexpected.value.code == "job.unexpected"
    assert child.run(task) == found


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    program = f"""
import sys, threading, time
from tabular.worker.process import ChildProcess
child = ChildProcess("file://{tmp_path}/objects")
try:
    child.run({{"kind": "inspect", "key": "a", "format": "csv", "name": "a", "folder": "a"}})
except Exception as error:
    print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    child = psutil.Process(pid)
    child.send_signal(signal.SIGTERM)  # the parent decides, nobody else
    time.sleep(0.2)
    assert child.is_running()
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert gone
    assert not alive


def test_errors_cross_the_wire_as_what_they_are() -> None:
    error = TableError("message", where="t.csv:3", hint="hint", code="table.detail")
    back = wire.error_from_dict(wire.error_to_dict(error))
    assert type(back) is TableError
    assert back.as_dict() == error.as_dict()
    strange = wire.error_from_dict(
        {"class": "nearest", "message": "m", "where": None, "hint": None, "code": "c"}
    )
    assert type(strange) is TabularError


def test_our_settings_do_not_reach_the_child(program: list[str]) -> None:
    environ = {**os.environ, "TABULAR_SECRET_KEY": "do-not-look", "LC_ALL": "C.UTF-8"}
    child = ChildProcess("memory://x", command=program, environ=environ)
    try:
        pid = child.run({"kind": "echo"})["pid"]
        seen = psutil.Process(pid).environ()
    finally:
        child.close()
    assert seen["LC_ALL"] == "C.UTF-8"
    assert not [name for name in seen if name.startswith("TABULAR_")]

"""What a container engine leaves running belongs to it: a step that ended takes only its own along.

podman starts a server for names (aardvark-dns) from whatever command needs it first, with that
command's environment. Without it no container finds another.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.standalone import identity
from tabular.deploy.standalone.children import Children
from tabular.deploy.standalone.launch import Launch
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.model import Slot, State
from tests.deploy.standalone.place import wait_for

STEP = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
daemon = subprocess.Popen(sleep, start_new_session=True)
own = subprocess.Popen(sleep)
with open("pids.new", "w") as out:
    out.write(f"{daemon.pid} {own.pid}")
os.rename("pids.new", "pids")
time.sleep(float(sys.argv[1]))
"""


class Engine:
    """Steps that each leave a daemon and a process of their own."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root / "state", root / "data")
        self.layout.make()
        self.state = State("engine-test")
        self.daemons: list[int] = []

    def children(self, seconds: float) -> Children:
        argv = [sys.executable, "-c", STEP, str(seconds)]
        what = Launch(argv, dict(os.environ), self.layout.log("step"))
        return Children(self.layout, self.state, lambda: None, lambda _: what)

    def pids(self) -> tuple[int, int]:
        """Of the daemon and of the other one."""
        file = self.layout.state / "run" / "pids"
        wait_for(file.exists, "the step's processes")
        daemon, own = map(int, file.read_text(encoding="utf-8").split())
        self.daemons.append(daemon)
        return daemon, own


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    one = Engine(tmp_path)
    yield one
    for pid in one.daemons:
        os.kill(pid, signal.SIGKILL)


def _slot() -> Slot:
    return Slot("r1/up/0", "api", "r1", task=True, detaches=True)


def _is_there(pid: int) -> bool:
    return identity.birth(pid) is not None


def test_a_step_that_ended_leaves_the_daemon(engine: Engine) -> None:
    children, slot = engine.children(0.0), _slot()
    children.ensure(slot)
    daemon, own = engine.pids()
    wait_for(lambda: not children.alive(slot), "end of the step")
    children.tick()
    children.stop([slot.key])
    wait_for(lambda: not _is_there(own), "end of what is its own")
    assert _is_there(daemon)
    engine.children(0.0).recover()
    assert _is_there(daemon), "nor does the next supervisor end it"


def test_a_step_whose_supervisor_was_killed_is_ended_without_the_daemon(engine: Engine) -> None:
    slot = _slot()
    engine.children(60.0).ensure(slot)
    daemon, own = engine.pids()
    step = slot.pid
    assert step is not None
    engine.children(0.0).recover()
    wait_for(lambda: not _is_there(own) and not _is_there(step), "end of the step")
    assert _is_there(daemon)
    assert engine.state.slots == {}

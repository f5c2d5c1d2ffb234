"""Processes that hang without dying: stopped by a signal, started again, with the reason."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.image.code import Code
from tabular.deploy.standalone.children import Children
from tabular.deploy.standalone.code import code_of, keep
from tabular.deploy.standalone.launch import launch
from tabular.deploy.standalone.layout import Layout
from tabular.deploy.standalone.liveness import Limits
from tabular.deploy.standalone.model import Release, Slot, State
from tabular.deploy.standalone.provider import ProviderOptions, StandaloneProvider
from tabular.deploy.standalone.vault import generate
from tests.deploy.standalone.place import COMMANDS, describe

LIMITS = Limits(every=0.1, timeout=0.3, misses=2, silence=1.0, starting=20.0)


class Running:
    """The processes of a release under impatient limits, without a supervisor."""

    def __init__(self, root: Path) -> None:
        layout = Layout(root / "state", root / "data")
        layout.make()
        generate(layout.secret("secret-key", kept=True), 32)
        stack = StandaloneProvider(ProviderOptions()).compile(describe())
        keep(layout, Code.installed(), code_of(stack))
        release = Release("r1", stack, COMMANDS, 0)
        state = State("test")
        self.children = Children(
            layout, state, lambda: None, lambda slot: launch(layout, release, state, slot),
            limits=LIMITS,
        )  # fmt: skip

    def start(self, name: str, port: int) -> Slot:
        return self.children.ensure(Slot(f"r1/{name}/0", name, "r1", port=port))

    def tick_until_restart(self, slot: Slot) -> None:
        deadline = time.monotonic() + 20
        while not (slot.restarts and self.children.alive(slot)):
            assert time.monotonic() < deadline, slot
            self.children.tick()
            time.sleep(0.02)

    def tick_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.children.tick()
            time.sleep(0.02)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path)
    yield one
    one.children.stop(["r1/api/0", "r1/worker/0"], timeout=5)


@pytest.mark.parametrize(
    ("name", "says"), [("api", "no good answer to /health"), ("worker", "no sign of life for")]
)
def test_a_process_that_hangs_is_started_again(
    running: Running, name: str, says: str, port: int
) -> None:
    slot = running.start(name, port if name == "api" else 0)
    running.tick_for(2.0)
    assert slot.restarts == 0
    hung = slot.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    running.tick_until_restart(slot)
    assert slot.pid != hung
    assert f"{name}-0 hung: {says}" in slot.reason
    running.tick_for(1.5)
    assert slot.restarts == 1


@pytest.fixture
def port() -> int:
    from tabular.deploy.standalone.ports import free_port

    return free_port()

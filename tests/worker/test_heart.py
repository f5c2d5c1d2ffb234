"""A long step of a worker's loop is no hanging; a loop that is overdue falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.infra.storage import open_store
from tabular.worker.assembly import build_runner
from tabular.worker.heart import Heart
from tests.platform import platform


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def signs() -> list[float]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heart(signs: list[float], clock: Clock) -> Iterator[Heart]:
    one = Heart(lambda: signs.append(clock()), step=600.0, every=0.01, clock=clock)
    one.start()
    yield one
    one.close()


def _more(signs: list[float], within: float = 5.0) -> bool:
    seen, deadline = len(signs), time.monotonic() + within
    while len(signs) < seen + 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    return len(signs) >= seen + 2


def test_one_step_may_take_long_but_not_for_ever(
    heart: Heart, signs: list[float], clock: Clock
) -> None:
    clock.now = 599.0
    assert _more(signs)
    clock.now = 600.0
    time.sleep(0.05)  # a sign that was under way
    assert not _more(signs, within=0.3)
    heart.turn()
    assert _more(signs)


def test_it_ends(heart: Heart, signs: list[float]) -> None:
    heart.close()
    assert not _more(signs, within=0.1)


def test_a_sweep_of_a_large_store_is_no_hanging(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        store = open_store(one.settings.storage_url)
        for number in range(100):
            store.put(f"datasets/x/{number}", b"x")
        turns: list[None] = []
        runner = build_runner(one.settings, alive=lambda: turns.append(None))
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            # By itself the loop turns every two seconds.
            deadline = time.monotonic() + 20
            while len(turns) < 400 and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            runner.stop()
            thread.join(30)
    assert len(turns) >= 400

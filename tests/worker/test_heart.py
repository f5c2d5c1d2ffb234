"""A long step of a worker's loop is no hanging; a loop that is overdue falls silent."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tabular.worker.heart import Heart


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

"""A server that fails is left alone, then looked at by a few."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tabular.errors import UnavailableError
from tabular.infra.breaker import LEFT_ALONE, PAUSE, Breaker
from tabular.infra.cache import open_cache
from tabular.infra.places import open_places
from tabular.infra.ratelimit import open_limiter
from tests.infra.in_a_loop import asked


class Clock:
    """Seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def away() -> None:
    raise UnavailableError("away", code="unavailable.test")


def code_of(breaker: Breaker) -> str:
    with pytest.raises(UnavailableError) as caught:
        breaker.ask(away)
    return caught.value.code


def test_it_is_asked_again_after_a_pause() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    assert breaker.ask(lambda: 1) == 1
    assert code_of(breaker) == "unavailable.test"
    assert breaker.is_open
    assert code_of(breaker) == LEFT_ALONE
    clock.now += PAUSE
    assert code_of(breaker) == "unavailable.test"
    clock.now += PAUSE
    assert breaker.ask(lambda: 2) == 2
    assert not breaker.is_open
    assert code_of(breaker) == "unavailable.test"


def test_a_few_look_for_all() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    assert code_of(breaker) == "unavailable.test"
    clock.now += PAUSE
    hanging, looking = threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        looking.release()
        hanging.wait(30)

    threads = [threading.Thread(target=lambda: breaker.ask(hang)) for _ in range(4)]
    for thread in threads:
        thread.start()
        assert looking.acquire(timeout=30)
    assert code_of(breaker) == LEFT_ALONE
    hanging.set()
    for thread in threads:
        thread.join()
    assert breaker.ask(lambda: 3) == 3


@contextlib.contextmanager
def that_hangs() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("form", ["redis://{}/0", "memcached://{}"])
def test_a_store_that_hangs_is_waited_for_once_and_shortly(form: str) -> None:
    with that_hangs() as address:
        url, breaker = form.format(address), Breaker()
        cache = open_cache(url, patience=0.5)
        begun = time.monotonic()
        with pytest.raises(UnavailableError):
            breaker.ask(lambda: cache.get("k"))
        assert time.monotonic() - begun < 3
        begun = time.monotonic()
        places = open_places(url, on_failure="open", breaker=breaker)
        with asked(open_limiter(url, breaker=breaker)) as limiter:
            for _ in range(20):
                assert limiter.hit("5/minute", "me").store_failed
                places.take("me", "token", 5)
        assert time.monotonic() - begun < 0.9  # nobody waited


def test_places_do_not_wait_for_a_store_that_hangs() -> None:
    with that_hangs() as address:
        places = open_places(f"redis://{address}/0", on_failure="open")
        begun = time.monotonic()
        assert places.take("me", "token", 5)
        places.give_back("me", "token")
        assert time.monotonic() - begun < 4

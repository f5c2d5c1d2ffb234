"""Limits that hold across threads and processes, their headers, and a store that is down."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerSecond

from tabular.errors import ConfigError
from tabular.infra.breaker import PATIENCE
from tabular.infra.client_address import client_address, counted_as
from tabular.infra.moving_window import InMemory
from tabular.infra.ratelimit import RateLimiter, open_limiter, parse_rules
from tests.infra.in_a_loop import Asked, asked
from tests.testbed import parts
from tests.testbed.ports import free_port
from tests.testbed.valkey import valkey_server

_ALLOWED = (
    "import sys; from tabular.infra.ratelimit import open_limiter\n"
    "from tests.infra.in_a_loop import asked\n"
    "with asked(open_limiter(sys.argv[1])) as limiter:\n"
    "    found = limiter.at_once(50, '100/minute', 'me')\n"
    "    found += [limiter.hit('100/minute', 'me') for _ in range(10)]\n"
    "print(sum(decision.allowed for decision in found))"
)


@pytest.fixture(params=["memory", "valkey"])
def limiter(request: pytest.FixtureRequest) -> Iterator[Asked]:
    """Every rate-limit store, empty."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("valkey_url")
    with asked(open_limiter(url)) as found:
        yield found


def test_the_limit_and_not_one_more(limiter: Asked) -> None:
    decisions = [limiter.hit("3/minute", "key", "a") for _ in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [decision.remaining for decision in decisions] == [2, 1, 0, 0]
    assert limiter.hit("3/minute", "key", "b").allowed, "another key has its own count"


def test_headers(limiter: Asked) -> None:
    first = limiter.hit("2/minute", "me").headers()
    assert (first["RateLimit-Limit"], first["RateLimit-Remaining"]) == ("2", "1")
    assert 55 <= int(first["RateLimit-Reset"]) <= 60
    assert "Retry-After" not in first
    limiter.hit("2/minute", "me")
    refused = limiter.hit("2/minute", "me")
    assert refused.headers()["RateLimit-Remaining"] == "0"
    assert 55 <= int(refused.headers()["Retry-After"]) <= 60


def test_the_window_moves(limiter: Asked) -> None:
    assert limiter.hit("2/second", "me").allowed
    assert limiter.hit("2/second", "me").allowed
    refused = limiter.hit("2/second", "me")
    assert not refused.allowed
    time.sleep(refused.retry_after + 0.05)
    assert limiter.hit("2/second", "me").allowed


def test_the_tightest_of_several_rules_decides(limiter: Asked) -> None:
    rules = "100/minute;2/hour"
    assert limiter.hit(rules, "me").limit == 2
    assert limiter.hit(rules, "me").remaining == 0
    refused = limiter.hit(rules, "me")
    assert (refused.allowed, refused.limit) == (False, 2)
    assert refused.retry_after > 3500


def test_exact_between_requests_of_one_loop(limiter: Asked) -> None:
    decisions = limiter.at_once(200, "50/minute", "me")
    assert sum(decision.allowed for decision in decisions) == 50
    assert not any(decision.store_failed for decision in decisions)
    assert sorted(d.remaining for d in decisions if d.allowed) == list(range(50))


def test_exact_between_loops_of_several_threads(limiter: Asked) -> None:
    passed: list[bool] = []

    def ask() -> None:
        with asked(limiter.limiter) as own:
            passed.extend(own.hit("50/minute", "me").allowed for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 50


def test_exact_across_four_processes(valkey_url: str) -> None:
    asking = [
        subprocess.Popen([sys.executable, "-c", _ALLOWED, valkey_url], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert sum(int(process.communicate()[0]) for process in asking) == 100


@pytest.mark.debian
def test_memcached_lets_no_more_through_than_the_limit(memcached_url: str) -> None:
    limiters = [open_limiter(memcached_url) for _ in range(3)]
    passed: list[bool] = []

    def ask(limiter: RateLimiter) -> None:
        with asked(limiter) as own:
            passed.extend(own.hit("50/day", "key", "a b\n").allowed for _ in range(30))

    threads = [threading.Thread(target=ask, args=(limiter,)) for limiter in limiters * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40 <= sum(passed) <= 50, "those that race for the last places may all lose"
    with asked(limiters[0]) as own:
        refused = own.hit("50/day", "key", "a b\n")
        assert int(refused.headers()["Retry-After"]) >= 1
        other = own.hit("50/day", "another")
        assert (other.allowed, other.store_failed) == (True, False)


@pytest.mark.parametrize(
    "url", ["redis://user:canary-password@127.0.0.1:{}/0", "memcached://127.0.0.1:{}"]
)
@pytest.mark.parametrize(("on_failure", "allowed"), [("open", True), ("closed", False)])
def test_a_store_that_is_down(
    url: str, on_failure: Literal["open", "closed"], allowed: bool
) -> None:
    start = time.monotonic()
    with asked(open_limiter(url.format(free_port()), on_failure=on_failure)) as limiter:
        decision = limiter.hit("5/minute", "me")
    assert time.monotonic() - start < 5
    assert (decision.allowed, decision.store_failed) == (allowed, True)
    assert decision.headers() == ({} if allowed else {"Retry-After": "5"})


@pytest.mark.parametrize("text", ["", "x", "5", "5/fortnight", "0/minute", "-1/second", "1/s;x"])
def test_rules_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="no rate limit"):
        parse_rules(text)


@given(st.text(max_size=30))
def test_rules_of_any_text_parse_or_are_refused(text: str) -> None:
    try:
        rules = parse_rules(text)
    except ConfigError:
        return
    assert rules
    assert all(rule.amount >= 1 for rule in rules)


PROXIES = ["10.0.0.0/8", "::1"]


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("10.1.1.1", None, "10.1.1.1"),
        ("10.1.1.1", "1.2.3.4", "1.2.3.4"),
        ("10.1.1.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.1.1.1", "6.6.6.6, 1.2.3.4, 10.2.2.2", "1.2.3.4"),
        ("::ffff:10.1.1.1", "1.2.3.4", "1.2.3.4"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("10.1.1.1", "garbage", "10.1.1.1"),
        ("10.1.1.1", "1.2.3.4, garbage", "10.1.1.1"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "1.2.3.4:51234", "1.2.3.4"),
        ("10.1.1.1", "6.6.6.6, 1.2.3.4:51234, 10.2.2.2:4711", "1.2.3.4"),
        ("10.1.1.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.1.1.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.1.1.1", "1.2.3.4:", "10.1.1.1"),
        ("10.1.1.1", "1.2.3.4:x", "10.1.1.1"),
        ("10.1.1.1", "[1.2.3.4:5", "10.1.1.1"),
        ("10.1.1.1", "[x]:5", "10.1.1.1"),
        ("10.1.1.1", ":51234", "10.1.1.1"),
        ("testclient", "1.2.3.4", "testclient"),
    ],
)
def test_only_trusted_proxies_name_the_client(peer: str, header: str | None, client: str) -> None:
    assert client_address(peer, header, PROXIES) == client


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address("10.1.1.1", "1.2.3.4", []) == "10.1.1.1"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", "203.0.113.9"),
        ("testclient", "testclient"),
    ],
)
def test_clients_of_one_ipv6_network_count_as_one(address: str, counted: str) -> None:
    assert counted_as(address) == counted


def test_both_forms_of_the_headers_name_every_rule(limiter: Asked) -> None:
    headers = limiter.hit("10/minute;50/2 hour", "me").headers()
    assert headers["RateLimit-Policy"] == '"per-minute";q=10;w=60, "per-2-hour";q=50;w=7200'
    assert headers["RateLimit"] == '"per-minute";r=9;t=60, "per-2-hour";r=49;t=7200'
    assert headers["RateLimit-Limit"] == "10"


@given(since_boot=st.floats(0, 1e8), waited=st.floats(0, 60), period=st.sampled_from([1, 60, 7200]))
def test_no_window_is_longer_than_its_period_however_long_the_machine_runs(
    since_boot: float, waited: float, period: int
) -> None:
    moments = iter((since_boot, since_boot + waited))
    counter = InMemory(clock=lambda: next(moments))
    rules = [RateLimitItemPerSecond(1, period)]
    (first,) = asyncio.run(counter.hit(rules, ["me"], 1))[1]
    assert first.reset_after == period
    (second,) = asyncio.run(counter.hit(rules, ["me"], 1))[1]
    assert 0 < second.reset_after <= period
    assert second.retry_after <= period


def test_a_refused_request_is_charged_to_no_rule(limiter: Asked) -> None:
    for _ in range(5):
        limiter.hit("100/hour;2/second", "me")
    left = limiter.hit("100/hour;2/second", "me").headers()["RateLimit"]
    assert left.startswith('"per-hour";r=98;'), left


def test_a_limit_that_is_lowered_keeps_its_count(limiter: Asked) -> None:
    for _ in range(5):
        assert limiter.hit("10/minute", "me").allowed
    lowered = limiter.hit("3/minute", "me")
    assert not lowered.allowed
    assert 55 < lowered.retry_after <= 60


@pytest.mark.debian
def test_processes_whose_clocks_differ_count_alike(valkey_url: str) -> None:
    faketime = parts.debian("faketime", package="faketime")
    asking = [
        subprocess.Popen(
            [faketime, "-f", offset, sys.executable, "-c", _ALLOWED, valkey_url],
            stdout=subprocess.PIPE,
        )
        for offset in ("-1h", "+0s", "+30s", "+1d")
    ]
    assert sum(int(process.communicate()[0]) for process in asking) == 100


def test_a_store_that_hangs_slows_a_few_requests_down_and_not_all(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as server, asked(open_limiter(server.url())) as limiter:
        assert not limiter.hit("5/minute", "me").store_failed
        os.kill(server.pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            assert all(d.store_failed for d in limiter.at_once(200, "5/minute", "me"))
            assert time.monotonic() - start < 2 * PATIENCE
            start = time.monotonic()
            assert all(limiter.hit("5/minute", "me").store_failed for _ in range(100))
            assert time.monotonic() - start < 0.5
        finally:
            os.kill(server.pid, signal.SIGCONT)
        deadline = time.monotonic() + 10
        while limiter.hit("5/minute", "me").store_failed:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_what_waits_for_a_store_that_hangs_lets_the_loop_go_on(tmp_path: Path) -> None:
    async def run(limiter: RateLimiter) -> float:
        """The longest time that something else in the loop had to wait."""
        asking = [asyncio.create_task(limiter.hit("5/minute", "me")) for _ in range(50)]
        longest, last = 0.0, time.monotonic()
        while not all(task.done() for task in asking):
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        assert all(task.result().store_failed for task in asking)
        await limiter.close()
        return longest

    with valkey_server(tmp_path) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert asyncio.run(run(open_limiter(server.url()))) < PATIENCE / 2
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_a_server_that_was_started_again_is_no_failure(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with asked(open_limiter(url, on_failure="closed")) as limiter:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            # Its connections are kept from the one to the other, and its script is not.
            with valkey_server(tmp_path / name, port=port):
                decisions = limiter.at_once(20, "10/minute", "me")
                assert not any(decision.store_failed for decision in decisions)
                assert sum(decision.allowed for decision in decisions) == 10


def test_a_loop_that_stood_still_does_not_blame_the_store(valkey_url: str) -> None:
    async def run(limiter: RateLimiter) -> bool:
        await limiter.hit("5/minute", "me")
        asking = asyncio.create_task(limiter.hit("5/minute", "me"))
        await asyncio.sleep(0)  # it has asked
        time.sleep(2 * PATIENCE)  # as if the process were frozen
        failed = (await asking).store_failed
        await limiter.close()
        return failed

    assert not asyncio.run(run(open_limiter(valkey_url)))


def test_a_request_that_is_given_up_takes_no_answer_of_another(valkey_url: str) -> None:
    async def run(limiter: RateLimiter) -> list[int]:
        await limiter.hit("9/minute", "other")
        given_up = asyncio.create_task(limiter.hit("7/minute", "me"))
        await asyncio.sleep(0)
        given_up.cancel()
        found = [(await limiter.hit("9/minute", "other")).remaining for _ in range(3)]
        await limiter.close()
        return found

    assert asyncio.run(run(open_limiter(valkey_url))) == [7, 6, 5]


def test_connections_are_closed_in_the_end(tmp_path: Path) -> None:
    import redis

    with valkey_server(tmp_path) as server, redis.Redis.from_url(server.url()) as client:
        with asked(open_limiter(server.url())) as limiter:
            limiter.at_once(100, "5/minute", "me")
            assert 1 < len(client.client_list()) <= 1 + 32
        deadline = time.monotonic() + 5
        while len(client.client_list()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("future", [30_000_000, 90_000_000])
def test_a_clock_of_the_store_that_went_back_forgives_at_most_a_period(
    valkey_url: str, future: int
) -> None:
    import redis

    with asked(open_limiter(valkey_url)) as limiter:
        limiter.hit("3/minute", "me")
        with redis.Redis.from_url(valkey_url) as client:
            (key,) = client.keys("tabular:limit:*")
            moment = int(client.lpop(key))
            client.lpush(key, *[moment + future] * 3)
        refused = limiter.hit("3/minute", "me")
    if future > 60_000_000:
        assert refused.allowed, "such a log is of a future that never came"
    else:
        assert not refused.allowed
        assert refused.retry_after <= 60

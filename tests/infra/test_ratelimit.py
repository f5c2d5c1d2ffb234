"""Limits that hold across threads and processes, their headers, and a store that is down."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.ratelimit import RateLimiter, client_address, open_limiter, parse_rules
from tests.testbed.ports import free_port


@pytest.fixture(params=["memory", "valkey"])
def limiter(request: pytest.FixtureRequest) -> RateLimiter:
    """Every rate-limit store, empty."""
    if request.param == "memory":
        return open_limiter("memory://")
    return open_limiter(request.getfixturevalue("valkey_url"))


def test_the_limit_and_not_one_more(limiter: RateLimiter) -> None:
    decisions = [limiter.hit("3/minute", "key", "a") for _ in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [decision.remaining for decision in decisions] == [2, 1, 0, 0]
    assert limiter.hit("3/minute", "key", "b").allowed, "another key has its own count"


def test_headers(limiter: RateLimiter) -> None:
    first = limiter.hit("2/minute", "me").headers()
    assert (first["RateLimit-Limit"], first["RateLimit-Remaining"]) == ("2", "1")
    assert 55 <= int(first["RateLimit-Reset"]) <= 60
    assert "Retry-After" not in first
    limiter.hit("2/minute", "me")
    refused = limiter.hit("2/minute", "me")
    assert refused.headers()["RateLimit-Remaining"] == "0"
    assert 55 <= int(refused.headers()["Retry-After"]) <= 60


def test_the_window_moves(limiter: RateLimiter) -> None:
    assert limiter.hit("2/second", "me").allowed
    assert limiter.hit("2/second", "me").allowed
    refused = limiter.hit("2/second", "me")
    assert not refused.allowed
    time.sleep(refused.retry_after + 0.05)
    assert limiter.hit("2/second", "me").allowed


def test_the_tightest_of_several_rules_decides(limiter: RateLimiter) -> None:
    rules = "100/minute;2/hour"
    assert limiter.hit(rules, "me").limit == 2
    assert limiter.hit(rules, "me").remaining == 0
    refused = limiter.hit(rules, "me")
    assert (refused.allowed, refused.limit) == (False, 2)
    assert refused.retry_after > 3500


def test_exact_between_threads(limiter: RateLimiter) -> None:
    passed: list[bool] = []

    def ask() -> None:
        passed.extend(limiter.hit("50/minute", "me").allowed for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 50


def test_exact_across_four_processes(valkey_url: str) -> None:
    script = (
        "import sys; from tabular.infra.ratelimit import open_limiter\n"
        "limiter = open_limiter(sys.argv[1])\n"
        "print(sum(limiter.hit('100/minute', 'me').allowed for _ in range(60)))"
    )
    asking = [
        subprocess.Popen([sys.executable, "-c", script, valkey_url], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert sum(int(process.communicate()[0]) for process in asking) == 100


@pytest.mark.debian
def test_memcached_lets_no_more_through_than_the_limit(memcached_url: str) -> None:
    limiters = [open_limiter(memcached_url) for _ in range(3)]
    limiters[0].ping()
    passed: list[bool] = []

    def ask(limiter: RateLimiter) -> None:
        passed.extend(limiter.hit("50/day", "key", "a b\n").allowed for _ in range(30))

    threads = [threading.Thread(target=ask, args=(limiter,)) for limiter in limiters * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40 <= sum(passed) <= 50, "those that race for the last places may all lose"
    refused = limiters[0].hit("50/day", "key", "a b\n")
    assert int(refused.headers()["Retry-After"]) >= 1
    assert limiters[0].hit("50/day", "another").allowed


@pytest.mark.parametrize(
    "url", ["redis://user:canary-password@127.0.0.1:{}/0", "memcached://127.0.0.1:{}"]
)
@pytest.mark.parametrize(("on_failure", "allowed"), [("open", True), ("closed", False)])
def test_a_store_that_is_down(
    url: str, on_failure: Literal["open", "closed"], allowed: bool
) -> None:
    limiter = open_limiter(url.format(free_port()), on_failure=on_failure)
    start = time.monotonic()
    decision = limiter.hit("5/minute", "me")
    assert time.monotonic() - start < 5
    assert (decision.allowed, decision.store_failed) == (allowed, True)
    assert decision.headers() == ({} if allowed else {"Retry-After": "5"})
    with pytest.raises(UnavailableError) as caught:
        limiter.ping()
    assert "canary" not in str(caught.value)


def test_ping_and_reset(limiter: RateLimiter) -> None:
    limiter.ping()
    assert limiter.hit("1/minute", "me").allowed
    limiter.reset()
    assert limiter.hit("1/minute", "me").allowed


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
        ("testclient", "1.2.3.4", "testclient"),
    ],
)
def test_only_trusted_proxies_name_the_client(peer: str, header: str | None, client: str) -> None:
    assert client_address(peer, header, PROXIES) == client


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address("10.1.1.1", "1.2.3.4", []) == "10.1.1.1"

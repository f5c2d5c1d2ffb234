"""Guessing is made slow, over all processes, and nobody can shut another out."""

from __future__ import annotations

import socket
import time

import pytest

from tabular.errors import RateLimitedError, UnavailableError
from tabular.infra.auth.attempts import Attempts, entry_of
from tabular.infra.cache import open_cache
from tests.testbed.ports import free_port


class Clock:
    """Seconds that a test moves."""

    now = 3000.0

    def __call__(self) -> float:
        return self.now


def guess(attempts: Attempts, account: str, client: str) -> None:
    attempts.begin(account, client)
    attempts.failed(client)


def test_two_processes_count_together(valkey_url: str) -> None:
    clock = Clock()
    one, two = (
        Attempts(open_cache(valkey_url), per_account=4, per_client=100, clock=clock)
        for _ in range(2)
    )
    for attempts in (one, two, one, two):
        guess(attempts, "alice", "10.0.0.1")
    for attempts in (one, two):
        with pytest.raises(RateLimitedError) as caught:
            attempts.begin("alice", "10.0.0.2")
        assert caught.value.reason == "attempts.account"
        assert 0 < caught.value.retry_after <= 300
    one.begin("bob", "10.0.0.1")
    clock.now += 300
    one.begin("alice", "10.0.0.1")


def test_an_address_may_not_try_many_accounts() -> None:
    attempts = Attempts(open_cache("memory://"), per_client=5, clock=Clock())
    for number in range(5):
        guess(attempts, f"user{number}", "10.0.0.1")
    with pytest.raises(RateLimitedError) as caught:
        attempts.begin("another", "10.0.0.1")
    assert caught.value.reason == "attempts.client"
    attempts.begin("another", "10.0.0.2")


def test_nobody_is_shut_out_of_where_they_sign_in_from() -> None:
    attempts = Attempts(open_cache("memory://"), per_account=3, clock=Clock())
    attempts.begin("alice", "home")
    attempts.succeeded(["alice"], "home")
    for _ in range(3):
        guess(attempts, "alice", "elsewhere")
    with pytest.raises(RateLimitedError):
        attempts.begin("alice", "elsewhere")
    attempts.begin("alice", "home")


def test_nobody_is_shut_out_by_others_at_the_same_address() -> None:
    attempts = Attempts(open_cache("memory://"), per_account=3, per_client=5, clock=Clock())
    attempts.begin("alice", "office")
    attempts.succeeded(["alice"], "office")
    for number in range(5):
        guess(attempts, f"nobody{number}", "office")
    with pytest.raises(RateLimitedError):
        attempts.begin("bob", "office")
    for _ in range(3):
        guess(attempts, "alice", "office")
    with pytest.raises(RateLimitedError) as caught:  # its own counter stays
        attempts.begin("alice", "office")
    assert caught.value.reason == "attempts.account"


def test_the_names_of_one_entry_count_together() -> None:
    attempts = Attempts(open_cache("memory://"), per_account=3, clock=Clock())
    entry = entry_of("entryuuid:01")
    for name in ("alice", "alice@corp.example", "corp-alice"):
        attempts.begin(name, "10.0.0.1")
        attempts.found(entry, "10.0.0.1")
    attempts.begin("ali", "10.0.0.2")
    with pytest.raises(RateLimitedError):
        attempts.found(entry, "10.0.0.2")
    attempts.found(entry_of("entryuuid:02"), "10.0.0.2")
    attempts.undone(["ali", entry], "10.0.0.2")
    attempts.succeeded(["alice", entry], "10.0.0.1")
    attempts.found(entry, "10.0.0.2")


def test_a_name_written_otherwise_is_the_same_account() -> None:
    attempts = Attempts(open_cache("memory://"), per_account=3, clock=Clock())
    for number, name in enumerate(("jo ann", " JO  ann ", "\uff4ao ann")):
        guess(attempts, name, f"10.0.0.{number}")
    for name in ("jo ann", "jo\u0301 ann", "jo\ufe0f ann", "\u24d9o ann"):
        with pytest.raises(RateLimitedError):
            attempts.begin(name, "10.0.1.1")
    attempts.begin("joann", "10.0.1.1")


def test_a_network_of_ipv6_is_one_address() -> None:
    attempts = Attempts(open_cache("memory://"), per_account=1, per_client=5, clock=Clock())
    for number in range(5):
        guess(attempts, f"user{number}", f"2001:db8::{number}")
    with pytest.raises(RateLimitedError) as caught:
        attempts.begin("another", "2001:db8::ffff")
    assert caught.value.reason == "attempts.client"
    attempts.begin("another", "2001:db8:0:1::1")
    attempts.succeeded(["another"], "2001:db8:0:1::1")
    guess(attempts, "another", "192.0.2.1")
    attempts.begin("another", "2001:db8:0:1::2")


def test_what_could_not_be_decided_is_not_counted() -> None:
    attempts = Attempts(open_cache("memory://"), per_account=2, clock=Clock())
    for _ in range(10):
        attempts.begin("alice", "home")
        attempts.undone(["alice"], "home")


def test_without_the_cache_each_process_counts_or_none_signs_in() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    attempts = Attempts(open_cache(url), per_account=3, per_client=5, clock=Clock())
    attempts.begin("alice", "home")
    attempts.succeeded(["alice"], "home")
    for _ in range(3):
        guess(attempts, "alice", "elsewhere")
    with pytest.raises(RateLimitedError) as caught:
        attempts.begin("alice", "else")
    assert caught.value.reason == "attempts.account"
    for number in range(2):
        guess(attempts, f"user{number}", "elsewhere")
    with pytest.raises(RateLimitedError):
        attempts.begin("another", "elsewhere")
    attempts.begin("alice", "home")
    closed = Attempts(open_cache(url), on_failure="closed")
    with pytest.raises(UnavailableError):
        closed.begin("alice", "home")


def test_a_cache_that_hangs_is_waited_for_once() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        attempts = Attempts(open_cache(url, patience=0.5), per_account=5)
        begun = time.monotonic()
        for _ in range(5):
            guess(attempts, "alice", "home")
        with pytest.raises(RateLimitedError):
            attempts.begin("alice", "home")
        assert time.monotonic() - begun < 4

"""Guessing is made slow: failed sign-ins are counted by account and by client address.

The counts are in the cache, so every process sees the same. An account at its limit takes no
more passwords for a while, and nothing else: its sessions, tokens and keys go on, and so do
sign-ins from addresses that the person has signed in from before. So nobody can lock another
out by failing in that one's name.

What a directory takes for the same name is the same account here: else each way to write it
would have guesses of its own.
"""

from __future__ import annotations

import hashlib
import logging
import time
import unicodedata
from collections.abc import Callable
from typing import Literal

from tabular.errors import RateLimitedError, UnavailableError
from tabular.infra.cache import Cache
from tabular.infra.client_address import counted_as

_KNOWN_FOR = 30 * 24 * 3600.0
_LOG = logging.getLogger(__name__)


class Attempts:
    """Counts failures in windows of fixed length.

    Args:
        cache: shared by all processes.
        per_account: failures that an account may have in a window.
        per_client: failures that a client address may have in a window.
        window: its length in seconds.
        on_failure: whether passwords are taken while the cache does not answer.
        clock: seconds since the epoch, the same for all processes.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        per_account: int = 10,
        per_client: int = 20,
        window: int = 300,
        on_failure: Literal["open", "closed"] = "open",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._per_account = per_account
        self._per_client = per_client
        self._window = window
        self._on_failure = on_failure
        self._clock = clock

    def begin(self, account: str, client: str) -> None:
        """Count an attempt on an account before it is looked at, so that none slips through.

        Raises:
            RateLimitedError: too many failures; says when to come back.
            UnavailableError: the cache does not answer, and `on_failure` is ``closed``.
        """
        self.check_client(client)
        try:
            count = self._cache.incr(self._account(account, client), ttl=self._window)
            if count > self._per_account:
                raise self._limited("account")
        except UnavailableError as error:
            self._without_cache(error)

    def check_client(self, client: str) -> None:
        """Return when the address may fail once more.

        Raises:
            RateLimitedError: it may not; says when to come back.
            UnavailableError: the cache does not answer, and `on_failure` is ``closed``.
        """
        try:
            failures = int(self._cache.get(self._client(client)) or 0)
        except UnavailableError as error:
            self._without_cache(error)
            return
        if failures >= self._per_client:
            raise self._limited("client")

    def failed(self, client: str) -> None:
        """The attempt was wrong."""
        try:
            self._cache.incr(self._client(client), ttl=self._window)
        except UnavailableError as error:
            self._without_cache(error)

    def succeeded(self, account: str, client: str) -> None:
        """The attempt was right: its account is not counted against, its address is known."""
        try:
            self._cache.delete(self._account(account, client))
            self._cache.set(_known(account, client), b"1", ttl=_KNOWN_FOR)
        except UnavailableError as error:
            _LOG.warning("a sign-in is not noted: %s", error)

    def undone(self, account: str, client: str) -> None:
        """The attempt could not be decided: it is not counted."""
        try:
            self._cache.incr(self._account(account, client), -1, ttl=self._window)
        except UnavailableError as error:
            _LOG.warning("an attempt stays counted: %s", error)

    def _account(self, account: str, client: str) -> str:
        known = self._cache.get(_known(account, client)) is not None
        return self._key("account", folded(account), counted_as(client) if known else "")

    def _client(self, client: str) -> str:
        return self._key("client", counted_as(client))

    def _key(self, *parts: str) -> str:
        return _name(*parts, str(int(self._clock() // self._window)))

    def _limited(self, what: str) -> RateLimitedError:
        left = self._window - self._clock() % self._window
        return RateLimitedError(
            "too many failed sign-ins",
            retry_after=max(1.0, left),
            hint="wait for the seconds of the Retry-After header",
            reason=f"attempts.{what}",
        )

    def _without_cache(self, error: UnavailableError) -> None:
        if self._on_failure == "closed":
            raise error
        _LOG.warning("failed sign-ins are not counted: %s", error)


def folded(account: str) -> str:
    """A name without what directories overlook: case, width, accents, spaces around and between.

    Rules of RFC 4518, and of Active Directory, which overlooks accents too.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", account).casefold())
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Mn").split())


def _known(account: str, client: str) -> str:
    return _name("known", folded(account), counted_as(client))


def _name(*parts: str) -> str:
    # Names of people are not for the cache, and a cache's key is short.
    return "signin:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()

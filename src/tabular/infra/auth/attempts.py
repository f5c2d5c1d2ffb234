"""Guessing is made slow: failed sign-ins are counted by account and by client address.

The counts are in the cache, so every process sees the same. An account at its limit takes no
more passwords for a while, and nothing else: its sessions, tokens and keys go on, and so do
sign-ins from addresses that the person has signed in from before. So nobody can lock another
out by failing in that one's name, nor by failing at the same address as that one.

What a directory takes for the same name is the same account here, and so is what it finds the
same entry for: else each way to write a name, and each other name, would have guesses of its own.

While the cache is away each process counts for itself. A guesser then has the limits as many
times as there are processes, but never none.
"""

from __future__ import annotations

import hashlib
import logging
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from tabular.errors import RateLimitedError, UnavailableError
from tabular.infra.breaker import LEFT_ALONE, Breaker
from tabular.infra.cache import Cache, MemoryBackend
from tabular.infra.client_address import counted_as

Result = TypeVar("Result")

_KNOWN_FOR = 30 * 24 * 3600.0
_COUNTS = 50_000  # that one process keeps while the cache is away
_LOG = logging.getLogger(__name__)


class Attempts:
    """Counts failures in windows of fixed length.

    Args:
        cache: shared by all processes.
        per_account: failures that an account may have in a window.
        per_client: failures that a client address may have in a window.
        window: its length in seconds.
        on_failure: whether passwords are taken while the cache does not answer; failures are
            then counted in this process.
        clock: seconds since the epoch, the same for all processes.
        breaker: of the cache, shared with whatever else asks it; one of its own when None.
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
        breaker: Breaker | None = None,
    ) -> None:
        self._cache = cache
        self._own = Cache(MemoryBackend(max_entries=_COUNTS))
        self._per_account = per_account
        self._per_client = per_client
        self._window = window
        self._on_failure = on_failure
        self._clock = clock
        self._breaker = breaker or Breaker()

    def begin(self, account: str, client: str) -> None:
        """Count an attempt on an account before it is looked at, so that none slips through.

        Raises:
            RateLimitedError: too many failures; says when to come back.
            UnavailableError: the cache does not answer, and `on_failure` is ``closed``.
        """
        is_known = self._is_known(account, client)
        if not is_known:
            self.check_client(client)
        self._count(account, client, is_known)

    def found(self, entry: str, client: str) -> None:
        """Count the attempt on the account that was found, whichever of its names was given.

        Args:
            entry: what the account is called for ever; see `entry_of`.
            client: address.

        Raises:
            RateLimitedError, UnavailableError: as `begin`.
        """
        self._count(entry, client, self._is_known(entry, client))

    def check_client(self, client: str) -> None:
        """Return when the address may fail once more.

        Raises:
            RateLimitedError: it may not; says when to come back.
            UnavailableError: the cache does not answer, and `on_failure` is ``closed``.
        """
        key = self._client(client)
        if int(self._ask(lambda cache: cache.get(key)) or 0) >= self._per_client:
            raise self._limited("client")

    def failed(self, client: str) -> None:
        """The attempt was wrong."""
        key = self._client(client)
        self._ask(lambda cache: cache.incr(key, ttl=self._window))

    def succeeded(self, accounts: Sequence[str], client: str) -> None:
        """The attempt was right: its accounts are not counted against, its address is known."""
        for account in accounts:
            try:
                self._note_success(account, client)
            except UnavailableError as error:
                _LOG.warning("a sign-in is not noted: %s", error)

    def undone(self, accounts: Sequence[str], client: str) -> None:
        """The attempt could not be decided: it is not counted."""
        for account in accounts:
            try:
                self._take_back(account, client)
            except UnavailableError as error:
                _LOG.warning("an attempt stays counted: %s", error)

    def _note_success(self, account: str, client: str) -> None:
        key = self._account(account, client, self._is_known(account, client))
        known = _known(account, client)
        self._ask(lambda cache: cache.delete(key))
        self._ask(lambda cache: cache.set(known, b"1", ttl=_KNOWN_FOR))
        self._own.set(known, b"1", ttl=_KNOWN_FOR)  # for when the cache is away

    def _take_back(self, account: str, client: str) -> None:
        key = self._account(account, client, self._is_known(account, client))
        self._ask(lambda cache: cache.incr(key, -1, ttl=self._window))

    def _count(self, account: str, client: str, is_known: bool) -> None:
        key = self._account(account, client, is_known)
        if self._ask(lambda cache: cache.incr(key, ttl=self._window)) > self._per_account:
            raise self._limited("account")

    def _is_known(self, account: str, client: str) -> bool:
        return self._ask(lambda cache: cache.get(_known(account, client))) is not None

    def _account(self, account: str, client: str, is_known: bool) -> str:
        return self._key("account", folded(account), counted_as(client) if is_known else "")

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

    def _ask(self, question: Callable[[Cache], Result]) -> Result:
        try:
            return self._breaker.ask(lambda: question(self._cache))
        except UnavailableError as error:
            if self._on_failure == "closed":
                raise
            if error.code != LEFT_ALONE:
                _LOG.warning("failed sign-ins are counted in this process alone: %s", error)
            return question(self._own)


def entry_of(lasting_id: str) -> str:
    """The account of a directory's entry, by what it is called for ever."""
    return "entry:" + hashlib.sha256(lasting_id.encode()).hexdigest()


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

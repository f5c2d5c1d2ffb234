"""Credentials that were found right a moment ago, so that a busy client costs one look-up a second.

What is remembered is a hash of the credential, never itself. The price: a key that is revoked, or
a session that ends, is right for up to that time in the *other* processes. The one that ends it
forgets everything at once.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

from tabular.infra.auth.principal import Principal

MOST = 10_000  # credentials; beyond it all are forgotten, which costs a look-up each


class Recent:
    """Principals by credential.

    Args:
        seconds: for how long; zero remembers nothing.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._era = 0
        self._lock = threading.Lock()

    def find(self, credential: str) -> Principal | None:
        """Who holds it, if that was found out just now."""
        if not self._seconds:
            return None
        found = self._known.get(_name(credential))
        return found[1] if found is not None and self._clock() < found[0] else None

    def begin(self) -> int:
        """To be called before a credential is looked up, and given to `note`."""
        return self._era

    def note(self, credential: str, principal: Principal, era: int) -> None:
        """Remember who holds a credential, unless something ended since `begin`."""
        if not self._seconds:
            return
        with self._lock:
            if era != self._era:
                return
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[_name(credential)] = (self._clock() + self._seconds, principal)

    def forget(self) -> None:
        """Something ended: look everything up again."""
        with self._lock:
            self._era += 1
            self._known.clear()


def _name(credential: str) -> bytes:
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest()

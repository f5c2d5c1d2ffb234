"""What the queues of clouds that are reached by REST share: one client, its limits, its errors.

The vendors' own clients hold streams or AMQP links open and fetch ahead; a wake-up queue needs
four calls. Their libraries for credentials are used, which know every kind of identity.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import httpx

from tabular.errors import ConfigError, UnavailableError
from tabular.infra.breaker import Breaker
from tabular.infra.loopback import is_loopback

CONNECT_TIMEOUT = 2.0  # seconds
ANSWER_TIMEOUT = 5.0
SHORT_POLL = 0.1  # seconds between calls that do not wait in the service
_LOG = logging.getLogger(__name__)

Tokens = Callable[[], str | None]
_Found = TypeVar("_Found")


class Caller:
    """Calls one service.

    Args:
        base: scheme, host and port.
        where: the queue, for messages.
        tokens: gives an access token, or None to ask anonymously; called for each request.
    """

    def __init__(self, base: str, where: str, tokens: Tokens) -> None:
        self._where, self._tokens = where, tokens
        self._breaker = Breaker()
        self._client = httpx.Client(
            base_url=base, timeout=httpx.Timeout(ANSWER_TIMEOUT, connect=CONNECT_TIMEOUT)
        )

    def ask(
        self, method: str, path: str, *, patience: float = ANSWER_TIMEOUT, **content: Any
    ) -> httpx.Response:
        """An answer of 2xx, 404, 409 or 410; what these mean is the caller's to know.

        Args:
            method: of HTTP.
            path: below the base.
            patience: seconds to wait for the answer.
            **content: as httpx takes it.

        Raises:
            UnavailableError: no answer, or another one.
        """
        if self._client.is_closed:
            raise self.unavailable("it was closed")
        if self._breaker.is_open:
            raise self.unavailable("it failed within the last second")
        timeout = httpx.Timeout(patience, connect=CONNECT_TIMEOUT)
        headers = {**content.pop("headers", {}), **self._authorization()}
        try:
            answer = self._client.request(method, path, headers=headers, timeout=timeout, **content)
        except httpx.TransportError as error:
            self._breaker.failed()
            raise self.unavailable(str(error) or type(error).__name__) from error
        if answer.is_success or answer.status_code in (404, 409, 410):
            return answer
        if answer.status_code in (401, 403):
            raise self.unavailable(
                f"it refuses these credentials (status {answer.status_code})",
                hint="give the identity of the service the right to send and to receive",
            )
        self._breaker.failed()
        raise self.unavailable(f"it answers {answer.status_code}")

    def settle(self, method: str, path: str, **content: Any) -> None:
        """Acknowledge or give back; where that fails the service delivers again."""
        try:
            self.ask(method, path, **content)
        except UnavailableError as error:
            _LOG.warning("queue message not settled, it may come again: %s", error.message)

    def unavailable(self, reason: str, hint: str | None = None) -> UnavailableError:
        """The error of this queue."""
        return UnavailableError(
            f"the queue does not answer: {reason}",
            where=self._where,
            hint=hint or "check TABULAR_QUEUE_URL and that the service can be reached",
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _authorization(self) -> dict[str, str]:
        token = self._tokens()
        return {} if token is None else {"Authorization": f"Bearer {token}"}


def until(deadline: float, take: Callable[[float], _Found | None]) -> _Found | None:
    """What `take` finds before a moment, or None.

    Args:
        deadline: monotonic seconds.
        take: looks once, waiting at most the seconds it is given; None for nothing.
    """
    while True:
        left = deadline - time.monotonic()
        found = take(max(0.0, left))
        if found is not None:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(SHORT_POLL, left))


def no_token() -> None:
    """Ask anonymously."""
    return


def endpoint_of(given: dict[str, str], usual: str, where: str) -> tuple[str, bool]:
    """Where the service is, and whether it is an emulator on this machine, asked anonymously.

    Raises:
        ConfigError: an endpoint that is no URL, or without TLS beyond this machine.
    """
    endpoint = given.get("endpoint", usual)
    parts: SplitResult = urlsplit(endpoint)
    local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or not (local or parts.scheme == "https"):
        raise ConfigError(
            "the endpoint of the queue is no https:// URL",
            where=where,
            hint="http:// is for an emulator on this machine",
        )
    return endpoint.rstrip("/"), local

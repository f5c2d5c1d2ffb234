"""One question to a cluster and its answer: time limits, tries, and refusals in our words.

A server that throttles, restarts or elects a leader says so for seconds; asking again then is what
every client of Kubernetes is expected to do. One that was never there is not waited for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tabular.errors import PreflightError, TabularError, UnavailableError

from .connecting import Link, explained, unauthenticated
from .executing import Ran, execute
from .refusals import refused

TIMEOUT = 30.0  # seconds for one answer; admission webhooks alone may take ten each
CONNECT = 5.0
TRIES = 6
LONGEST_PAUSE = 8.0
JSON = "application/json"


class Transport:
    """Asks one server.

    Args:
        link: connections to it.
        sleep: waits between tries, seconds.
        timeout: seconds for one answer.
    """

    def __init__(self, link: Link, *, sleep: Callable[[float], None], timeout: float) -> None:
        self._link = link
        self._sleep = sleep
        self._timeout = timeout

    def json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        doing: str,
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
        own: str | None = None,
    ) -> dict[str, Any]:
        """Ask, and again if the server is tired or was lost.

        Args:
            method: of HTTP.
            path: on the server.
            query: entries that are empty are left out.
            doing: verb and object, for errors.
            body: to be sent.
            content: its type.
            own: path of what a POST makes, if it can be made but once.

        Raises:
            TabularError: as `refusals` and `connecting` say.
        """
        sent = None if body is None else json.dumps(body).encode()
        where = _with_query(path, query)
        for tried in range(1, TRIES + 1):
            said = 0.0
            try:
                with explained(doing, self._link):
                    limits = (CONNECT, self._timeout)
                    answer = self._link.request(
                        method, where, body=sent, content=content, timeout=limits
                    )
                    status, data = answer.status, answer.data
                told = _read(data)
                if status < 300 and isinstance(told, dict):
                    return told
                if tried > 1 and status == 409 and method == "POST" and own is not None:
                    # Ours, most likely: it was made, and only the answer was lost.
                    return self.json("GET", own, doing=doing)
                said = _seconds(answer.headers.get("Retry-After", ""))
                raise self._refused(status, told, data, doing)
            except UnavailableError:
                if tried == TRIES or not self._link.answered:
                    raise
            self._sleep(min(LONGEST_PAUSE, said or 0.25 * 2 ** (tried - 1)))
        raise AssertionError("unreachable")  # pragma: no cover

    def lines(
        self, path: str, query: Mapping[str, str], *, doing: str, seconds: float
    ) -> Iterator[bytes]:
        """An answer that comes line by line, for as long as the server sends.

        Args:
            path: on the server.
            query: entries that are empty are left out.
            doing: verb and object, for errors.
            seconds: that may pass between two pieces of it.
        """
        kept = b""
        with explained(doing, self._link):
            answer = self._link.request(
                "GET", _with_query(path, query), timeout=(CONNECT, seconds), stream=True
            )
        try:
            if answer.status >= 300:
                data = answer.read()
                raise self._refused(answer.status, _read(data), data, doing)
            with explained(doing, self._link):
                for piece in answer.stream(None):
                    *whole, kept = (kept + piece).split(b"\n")
                    yield from whole
            if kept:
                yield kept
        finally:
            answer.close()
            answer.release_conn()

    def execute(
        self, path: str, query: Sequence[tuple[str, str]], *, doing: str, seconds: float
    ) -> Ran:
        """Run a program in a container; see `executing`.

        Args:
            path: of the pod's ``exec``.
            query: the program and what of it is heard.
            doing: verb and object, for errors.
            seconds: how long it may take.
        """
        return execute(
            self._link,
            f"{path}?{urlencode(query)}",
            doing=doing,
            seconds=seconds,
            refused=lambda status, data: self._refused(status, _read(data), data, doing),
        )

    def _refused(self, status: int, told: Any, data: bytes, doing: str) -> TabularError:
        if status == 401:
            return unauthenticated(doing, self._link)
        if isinstance(told, dict):
            return refused(status, told, doing)
        if status in (404, 429) or status >= 500:  # an unknown group, or a proxy's page
            return refused(status, {}, doing)
        text = data[:80].decode(errors="replace")
        return PreflightError(
            f"what answers at {self._link.host} is no cluster: HTTP {status}: {text!r}",
            where=doing,
            hint="look at the server's address in the kubeconfig, and at the proxy",
            code="preflight.no-cluster",
        )


def _with_query(path: str, query: Mapping[str, str] | None) -> str:
    said = urlencode({key: value for key, value in (query or {}).items() if value})
    return f"{path}?{said}" if said else path


def _read(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _seconds(said: str) -> float:
    return float(said) if said.isdigit() else 0.0

"""Whether this process can serve: each part is asked, at the same time, within a time limit.

*Failed*: nothing can be accepted without the part, and a load balancer should send nobody here.
*Degraded*: requests are answered and jobs accepted, only later or with less certainty. An outage of
the cache must not become one of the service, so it does not take every process out of service.

Probes come often and from many; the parts are asked once a second at most, whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from anyio import CapacityLimiter, move_on_after, to_thread

from tabular.api.service import Service
from tabular.errors import TabularError, UnavailableError
from tabular.infra.database import Database, check_schema
from tabular.worker import presence

LIMIT = 3.0  # seconds a part may take to answer
FRESH = 1.0  # seconds an answer counts

_LOG = logging.getLogger(__name__)
_THREADS = 16

Check = Callable[[], object]
READY, DEGRADED, UNAVAILABLE = "ready", "degraded", "unavailable"


class Readiness:
    """The state of the parts of one application.

    Args:
        checks: return when a part is well, by its name.
        spare: names of those that can be done without for a while.
        limit: seconds that a part may take to answer.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        spare: Collection[str] = (),
        limit: float = LIMIT,
    ) -> None:
        self._checks = checks
        self._spare = spare
        self._limit = limit
        self._lock = asyncio.Lock()
        self._threads = CapacityLimiter(_THREADS)  # a part that hangs must not take the others'
        self._last: dict[str, Any] = {}
        self._at = float("-inf")

    async def report(self) -> tuple[str, dict[str, Any]]:
        """`READY`, `DEGRADED` or `UNAVAILABLE`, and each part by name."""
        async with self._lock:
            if time.monotonic() - self._at >= FRESH:
                names = list(self._checks)
                found = await asyncio.gather(*(self._ask(name) for name in names))
                self._last = dict(zip(names, found, strict=True))
                self._at = time.monotonic()
        states = {part["status"] for part in self._last.values()}
        if "failed" in states:
            return UNAVAILABLE, self._last
        return (DEGRADED if "degraded" in states else READY), self._last

    async def _ask(self, name: str) -> dict[str, Any]:
        begun = time.monotonic()
        code: str | None = "unavailable.timeout"
        with move_on_after(self._limit):
            try:
                await to_thread.run_sync(
                    self._checks[name], abandon_on_cancel=True, limiter=self._threads
                )
                code = None
            except TabularError as error:
                _LOG.warning("%s is not well: %s", name, error)
                code = error.code
        milliseconds = round((time.monotonic() - begun) * 1000, 1)
        if code is None:
            return {"status": "ok", "milliseconds": milliseconds}
        status = "degraded" if name in self._spare else "failed"
        return {"status": status, "code": code, "milliseconds": milliseconds}


def readiness_of(service: Service) -> Readiness:
    """The parts of a service; which can be done without depends on its settings."""
    spare = {"queue", "workers"}
    if service.settings.rate_limit_on_failure == "open":
        spare.add("cache")
    return Readiness(_checks_of(service), spare=spare)


def _checks_of(service: Service) -> dict[str, Check]:
    return {
        "database": lambda: _ask_database(service.database),
        "storage": service.store.ping,
        "cache": service.cache.ping,
        "queue": service.queue.ping,
        "workers": lambda: _find_workers(service.database),
    }


def _ask_database(database: Database) -> None:
    check_schema(database)
    database.check_commits()


def _find_workers(database: Database) -> None:
    with database.session() as session:
        if not presence.count(session):
            raise UnavailableError(
                f"no worker gave a sign of life for {presence.LATELY:g} s",
                hint="jobs wait until one does; start one with `python -m tabular.worker`",
                code="unavailable.workers",
            )

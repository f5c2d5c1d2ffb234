"""Whether this process can serve: each part is asked, at the same time, within a time limit.

Probes come often and from many; the parts are asked once a second at most, whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, move_on_after, to_thread

from tabular.api.service import Service
from tabular.errors import TabularError
from tabular.infra.database import check_schema

LIMIT = 3.0  # seconds a part may take to answer
FRESH = 1.0  # seconds an answer counts

_LOG = logging.getLogger(__name__)
_THREADS = 16

Check = Callable[[], object]


class Readiness:
    """The state of the parts of one application."""

    def __init__(self, checks: Mapping[str, Check], *, limit: float = LIMIT) -> None:
        self._checks = checks
        self._limit = limit
        self._lock = asyncio.Lock()
        self._threads = CapacityLimiter(_THREADS)  # a part that hangs must not take the others'
        self._last: dict[str, Any] = {}
        self._at = float("-inf")

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether all is well, and each part by name."""
        async with self._lock:
            if time.monotonic() - self._at >= FRESH:
                names = list(self._checks)
                found = await asyncio.gather(*(self._ask(name) for name in names))
                self._last = dict(zip(names, found, strict=True))
                self._at = time.monotonic()
        return all(part["status"] == "ok" for part in self._last.values()), self._last

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
                _LOG.warning("not ready: %s", error)
                code = error.code
        milliseconds = round((time.monotonic() - begun) * 1000, 1)
        if code is None:
            return {"status": "ok", "milliseconds": milliseconds}
        return {"status": "failed", "code": code, "milliseconds": milliseconds}


def checks_of(service: Service) -> dict[str, Check]:
    """The parts without which nothing can be accepted."""
    return {
        "database": lambda: check_schema(service.database),
        "storage": service.store.ping,
        "cache": service.cache.ping,
        "queue": service.queue.ping,
    }

"""What the service tells of itself: Prometheus metrics, and logs (see `logs`).

Several processes answer for one deployment, and a scrape reaches any one of them. Where
``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share (prometheus_client's own
convention; it must be set before the process starts), every process writes its samples there
and each scrape gives the sum of all, the workers' included. Without it a process tells of
itself alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client import multiprocess as prometheus_multiprocess

from tabular.infra.logs import JsonFormatter, Redactor, configure_logging, log_context

__all__ = [
    "CONTENT_TYPE",
    "Generation",
    "JsonFormatter",
    "Metrics",
    "Redactor",
    "configure_logging",
    "log_context",
]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_multiprocess: Any = prometheus_multiprocess  # the package leaves this module untyped
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_RATE_WINDOW = 1.0  # seconds of generation over which a rate is measured
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one process, labelled with where it runs.

    Args:
        provider: value of the ``provider`` label.
        region: value of the ``region`` label.
        registry: where they are registered; a fresh one by default, so that a test or a
            second application in the process starts from zero.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        provider: str,
        region: str,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry if registry is not None else CollectorRegistry()
        self._clock = clock
        self._place = (provider, region)
        place = ("provider", "region")
        self._rows = Counter(
            "tabular_rows_generated",
            "Synthetic rows generated.",
            place,
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tabular_generation_seconds",
            "Seconds that one generation took, from its first to its last row.",
            place,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._rate = Gauge(
            "synthdata_generation_rate",
            "Synthetic rows a second being generated now.",
            place,
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._active = Gauge(
            "tabular_active_jobs",
            "Jobs that run now.",
            (*place, "kind"),
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._jobs = Counter(
            "tabular_jobs_finished",
            "Jobs that ended, by how.",
            (*place, "kind", "status"),
            registry=self._registry,
        )
        self._errors = Counter(
            "tabular_errors", "Errors, by kind.", (*place, "kind"), registry=self._registry
        )
        self._requests = Histogram(
            "tabular_request_seconds",
            "Seconds to answer an HTTP request, by route template.",
            (*place, "method", "route", "status"),
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._rows.labels(*self._place)
        self._rate.labels(*self._place)

    @contextlib.contextmanager
    def job(self, kind: str) -> Iterator[None]:
        """Count a job as active for the time of the block."""
        gauge = self._active.labels(*self._place, kind)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def job_finished(self, kind: str, status: str) -> None:
        """Count a job that ended as ``succeeded``, ``failed`` or ``cancelled``."""
        self._jobs.labels(*self._place, kind, status).inc()

    @contextlib.contextmanager
    def generation(self) -> Iterator[Generation]:
        """Measure one generation; tell it of the rows as they come."""
        rate = self._rate.labels(*self._place)
        rows = self._rows.labels(*self._place)
        running = Generation(rows.inc, rate.inc, self._clock)
        start = self._clock()
        try:
            yield running
        finally:
            running.end()
            self._seconds.labels(*self._place).observe(self._clock() - start)

    def error(self, kind: str) -> None:
        """Count an error; `kind` is an error code or a short word, never a message."""
        self._errors.labels(*self._place, kind).inc()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is the template (``/v1/jobs/{id}``)."""
        self._requests.labels(*self._place, method, route, str(status)).observe(seconds)

    def render(self) -> bytes:
        """The text that ``GET /metrics`` answers, of content type `CONTENT_TYPE`."""
        folder = os.environ.get(_FOLDER)
        if not folder:
            return generate_latest(self._registry)
        self._forget_the_dead(Path(folder))
        merged = CollectorRegistry()
        _multiprocess.MultiProcessCollector(merged, path=folder)
        return generate_latest(merged)

    @staticmethod
    def _forget_the_dead(folder: Path) -> None:
        """Take the gauges of processes that ended out of the sums; their counters stay.

        A process that was killed cannot do so itself, and would be counted as active for ever.
        """
        for pid in {int(path.stem.rsplit("_", 1)[1]) for path in folder.glob("gauge_live*.db")}:
            if not psutil.pid_exists(pid):
                _multiprocess.mark_process_dead(pid, str(folder))


class Generation:
    """Rows of one running generation and their present rate.

    Every running generation adds its own rate to the gauge and takes it away when it ends, so
    that the gauge is their sum however many run at once.
    """

    def __init__(
        self,
        count: Callable[[float], None],
        change_rate: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._count = count
        self._change_rate = change_rate
        self._clock = clock
        self._since = clock()
        self._pending = 0
        self._rate = 0.0

    def rows(self, count: int) -> None:
        """`count` more rows were generated."""
        self._count(count)
        self._pending += count
        elapsed = self._clock() - self._since
        if elapsed >= _RATE_WINDOW or (self._rate == 0.0 and elapsed > 0):
            self._set_rate(self._pending / elapsed)
            self._pending = 0
            self._since = self._clock()

    def end(self) -> None:
        """No more rows come."""
        self._set_rate(0.0)

    def _set_rate(self, rate: float) -> None:
        self._change_rate(rate - self._rate)
        self._rate = rate

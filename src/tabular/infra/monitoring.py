"""What the service tells of itself: Prometheus metrics, and logs (see `logs`).

Several processes answer for one deployment, and a scrape reaches any one of them. Where
``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share (prometheus_client's own
convention; it must be set before the process starts), every process writes its samples there
and each scrape gives the sum of all, the workers' included. Without it a process tells of
itself alone, and a worker does so on a port of its own (see `worker.exposed`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil

from tabular.infra.metrics.blocks import FOLDER, Blocks, give_back

if not os.environ.get(FOLDER):
    # The library takes an empty variable for the present folder, and asks when it is imported.
    os.environ.pop(FOLDER, None)

import prometheus_client.metrics
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client import multiprocess as prometheus_multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tabular.infra.logs import JsonFormatter, Redactor, configure_logging, log_context
from tabular.infra.metrics import CATALOGUE, Described
from tabular.infra.metrics import catalogue as c

__all__ = [
    "CONTENT_TYPE",
    "Generation",
    "JsonFormatter",
    "Metrics",
    "Observed",
    "Redactor",
    "configure_logging",
    "log_context",
]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LOG = logging.getLogger(__name__)
_multiprocess: Any = prometheus_multiprocess  # the package leaves this module untyped
_library: Any = prometheus_client.metrics  # and this function
_library.disable_created_metrics()  # several processes give none, so one should not either
_RATE_WINDOW = 1.0  # seconds of generation over which a rate is measured
_FILES = {"counter": "counter", "gauge": "gauge_livesum", "histogram": "histogram"}

# What was found out for one scrape: a metric, the values of its own labels, its value.
Observed = Iterable[tuple[Described, tuple[str, ...], float]]


class Mirror(Protocol):
    """Takes the same numbers another way, such as OTLP."""

    def tell(self, metric: Described, labels: Mapping[str, str], value: float) -> None:
        """An increase of a counter, a change of a gauge, or one observation of a histogram."""


class Metrics:
    """The metrics of one process, labelled with where it runs.

    Args:
        provider: value of the ``provider`` label.
        region: value of the ``region`` label.
        registry: where they are registered; a fresh one by default, so that a test or a
            second application in the process starts from zero.
        clock: monotonic seconds.
        mirror: is told every number too.
    """

    def __init__(
        self,
        *,
        provider: str,
        region: str,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
        mirror: Mirror | None = None,
    ) -> None:
        self._registry = registry if registry is not None else CollectorRegistry()
        self._clock = clock
        self._mirror = mirror
        self._place = (provider, region)
        folder = os.environ.get(FOLDER)
        self._folder = Path(folder) if folder else None
        self._blocks = Blocks(self._folder)
        self._made = {
            metric.name: _instrument(metric, self._registry)
            for metric in CATALOGUE
            if not metric.when_asked
        }
        self._series: dict[tuple[str, ...], Any] = {}
        self._lock = threading.Lock()
        self._find(c.ROWS)
        self._find(c.RATE)

    @contextlib.contextmanager
    def job(self, kind: str) -> Iterator[None]:
        """Count a job as active for the time of the block."""
        self._tell(c.ACTIVE_JOBS, (kind,), 1)
        try:
            yield
        finally:
            self._tell(c.ACTIVE_JOBS, (kind,), -1)

    def job_finished(self, kind: str, status: str) -> None:
        """Count a job that ended as ``succeeded``, ``failed`` or ``cancelled``."""
        self._tell(c.JOBS_FINISHED, (kind, status), 1)

    @contextlib.contextmanager
    def generation(self) -> Iterator[Generation]:
        """Measure one generation; tell it of the rows as they come."""
        running = Generation(
            lambda rows: self._tell(c.ROWS, (), rows),
            lambda change: self._tell(c.RATE, (), change),
            self._clock,
        )
        start = self._clock()
        try:
            yield running
        finally:
            running.end()
            self._tell(c.GENERATION_SECONDS, (), self._clock() - start)

    def error(self, kind: str) -> None:
        """Count an error; `kind` is an error code or a short word, never a message."""
        self._tell(c.ERRORS, (kind,), 1)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is the template (``/v1/jobs/{id}``)."""
        self._tell(c.REQUEST_SECONDS, (method, route, str(status)), seconds)

    def render(self, observed: Observed = ()) -> bytes:
        """The text that ``GET /metrics`` answers, of content type `CONTENT_TYPE`.

        Args:
            observed: what was found out for this scrape.
        """
        asked = _Asked(self._place, observed)
        merged = CollectorRegistry()
        merged.register(asked)
        if self._folder is None:
            return generate_latest(self._registry) + generate_latest(merged)
        _forget_the_dead(self._folder)
        _multiprocess.MultiProcessCollector(merged, path=str(self._folder))
        return generate_latest(merged)

    def _tell(self, metric: Described, own: tuple[str, ...], value: float) -> None:
        if self._mirror is not None:
            labels = dict(zip(metric.labels, (*self._place, *own), strict=True))
            self._mirror.tell(metric, labels, value)
        series = self._find(metric, own)
        if series is None:
            return
        if metric.kind == "histogram":
            series.observe(value)
        else:
            series.inc(value)

    def _find(self, metric: Described, own: tuple[str, ...] = ()) -> Any:
        """The series of these labels, or None while the disk has no room for a new one."""
        key = (metric.name, *own)
        found = self._series.get(key)
        if found is not None:
            return found
        with self._lock:
            if key not in self._series and self._blocks.taken(_FILES[metric.kind]):
                self._series[key] = self._made[metric.name].labels(*self._place, *own)
            return self._series.get(key)


class _Asked(Collector):
    """Gauges of one scrape."""

    def __init__(self, place: tuple[str, str], observed: Observed) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}
        for metric, own, value in observed:
            family = self._families.get(metric.name)
            if family is None:
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                self._families[metric.name] = family
            family.add_metric((*place, *own), value)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As the library wants it."""
        yield from self._families.values()


def _instrument(metric: Described, registry: CollectorRegistry) -> Any:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(
            metric.name,
            metric.help,
            metric.labels,
            registry=registry,
            multiprocess_mode="livesum",
        )
    return Histogram(
        metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
    )


def _forget_the_dead(folder: Path) -> None:
    """Take the gauges of processes that ended out of the sums; their counters stay.

    A process that was killed cannot do so itself, and would be counted as active for ever.
    """
    for file in folder.glob("*.db"):
        pid = int(file.stem.rsplit("_", 1)[1])
        if psutil.pid_exists(pid):
            continue
        if file.stem.startswith("gauge_live"):
            file.unlink(missing_ok=True)
            continue
        try:
            give_back(file)
        except FileNotFoundError:
            continue
        except OSError as error:
            _LOG.warning("metrics of a process that ended: %s: %s", file, error.strerror)


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

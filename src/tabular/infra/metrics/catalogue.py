"""Every metric of the service, described once.

The service builds its instruments from this list and the compilers of dashboards and alerts read
it, so that no dashboard can ask for a metric which nothing emits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tabular.errors import NotFoundError, nearest

Kind = Literal["counter", "gauge", "histogram"]
PLACE = ("provider", "region")

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True, slots=True)
class Described:
    """One metric.

    Attributes:
        name: as it is scraped; a counter's ends in ``_total``.
        kind: of Prometheus.
        help: one sentence.
        own_labels: beyond provider and region.
        unit: of Grafana (``short``, ``s``, ``bytes`` …).
        buckets: upper bounds, of a histogram.
        when_asked: found out by the API at each scrape, and not counted as it happens.
    """

    name: str
    kind: Kind
    help: str
    own_labels: tuple[str, ...] = ()
    unit: str = "short"
    buckets: tuple[float, ...] = ()
    when_asked: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """All its labels."""
        return (*PLACE, *self.own_labels)


ROWS = Described("tabular_rows_generated_total", "counter", "Synthetic rows generated.")
GENERATION_SECONDS = Described(
    "tabular_generation_seconds",
    "histogram",
    "Seconds that one generation took, from its first to its last row.",
    unit="s",
    buckets=_SECONDS,
)
RATE = Described(
    "synthdata_generation_rate",
    "gauge",
    "Synthetic rows a second being generated now.",
    unit="rowsps",
)
ACTIVE_JOBS = Described("tabular_active_jobs", "gauge", "Jobs that run now.", ("kind",))
JOBS_FINISHED = Described(
    "tabular_jobs_finished_total", "counter", "Jobs that ended, by how.", ("kind", "status")
)
ERRORS = Described("tabular_errors_total", "counter", "Errors, by kind.", ("kind",))
REQUEST_SECONDS = Described(
    "tabular_request_seconds",
    "histogram",
    "Seconds to answer an HTTP request, by route template.",
    ("method", "route", "status"),
    unit="s",
    buckets=_REQUEST_SECONDS,
)
PART_UP = Described(
    "tabular_part_up",
    "gauge",
    "1 when a part of the platform answers, 0 when it does not.",
    ("part",),
    when_asked=True,
)
JOBS_WAITING = Described(
    "tabular_jobs_waiting", "gauge", "Jobs that wait for a worker.", when_asked=True
)
OLDEST_WAITING = Described(
    "tabular_queue_oldest_seconds",
    "gauge",
    "Seconds that the job which has waited longest has been waiting.",
    unit="s",
    when_asked=True,
)
WORKERS = Described(
    "tabular_workers", "gauge", "Workers that gave a sign of life lately.", when_asked=True
)
DISK_FREE = Described(
    "tabular_disk_free_bytes",
    "gauge",
    "Room on the disk of a part that is kept on one of this machine.",
    ("part",),
    unit="bytes",
    when_asked=True,
)
DISK_SIZE = Described(
    "tabular_disk_size_bytes",
    "gauge",
    "Size of the disk of a part that is kept on one of this machine.",
    ("part",),
    unit="bytes",
    when_asked=True,
)
CERTIFICATE_LEFT = Described(
    "tabular_certificate_left_seconds",
    "gauge",
    "Seconds that the certificate of a file is still valid; less than 0 when it has ended.",
    ("certificate",),
    unit="s",
    when_asked=True,
)
BACKUP_AGE = Described(
    "tabular_backup_age_seconds",
    "gauge",
    "Seconds since the last backup was whole; since the first key was made, where there is none.",
    unit="s",
    when_asked=True,
)

CATALOGUE: tuple[Described, ...] = (
    RATE,
    ROWS,
    GENERATION_SECONDS,
    ACTIVE_JOBS,
    JOBS_FINISHED,
    JOBS_WAITING,
    OLDEST_WAITING,
    WORKERS,
    REQUEST_SECONDS,
    ERRORS,
    PART_UP,
    DISK_FREE,
    DISK_SIZE,
    CERTIFICATE_LEFT,
    BACKUP_AGE,
)


def described(name: str) -> Described:
    """The metric of a name.

    Raises:
        NotFoundError: the service has none of that name.
    """
    for metric in CATALOGUE:
        if metric.name == name:
            return metric
    names = [metric.name for metric in CATALOGUE]
    raise NotFoundError(
        f"the service has no metric {name!r}",
        hint=f"{nearest(name, names)}see docs/observability.md for all",
        code="not-found.metric",
    )

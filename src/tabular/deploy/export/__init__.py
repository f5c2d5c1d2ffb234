"""A spec in the words of other tools: what `inferloop-tabular export` offers.

A format is a plain function from the spec to files, with the same bytes for the same spec. A new
one is a line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tabular.deploy.export import monitoring
from tabular.deploy.spec import Deployment
from tabular.errors import UsageError, nearest

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: on the command line.
        summary: for people, one line.
        build: the files by their relative path.
    """

    name: str
    summary: str
    build: Callable[[Deployment], Files]


FORMATS: tuple[Format, ...] = (
    Format("grafana", "dashboards to import into Grafana", monitoring.grafana),
    Format("prometheus", "scrape configuration and the rules it names", monitoring.prometheus),
    Format("alerts", "alert rules of Prometheus", monitoring.alerts),
    Format("otel-collector", "configuration of an OpenTelemetry collector", monitoring.collector),
)


def format_named(name: str) -> Format:
    """The format of a name.

    Raises:
        UsageError: there is none.
    """
    for found in FORMATS:
        if found.name == name:
            return found
    known = [found.name for found in FORMATS]
    raise UsageError(
        f"there is no format {name!r}",
        where="--format",
        hint=f"{nearest(name, known)}known: {', '.join(known)}",
    )

"""Queries of Prometheus from what a panel asks for.

What a metric can be asked depends on its kind: a counter only ever grows, so its rate is drawn; a
gauge is drawn as it is; of a histogram, quantiles or the rate of its observations.
"""

from __future__ import annotations

from collections.abc import Sequence

from tabular.errors import UsageError, nearest
from tabular.infra.metrics import Described, described

WINDOW = "$__rate_interval"  # Grafana's: four scrapes at least
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
AGGREGATIONS = ("sum", "avg", "min", "max", "count")


def query(
    metric: str, aggregation: str, group_by: Sequence[str], *, window: str = WINDOW, where: str = ""
) -> str:
    """One expression of PromQL.

    Args:
        metric: name, as scraped.
        aggregation: one of `AGGREGATIONS`, or of `QUANTILES` for a histogram.
        group_by: labels, one line of the chart for each combination of their values.
        window: over which rates are taken.
        where: matchers without their braces, such as ``status="failed"``.

    Raises:
        NotFoundError: the service has no such metric.
        UsageError: an aggregation or a label that the metric has not.
    """
    found = described(metric)
    _check_labels(found, group_by)
    _check_aggregation(found, aggregation)
    by = f" by ({', '.join(group_by)})" if group_by else ""
    braces = f"{{{where}}}" if where else ""
    if aggregation in QUANTILES:
        labels = ", ".join(("le", *group_by))
        inner = f"sum by ({labels}) (rate({metric}_bucket{braces}[{window}]))"
        return f"histogram_quantile({QUANTILES[aggregation]:g}, {inner})"
    if found.kind == "gauge":
        return f"{aggregation}{by} ({metric}{braces})"
    if found.kind == "histogram":
        if aggregation == "avg":
            total = f"sum{by} (rate({metric}_sum{braces}[{window}]))"
            return f"{total} / sum{by} (rate({metric}_count{braces}[{window}]))"
        metric = f"{metric}_count"
    return f"{aggregation}{by} (rate({metric}{braces}[{window}]))"


def unit(metric: str, aggregation: str) -> str:
    """Grafana's unit of what `query` gives."""
    found = described(metric)
    if found.kind == "gauge" and aggregation != "count":
        return found.unit
    if found.kind == "histogram" and (aggregation in QUANTILES or aggregation == "avg"):
        return found.unit
    return "short" if aggregation == "count" else "cps"


def _check_labels(metric: Described, labels: Sequence[str]) -> None:
    known = (*metric.labels, "instance", "job")
    for label in labels:
        if label not in known:
            raise UsageError(
                f"{metric.name} has no label {label!r}",
                where="groupBy",
                hint=f"{nearest(label, known)}it has: {', '.join(known)}",
            )


def _check_aggregation(metric: Described, aggregation: str) -> None:
    known = (*AGGREGATIONS, *QUANTILES)
    if aggregation not in known:
        raise UsageError(
            f"there is no aggregation {aggregation!r}",
            where="aggregation",
            hint=f"{nearest(aggregation, known)}known: {', '.join(known)}",
        )
    if aggregation in QUANTILES and metric.kind != "histogram":
        raise UsageError(
            f"{metric.name} is a {metric.kind} and has no quantiles",
            where="aggregation",
            hint=f"use one of: {', '.join(AGGREGATIONS)}",
        )
    if metric.kind == "histogram" and aggregation in ("min", "max"):
        raise UsageError(
            f"{metric.name} is a histogram, which keeps no {aggregation}",
            where="aggregation",
            hint="use p50 or p99",
        )

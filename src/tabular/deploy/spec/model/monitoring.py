"""`spec.monitoring`: what is measured, how long it is kept, who is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tabular.deploy.spec.model.amounts import Days, Duration, Size
from tabular.deploy.spec.model.base import AsTuple, Block, Text, Word, contradiction, key
from tabular.deploy.spec.secret import Secret

Alarm = Literal[
    "high_cpu",
    "low_memory",
    "api_errors",
    "high_latency",
    "unhealthy_instances",
    "queue_backlog",
    "job_failures",
    "database_storage",
]
Metric = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]
MetricLabel = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=100)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:/_-]*$", max_length=253)]


class Exporter(Block):
    """Where metrics are collected from, by provider."""

    type: Literal["prometheus"] = key(..., "Kind of exporter.", "prometheus")
    endpoints: dict[str, Host] = key(
        ..., "Address for each provider.", {"onprem": "prometheus.local"}, min_length=1
    )
    interval: Duration | None = key(None, "Time between two scrapes.", "30s")


class Panel(Block):
    """One chart of a dashboard."""

    metric: Metric = key(..., "Metric to draw.", "synthdata_generation_rate")
    aggregation: Literal["sum", "avg", "min", "max", "count", "p50", "p90", "p95", "p99"] = key(
        "sum", "How series are put together; p50 to p99 are quantiles of a histogram.", "sum"
    )
    group_by: Annotated[tuple[MetricLabel, ...], AsTuple] = key(
        (), "One line for each value of these labels.", ["provider", "region"], alias="groupBy"
    )
    title: Text | None = key(None, "Heading; the metric's name if unset.", "Rows per second")


class Dashboard(Block):
    """A page of charts."""

    name: Text = key(..., "Heading of the page.", "Global Synthetic Data Metrics")
    panels: Annotated[tuple[Panel, ...], AsTuple] = key(..., "Its charts.", min_length=1)


class Grafana(Block):
    """A Grafana of the deployment's own."""

    enabled: bool = key(True, "Run it.", True)
    admin_user: Word = key("admin", "Name of the administrator.", "admin")
    admin_password: Secret | None = key(
        None, "Generated if unset; a well-known one is refused.", {"secretRef": "env:GRAFANA"}
    )
    size: Size | None = key(None, "Disk for its settings.", "5Gi")


class Monitoring(Block):
    """What is measured and who is told."""

    enabled: bool = key(False, "Collect metrics and raise alarms.", True)
    retention: Days = key(
        timedelta(days=30), "Keep metrics for this long; a bare number means days.", "30d"
    )
    log_retention: Days = key(
        timedelta(days=30), "Keep logs for this long; a bare number means days.", 90
    )
    detailed: bool = key(False, "Measure every minute instead of every five.", True)
    alarms: Annotated[tuple[Alarm, ...], AsTuple] | None = key(
        None, "Which alarms to raise; the provider's usual set if unset.", ["high_cpu"]
    )
    notify: Annotated[tuple[Text, ...], AsTuple] = key(
        (), "Mail addresses or URLs that are told.", ["ops@example.com"]
    )
    exporters: Annotated[tuple[Exporter, ...], AsTuple] = key((), "Where to collect from.")
    dashboards: Annotated[tuple[Dashboard, ...], AsTuple] = key((), "Pages of charts.")
    grafana: Grafana | None = key(None, "A Grafana of the deployment's own.")
    size: Size | None = key(None, "Disk for metrics, where they are kept on one.", "50Gi")
    tracing: bool = key(False, "Record traces of requests and jobs.", True)
    otlp_endpoint: Host | None = key(
        None,
        "Send traces and metrics to this OpenTelemetry collector, by OTLP over HTTP.",
        "otel.internal:4318",
    )

    @model_validator(mode="after")
    def _enabled(self) -> Monitoring:
        for name in ("alarms", "exporters", "dashboards"):
            if getattr(self, name) and not self.enabled:
                raise contradiction(name, "needs enabled: true, else nothing would come of it")
        return self

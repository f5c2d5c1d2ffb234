"""Dashboards of Grafana: those of the spec, and one of the platform itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tabular.deploy.monitoring.promql import query, unit
from tabular.deploy.spec import Deployment
from tabular.errors import TabularError

SCHEMA_VERSION = 39  # of Grafana 10 and 11; later ones read it and bring it up to date
WIDTH, HEIGHT = 12, 8  # of 24 columns
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# What everybody who runs the platform looks at: title, metric, aggregation, labels.
_PLATFORM: Sequence[tuple[str, str, str, tuple[str, ...]]] = (
    ("Rows a second", "synthdata_generation_rate", "sum", ("provider", "region")),
    ("Rows generated", "tabular_rows_generated_total", "sum", ("provider", "region")),
    ("Jobs that run", "tabular_active_jobs", "sum", ("kind",)),
    ("Jobs that ended", "tabular_jobs_finished_total", "sum", ("kind", "status")),
    ("Jobs that wait", "tabular_jobs_waiting", "max", ("provider", "region")),
    ("Longest wait", "tabular_queue_oldest_seconds", "max", ("provider", "region")),
    ("Workers", "tabular_workers", "max", ("provider", "region")),
    ("Time of a generation, p95", "tabular_generation_seconds", "p95", ("provider", "region")),
    ("Requests a second", "tabular_request_seconds", "sum", ("status",)),
    ("Time of a request, p99", "tabular_request_seconds", "p99", ("route",)),
    ("Errors", "tabular_errors_total", "sum", ("kind",)),
    ("Parts that answer", "tabular_part_up", "min", ("part",)),
    ("Room on disks", "tabular_disk_free_bytes", "min", ("part", "instance")),
)


def dashboards(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Every dashboard by the name of its file, without ending.

    Raises:
        NotFoundError, UsageError: a panel that cannot be drawn; the place names it.
    """
    name = deployment.metadata.name
    platform = [_panel(i, *panel) for i, panel in enumerate(_PLATFORM)]
    found = {"platform": _dashboard(name, f"inferloop-tabular: {name}", platform)}
    for number, wanted in enumerate(deployment.spec.monitoring.dashboards):
        panels = []
        for i, panel in enumerate(wanted.panels):
            place = f"spec.monitoring.dashboards[{number}].panels[{i}]"
            title = panel.title or panel.metric
            try:
                panels.append(_panel(i, title, panel.metric, panel.aggregation, panel.group_by))
            except TabularError as error:
                error.where = f"{place}.{error.where or 'metric'}"
                raise
        slug = re.sub(r"[^a-z0-9]+", "-", wanted.name.lower()).strip("-") or "dashboard"
        key = slug if slug not in found else f"{slug}-{number}"
        found[key] = _dashboard(f"{name}/{key}", wanted.name, panels)
    return found


def _dashboard(identity: str, title: str, panels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "__inputs": [],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        ],
        "annotations": {"list": []},
        "editable": True,
        "graphTooltip": 1,
        "id": None,
        "links": [],
        "panels": list(panels),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["inferloop-tabular"],
        "templating": {"list": [_datasource()]},
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "utc",
        "title": title,
        "uid": hashlib.sha256(identity.encode()).hexdigest()[:20],
        "version": 1,
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def _panel(
    number: int, title: str, metric: str, aggregation: str, group_by: Sequence[str]
) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": dict(_SOURCE),
        "gridPos": {
            "h": HEIGHT,
            "w": WIDTH,
            "x": number % 2 * WIDTH,
            "y": number // 2 * HEIGHT,
        },
        "fieldConfig": {
            "defaults": {
                "color": {"mode": "palette-classic"},
                "custom": {"drawStyle": "line", "fillOpacity": 10, "showPoints": "never"},
                "min": 0,
                "unit": unit(metric, aggregation),
            },
            "overrides": [],
        },
        "options": {
            "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": "A",
                "datasource": dict(_SOURCE),
                "editorMode": "code",
                "expr": query(metric, aggregation, group_by),
                "legendFormat": " ".join(f"{{{{{label}}}}}" for label in group_by) or title,
                "range": True,
            }
        ],
    }


def expressions(deployment: Deployment) -> Iterator[str]:
    """Every query of every dashboard."""
    for dashboard in dashboards(deployment).values():
        for panel in dashboard["panels"]:
            yield str(panel["targets"][0]["expr"])

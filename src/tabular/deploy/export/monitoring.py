"""The files of monitoring systems."""

from __future__ import annotations

import io
import json
from typing import Any

from ruamel.yaml import YAML

from tabular.deploy.monitoring import alerts as alert_rules
from tabular.deploy.monitoring import collector as otel
from tabular.deploy.monitoring import grafana as dashboards
from tabular.deploy.monitoring import scrape
from tabular.deploy.spec import Deployment


def grafana(deployment: Deployment) -> dict[str, bytes]:
    """One JSON file for each dashboard."""
    return {
        f"{name}.json": json.dumps(model, indent=2, sort_keys=True).encode() + b"\n"
        for name, model in sorted(dashboards.dashboards(deployment).items())
    }


def prometheus(deployment: Deployment) -> dict[str, bytes]:
    """The configuration, and the rules beside it as it names them."""
    return {"prometheus.yml": as_yaml(scrape.prometheus(deployment)), **alerts(deployment)}


def alerts(deployment: Deployment) -> dict[str, bytes]:
    """The rules."""
    return {scrape.RULES: as_yaml(alert_rules.rules(deployment))}


def collector(deployment: Deployment) -> dict[str, bytes]:
    """The collector's configuration."""
    return {"otel-collector.yaml": as_yaml(otel.collector(deployment))}


def as_yaml(data: Any) -> bytes:
    """Plain data as YAML, in the order it has."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 4096
    out = io.BytesIO()
    writer.dump(data, out)
    return out.getvalue()

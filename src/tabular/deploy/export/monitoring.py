"""The files of monitoring systems."""

from __future__ import annotations

import json

from tabular.deploy.export.yaml_text import as_yaml
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

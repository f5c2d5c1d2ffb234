"""What Prometheus scrapes: the API and the workers, and what each provider's exporter offers.

Each target gets the labels ``provider`` and ``region`` that the service writes itself; the
service's own win (``honor_labels``), so that a federated series keeps its place of origin. On
premises the endpoint is a Prometheus, which is asked for our series alone; elsewhere it is an
exporter.
"""

from __future__ import annotations

from typing import Any

from tabular.deploy.spec import Deployment
from tabular.deploy.spec.quantities import format_duration

API_PORT, WORKER_PORT = 8000, 9464  # the second is where OpenTelemetry's exporters for it listen
JOB = "inferloop-tabular"
EXPORTER = "exporter-"
WORKERS = "inferloop-tabular-workers"
INTERVAL = "30s"
RULES = "alerts.yml"
METRICS, FEDERATE = "/metrics", "/federate"
OURS = '{__name__=~"synthdata_.+|tabular_.+"}'
STANDALONE = "standalone"


def prometheus(deployment: Deployment) -> dict[str, Any]:
    """The configuration file as plain data."""
    return {
        "global": {
            "scrape_interval": INTERVAL,
            "evaluation_interval": INTERVAL,
            "external_labels": {"deployment": deployment.metadata.name},
        },
        "rule_files": [RULES],
        "scrape_configs": [*_own(deployment), *_exporters(deployment)],
    }


def _own(deployment: Deployment) -> list[dict[str, Any]]:
    """The API, and the workers where they share no folder with it."""
    spec = deployment.spec
    provider = spec.provider or STANDALONE
    place = {
        "environment": spec.environment,
        "provider": provider,
        "region": spec.region or "local",
    }
    if provider != STANDALONE:
        # Only the platform that runs them knows their addresses, and they come and go.
        return [_discovered(JOB, "api", place), _discovered(WORKERS, "workers", place)]
    if spec.compute.type == "container":
        workers = [f"worker-{number}:{WORKER_PORT}" for number in range(spec.compute.workers)]
        return [_job(JOB, [f"api:{API_PORT}"], place), _job(WORKERS, workers, place)]
    port = spec.overrides.get(STANDALONE, {}).get("port") or API_PORT
    return [_job(JOB, [f"127.0.0.1:{port}"], place)]


def _discovered(name: str, kind: str, labels: dict[str, str]) -> dict[str, Any]:
    job = _job(name, [], labels)
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": [f"targets/{kind}-*.json"]}]
    job["relabel_configs"] = [
        {"target_label": label, "replacement": value} for label, value in labels.items()
    ]
    return job


def _job(name: str, targets: list[str], labels: dict[str, str]) -> dict[str, Any]:
    return {
        "job_name": name,
        "honor_labels": True,
        "metrics_path": "/metrics",
        "static_configs": [{"targets": targets, "labels": labels}],
    }


def _exporters(deployment: Deployment) -> list[dict[str, Any]]:
    jobs = []
    several = len(deployment.spec.monitoring.exporters) > 1
    for number, exporter in enumerate(deployment.spec.monitoring.exporters):
        for provider, endpoint in sorted(exporter.endpoints.items()):
            scheme, host, path = _parts(endpoint, FEDERATE if provider == "onprem" else METRICS)
            name = f"{EXPORTER}{provider}" + (f"-{number}" if several else "")
            job: dict[str, Any] = {
                **_job(name, [host], {"provider": provider}),
                "metrics_path": path,
                "scheme": scheme,
            }
            if path == FEDERATE:
                job["params"] = {"match[]": [OURS]}
            if exporter.interval is not None:
                job["scrape_interval"] = format_duration(exporter.interval)
            jobs.append(job)
    return jobs


def _parts(endpoint: str, usual: str) -> tuple[str, str, str]:
    """Scheme, host with its port if it says one, and path of an endpoint."""
    scheme, separator, rest = endpoint.partition("://")
    if not separator:
        scheme, rest = "http", endpoint
    host, slash, path = rest.partition("/")
    return scheme, host, slash + path if path else usual

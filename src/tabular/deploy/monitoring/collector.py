"""The configuration of an OpenTelemetry collector that passes our telemetry on to a cloud's own.

The service speaks OTLP and nothing else; which vendor keeps the data is the collector's affair. The
exporters named here are those of the collector's contrib distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tabular.deploy.spec import Deployment
from tabular.errors import UnsupportedError

Exporters = dict[str, dict[str, Any]]


def collector(deployment: Deployment) -> dict[str, Any]:
    """The configuration file as plain data.

    Raises:
        UnsupportedError: a provider of which no exporter is known.
    """
    spec = deployment.spec
    provider = spec.provider or "standalone"
    if provider not in _EXPORTERS:
        raise UnsupportedError(
            f"no collector exporter is known for {provider}",
            where="spec.provider",
            hint=f"known: {', '.join(sorted(_EXPORTERS))}",
        )
    metrics, traces = _EXPORTERS[provider](deployment)
    receivers = {"otlp": {"protocols": {"http": {"endpoint": "0.0.0.0:4318"}}}}
    processors = {
        "memory_limiter": {"check_interval": "1s", "limit_mib": 400, "spike_limit_mib": 100},
        "batch": {"timeout": "5s"},
        "resource": {
            "attributes": [
                {"key": "cloud.provider", "value": provider, "action": "upsert"},
                {"key": "service.namespace", "value": deployment.metadata.name, "action": "upsert"},
            ]
        },
    }
    steps = ["memory_limiter", "resource", "batch"]
    return {
        "receivers": receivers,
        "processors": processors,
        "exporters": {**metrics, **traces},
        "extensions": {"health_check": {"endpoint": "0.0.0.0:13133"}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                "metrics": _pipeline(steps, metrics),
                "traces": _pipeline(steps, traces),
            },
        },
    }


def _pipeline(steps: list[str], exporters: Exporters) -> dict[str, Any]:
    return {"receivers": ["otlp"], "processors": list(steps), "exporters": sorted(exporters)}


def _aws(deployment: Deployment) -> tuple[Exporters, Exporters]:
    region = deployment.spec.region or "${env:AWS_REGION}"
    log_group = f"/inferloop-tabular/{deployment.metadata.name}"
    emf = {
        "region": region,
        "namespace": "InferloopTabular",
        "log_group_name": log_group,
        "dimension_rollup_option": "NoDimensionRollup",
    }
    return {"awsemf": emf}, {"awsxray": {"region": region}}


def _gcp(deployment: Deployment) -> tuple[Exporters, Exporters]:
    project = deployment.spec.account or "${env:GOOGLE_CLOUD_PROJECT}"
    made = {
        "project": project,
        "metric": {"prefix": "workload.googleapis.com/inferloop-tabular"},
    }
    return {"googlecloud": made}, {"googlecloud": made}


def _azure(deployment: Deployment) -> tuple[Exporters, Exporters]:
    made = {"connection_string": "${env:APPLICATIONINSIGHTS_CONNECTION_STRING}"}
    return {"azuremonitor": made}, {"azuremonitor": made}


def _prometheus(deployment: Deployment) -> tuple[Exporters, Exporters]:
    metrics: Exporters = {
        "prometheus": {
            "endpoint": "0.0.0.0:9464",
            "resource_to_telemetry_conversion": {"enabled": False},
        }
    }
    traces: Exporters = {"debug": {"verbosity": "basic"}}
    return metrics, traces


_EXPORTERS: Mapping[str, Callable[[Deployment], tuple[Exporters, Exporters]]] = {
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
    "onprem": _prometheus,
    "standalone": _prometheus,
}

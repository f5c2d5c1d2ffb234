"""Traces for X-Ray: a collector beside each program that takes them by OTLP.

Only where the spec wants traces and names no collector of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import ref
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError

NAME = "collector"
# AWS Distro for OpenTelemetry; it reads its settings from a variable.
IMAGE = "public.ecr.aws/aws-observability/aws-otel-collector:v0.49.0"
_ADDRESS = "127.0.0.1:4318"
# The variable that OpenTelemetry has for it: the collector takes traces and no metrics.
SENDING: Mapping[str, str] = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://{_ADDRESS}/v1/traces"}
_CONFIG: Mapping[str, Any] = {
    "receivers": {"otlp": {"protocols": {"http": {"endpoint": _ADDRESS}}}},
    "processors": {"batch": {}},
    "exporters": {"awsxray": {}},
    "service": {
        "pipelines": {
            "traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["awsxray"]}
        }
    },
}


def settings() -> dict[str, Any]:
    """Its variables."""
    return {"AOT_CONFIG_CONTENT": json.dumps(_CONFIG), "AWS_REGION": ref("AWS::Region")}


def runs(wanted: Wanted) -> bool:
    """Whether there is one.

    Raises:
        UnsupportedError: its image could not be had.
    """
    monitoring = wanted.spec.monitoring
    if not (wanted.served and monitoring.tracing and monitoring.otlp_endpoint is None):
        return False
    if wanted.own_network and wanted.nat == "none":
        raise UnsupportedError(
            "the collector for X-Ray comes from a public registry, and there is no way out",
            where="spec.monitoring.tracing",
            hint="name a collector of yours: monitoring.otlp_endpoint, or set networking.nat",
        )
    return True


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Generation alone answers no requests."""
    if wanted.spec.monitoring.tracing and not wanted.served:
        yield Reduction(
            "spec.monitoring.tracing",
            "true",
            "none",
            f"an order that {wanted.kind} does is one step, told in its results and its log",
        )

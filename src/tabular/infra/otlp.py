"""The providers of OpenTelemetry's SDK; imported only where they are installed and asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio, Sampler


def resource(attributes: Mapping[str, str]) -> Resource:
    """What all telemetry of this process is of; ``OTEL_RESOURCE_ATTRIBUTES`` win."""
    found = Resource.create()
    ours = Resource(dict(attributes))
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = Resource({k: v for k, v in found.attributes.items() if k != "service.name"})
    return ours.merge(found)


def tracer_provider(
    described: Resource,
    exporters: Sequence[str],
    endpoint: str,
    share: float,
    environ: Mapping[str, str],
) -> TracerProvider:
    """Traces through bounded queues.

    Args:
        described: what they are of.
        exporters: ``otlp``, ``console``.
        endpoint: of the collector; the SDK's variables say it where this is empty.
        share: of new traces that are recorded, 0 to 1; OTEL_TRACES_SAMPLER wins.
        environ: the variables.
    """
    ours: Sampler | None = ParentBasedTraceIdRatio(share)
    if environ.get("OTEL_TRACES_SAMPLER"):
        ours = None
    provider = TracerProvider(sampler=ours, resource=described, shutdown_on_exit=False)
    made: Mapping[str, Any] = {
        "otlp": lambda: OTLPSpanExporter(f"{endpoint}/v1/traces" if endpoint else None),
        "console": ConsoleSpanExporter,
    }
    for name in exporters:
        provider.add_span_processor(BatchSpanProcessor(made[name]()))
    return provider


def meters(described: Resource, exporters: Sequence[str], endpoint: str) -> MeterProvider:
    """Metrics that are sent once a minute, or as OTEL_METRIC_EXPORT_INTERVAL says."""
    made: Mapping[str, Any] = {
        "otlp": lambda: OTLPMetricExporter(f"{endpoint}/v1/metrics" if endpoint else None),
        "console": ConsoleMetricExporter,
    }
    readers = [PeriodicExportingMetricReader(made[name]()) for name in exporters]
    return MeterProvider(metric_readers=readers, resource=described, shutdown_on_exit=False)

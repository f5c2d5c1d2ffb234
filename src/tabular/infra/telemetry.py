"""OpenTelemetry: traces and metrics over OTLP, for whoever collects them.

Works without its packages (extra ``otel``): then the trace that a caller began is still passed on
with a job and written into the logs. Export goes on in a thread of its own, through a bounded
queue that drops what does not fit: a collector that is away costs spans, and no request.
The standard ``OTEL_*`` variables are honoured as the SDK reads them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabular.errors import ConfigError
from tabular.infra import tracing
from tabular.infra.config import Settings
from tabular.infra.logs import log_context
from tabular.infra.metrics import Described
from tabular.infra.optional import require
from tabular.infra.tracing import End, SpanData

SERVER, CONSUMER = "SERVER", "CONSUMER"  # kinds of spans
CLOSE = 3.0  # seconds that the last export may take when the process ends

_LOG = logging.getLogger(__name__)
_SDK = "opentelemetry.sdk"
_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_CHOICES = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")
_EXPORTERS = ("otlp", "console", "none")


@dataclass
class Span:
    """The span of a block; what is set here is recorded when there is somebody to record it.

    Attributes:
        trace_id: for logs; None where there is no trace.
        name: may be changed until the end, as a route is known late.
        error: kind of an error.
        attributes: to be recorded.
    """

    name: str
    trace_id: str | None = None
    error: str | None = None
    attributes: dict[str, str | int | float] = field(default_factory=dict)


class Telemetry:
    """What records the traces of one process.

    Args:
        tracer: of the SDK; None records nothing.
        instruments: metrics over OTLP, likewise.
        providers: to be shut down.
    """

    def __init__(
        self,
        tracer: Any = None,
        instruments: Instruments | None = None,
        providers: Sequence[Any] = (),
    ) -> None:
        self._tracer = tracer
        self.instruments = instruments
        self._providers = providers

    @contextlib.contextmanager
    def span(self, name: str, kind: str, parent: str | None = None) -> Iterator[Span]:
        """Record the block as a span, and give the logs within it the trace's id.

        Args:
            name: of the span.
            kind: `SERVER` or `CONSUMER`.
            parent: ``traceparent`` of what it is part of; a new trace begins without one.
        """
        known = tracing.trace_id(parent)
        span = Span(name, known)
        if self._tracer is None:
            with tracing.active(_Silent(str(parent)) if known else None), _logged(known):
                yield span
            return
        live = _Live.begin(self._tracer, name, kind, parent if known else None)
        span.trace_id = live.traceparent.split("-")[1]
        try:
            with tracing.active(live), _logged(span.trace_id):
                yield span
        except BaseException as error:
            span.error = tracing.error_kind(error)
            raise
        finally:
            live.end(span)

    def close(self) -> None:
        """Export what is left, within a few seconds."""
        threads = [
            threading.Thread(target=one.shutdown, name="telemetry", daemon=True)
            for one in self._providers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(CLOSE)


OFF = Telemetry()


def _logged(trace: str | None) -> contextlib.AbstractContextManager[None]:
    return log_context(trace_id=trace) if trace else contextlib.nullcontext()


class _Silent:
    """Passes a trace on and records nothing."""

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def start(self, name: str, attributes: Mapping[str, str]) -> End:
        """Nothing."""
        return lambda error: None

    def replay(self, spans: Sequence[SpanData]) -> None:
        """Nothing."""


class _Live:
    """A span of the SDK, and the spans below it."""

    def __init__(self, tracer: Any, span: Any, context: Any) -> None:
        self._tracer = tracer
        self._span = span
        self._context = context
        found = span.get_span_context()
        self.traceparent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"

    @classmethod
    def begin(cls, tracer: Any, name: str, kind: str, parent: str | None) -> _Live:
        """Begin a span, which stands below no other of this process."""
        trace = require("opentelemetry.trace", extra="otel", needed_by="traces")
        propagation = require(
            "opentelemetry.trace.propagation.tracecontext", extra="otel", needed_by="traces"
        )
        context = propagation.TraceContextTextMapPropagator().extract(
            {"traceparent": parent} if parent else {}, context={}
        )
        span = tracer.start_span(name, context=context, kind=trace.SpanKind[kind])
        return cls(tracer, span, trace.set_span_in_context(span, context))

    def start(self, name: str, attributes: Mapping[str, str]) -> End:
        """Begin a span below this one."""
        return _end_of(
            self._tracer.start_span(name, context=self._context, attributes=dict(attributes))
        )

    def replay(self, spans: Sequence[SpanData]) -> None:
        """Add spans below this one, with the times they had."""
        for data in spans:
            span = self._tracer.start_span(
                data["name"],
                context=self._context,
                attributes=data["attributes"],
                start_time=data["begun"],
            )
            _end_of(span, data["ended"])(data["error"])

    def end(self, span: Span) -> None:
        """End it as it was described meanwhile."""
        self._span.update_name(span.name)
        self._span.set_attributes(span.attributes)
        _end_of(self._span)(span.error)


def _end_of(span: Any, at: int | None = None) -> End:
    def end(error: str | None) -> None:
        if error is not None:
            status = require("opentelemetry.trace.status", extra="otel", needed_by="traces")
            span.set_attribute("error.type", error)
            span.set_status(status.Status(status.StatusCode.ERROR, error))
        span.end(end_time=at)

    return end


class Instruments:
    """The metrics of the catalogue as OpenTelemetry's instruments, made when first used."""

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._made: dict[str, Any] = {}

    def tell(self, metric: Described, labels: Mapping[str, str], value: float) -> None:
        """See `monitoring.Mirror`."""
        made = self._made.get(metric.name)
        if made is None:
            made = self._made.setdefault(metric.name, self._make(metric))
        if metric.kind == "histogram":
            made.record(value, labels)
        else:
            made.add(value, labels)

    def _make(self, metric: Described) -> Any:
        if metric.kind == "counter":
            # A backend of Prometheus's kind adds the ending again.
            name = metric.name.removesuffix("_total")
            return self._meter.create_counter(name, description=metric.help)
        if metric.kind == "gauge":
            return self._meter.create_up_down_counter(metric.name, description=metric.help)
        return self._meter.create_histogram(
            metric.name,
            unit=metric.unit,
            description=metric.help,
            explicit_bucket_boundaries_advisory=metric.buckets,
        )


def open_telemetry(
    settings: Settings, role: str, *, environ: Mapping[str, str] = os.environ
) -> Telemetry:
    """What the settings and the ``OTEL_*`` variables ask for; nothing by default.

    Args:
        settings: of the platform.
        role: ``api`` or ``worker``, part of the service's name.
        environ: the variables.

    Raises:
        ConfigError: TABULAR_OTLP_ENDPOINT is set and the extra ``otel`` is not installed, or an
            exporter that there is not.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return OFF
    chosen = [_chosen(environ, name) for name in _CHOICES]
    asked = any(environ.get(name) for name in (*_ENDPOINTS, *_CHOICES))
    if not (settings.otlp_endpoint or asked) or not any(chosen):
        return OFF
    try:
        require(_SDK, extra="otel", needed_by="TABULAR_OTLP_ENDPOINT and OTEL_* variables")
    except ConfigError as error:
        if settings.otlp_endpoint:
            raise
        # Others set these variables for every container of a cluster.
        _LOG.warning("no traces and metrics over OTLP: %s; %s", error.message, error.hint)
        return OFF
    from tabular.infra.otlp import meters, resource, tracer_provider

    described = resource(
        {
            "service.name": f"inferloop-tabular-{role}",
            "service.version": settings.release,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "deployment.environment.name": settings.environment,
            "cloud.region": settings.region,
        }
    )
    endpoint = settings.otlp_endpoint.rstrip("/")
    tracers = tracer_provider(described, chosen[0], endpoint, settings.trace_sample, environ)
    measuring = meters(described, chosen[1], endpoint)
    return Telemetry(
        tracers.get_tracer("tabular"),
        Instruments(measuring.get_meter("tabular")) if chosen[1] else None,
        (tracers, measuring),
    )


def _chosen(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = [word.strip() for word in (environ.get(name) or "otlp").split(",") if word.strip()]
    for word in words:
        if word not in _EXPORTERS:
            raise ConfigError(
                f"{name}={word} is not among {', '.join(_EXPORTERS)}", where="environment"
            )
    return tuple(word for word in words if word != "none")

"""A receiver of OTLP over HTTP, which reads what comes by the protocol's published messages."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.testbed.parts import module


class Receiver:
    """What was received.

    Attributes:
        url: the endpoint.
        spans: with their resource's attributes.
        metrics: likewise.
        raw: every body.
    """

    def __init__(self) -> None:
        traces = module(
            "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
            package="opentelemetry-proto",
        )
        metrics = module(
            "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
            package="opentelemetry-proto",
        )
        self._kinds = {
            "/v1/traces": traces.ExportTraceServiceRequest,
            "/v1/metrics": metrics.ExportMetricsServiceRequest,
        }
        self.spans: list[tuple[dict[str, str], Any]] = []
        self.metrics: list[tuple[dict[str, str], Any]] = []
        self.raw: list[bytes] = []
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        """Read one request."""
        message = self._kinds[path].FromString(body)
        self.raw.append(body)
        for one in getattr(message, "resource_spans", ()):
            about = words(one.resource.attributes)
            self.spans += [(about, span) for scope in one.scope_spans for span in scope.spans]
        for one in getattr(message, "resource_metrics", ()):
            about = words(one.resource.attributes)
            self.metrics += [(about, m) for scope in one.scope_metrics for m in scope.metrics]

    def until(self, found: Callable[[], Any], timeout: float = 20.0) -> Any:
        """Wait until something has been received."""
        deadline = time.monotonic() + timeout
        while not (value := found()):
            assert time.monotonic() < deadline, sorted(span.name for _, span in self.spans)
            time.sleep(0.05)
        return value


def words(attributes: Any) -> dict[str, str]:
    """Attributes as text."""
    return {
        item.key: str(getattr(item.value, str(item.value.WhichOneof("value"))))
        for item in attributes
    }


@contextlib.contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

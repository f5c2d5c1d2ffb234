"""One trace from the request to the child process, received over OTLP; and life without it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tabular.errors import ConfigError
from tabular.infra.config import load_settings
from tabular.infra.telemetry import OFF, open_telemetry
from tests.platform import Processes, environment, finished, fitted, platform, submit
from tests.testbed.otlp import Receiver, otlp_receiver, words
from tests.testbed.ports import free_port

OTEL = {
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "300",
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def started(folder: Path, **more: str) -> tuple[Processes, httpx.Client]:
    one = Processes(folder, {**environment(folder, TABULAR_INLINE_ROWS="0"), **more})
    one.run("tabular.api", "migrate")
    key = one.run("tabular.api", "create-key", "--name", "x", "--scopes", "admin").strip()
    one.api()
    one.worker()
    client = httpx.Client(base_url=one.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    return one, client


def of_trace(receiver: Receiver) -> dict[str, Any]:
    return {
        span.name: (about, span) for about, span in receiver.spans if span.trace_id.hex() == TRACE
    }


def test_one_trace_goes_from_the_request_to_the_child(tmp_path: Path) -> None:
    with otlp_receiver() as receiver:
        place = {"TABULAR_REGION": "mars", "TABULAR_ENVIRONMENT": "prod"}
        one, client = started(tmp_path, TABULAR_OTLP_ENDPOINT=receiver.url, **OTEL, **place)
        try:
            _, model = fitted(client)
            answer = client.post(
                "/v1/generate",
                json={"model_id": model, "rows": 500},
                headers={"traceparent": PARENT},
            )
            job = finished(client, answer.json()["job"]["id"])
            assert job["status"] == "succeeded"
            wanted = {"POST /v1/generate", "job generate", "generate", "storage.put"}
            receiver.until(lambda: wanted <= of_trace(receiver).keys())
            receiver.until(
                lambda: any(m.name == "tabular_rows_generated" for _, m in receiver.metrics)
            )
            found = of_trace(receiver)
        finally:
            client.close()
            one.close()
    api, request = found["POST /v1/generate"]
    worker, attempt = found["job generate"]
    _, child = found["generate"]
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert attempt.parent_span_id == request.span_id
    assert child.parent_span_id == attempt.span_id
    assert api["service.name"] == "inferloop-tabular-api"
    assert worker["service.name"] == "inferloop-tabular-worker"
    assert (worker["cloud.region"], worker["deployment.environment.name"]) == ("mars", "prod")
    assert words(attempt.attributes)["tabular.job_id"] == job["id"]
    assert words(request.attributes)["http.response.status_code"] == "202"
    assert "database.transaction" in found
    assert attempt.start_time_unix_nano <= child.start_time_unix_nano
    assert child.end_time_unix_nano <= attempt.end_time_unix_nano
    sums = [m for _, m in receiver.metrics if m.name == "tabular_rows_generated"]
    point = sums[-1].sum.data_points[-1]
    assert (point.as_int or point.as_double) == 500
    assert words(point.attributes) == {"provider": "standalone", "region": "mars"}
    lines = [json.loads(line) for line in one.log.splitlines() if line.startswith("{")]
    joined = [line for line in lines if line.get("trace_id") == TRACE]
    assert {line["logger"] for line in joined} >= {"tabular.api.gate", "tabular.worker.runner"}


@pytest.mark.slow
def test_a_collector_that_is_away_slows_and_breaks_nothing(tmp_path: Path) -> None:
    one, client = started(tmp_path, TABULAR_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", **OTEL)
    try:
        begun = time.monotonic()
        for _ in range(200):
            assert client.get("/v1/jobs").status_code == 200
        assert time.monotonic() - begun < 20
        assert fitted(client)
    finally:
        client.close()
        begun = time.monotonic()
        one.close()
    assert time.monotonic() - begun < 30  # the SDK alone would wait for 30 s and more


def test_console_and_sampling(tmp_path: Path) -> None:
    one, client = started(tmp_path, OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="none")
    try:
        client.get("/v1/jobs")
    finally:
        client.close()
        one.close()
    assert '"name": "GET /v1/jobs"' in one.log
    with (
        otlp_receiver() as receiver,
        platform(
            tmp_path / "b", TABULAR_OTLP_ENDPOINT=receiver.url, TABULAR_TRACE_SAMPLE="0"
        ) as other,
    ):
        other.client.get("/v1/jobs")
        other.client.get("/v1/keys", headers={"traceparent": PARENT})
        other.service.telemetry.close()
        assert [span.name for _, span in receiver.spans if span.kind == 2] == ["GET /v1/keys"]


def test_without_otel_a_callers_trace_reaches_the_job_and_the_logs(tmp_path: Path) -> None:
    with platform(tmp_path) as one, one.worker():
        assert one.service.telemetry is OFF
        _, model = fitted(one.client)
        one.client.headers["traceparent"] = PARENT
        job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 50_000})
        assert one.service.jobs.get(job["id"]).traceparent == PARENT
        one.client.headers["traceparent"] = 'nonsense"; drop'
        job = submit(one.client, "/v1/generate", {"model_id": model, "rows": 50_000})
        assert one.service.jobs.get(job["id"]).traceparent is None


def test_settings_that_cannot_be_followed_are_refused(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path))
    with pytest.raises(ConfigError, match="OTEL_TRACES_EXPORTER=zipkin"):
        open_telemetry(settings, "api", environ={"OTEL_TRACES_EXPORTER": "zipkin"})
    off = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}
    assert open_telemetry(settings, "api", environ=off) is OFF
    with pytest.raises(ConfigError, match="TABULAR_OTLP_ENDPOINT"):
        load_settings(environment(tmp_path, TABULAR_OTLP_ENDPOINT="otel.internal:4317"))


def test_without_its_packages_it_is_said_and_ambient_variables_are_passed_over() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
from tabular.errors import ConfigError
from tabular.infra.config import load_settings
from tabular.infra.telemetry import OFF, open_telemetry
key = {"TABULAR_SECRET_KEY": "nJ7w2Kq9sX4vB6mZ1cR8tY3hD5pL0fGa"}
ambient = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}
assert open_telemetry(load_settings(key), "api", environ=ambient) is OFF
try:
    open_telemetry(load_settings({**key, "TABULAR_OTLP_ENDPOINT": "http://x"}), "api", environ={})
except ConfigError as error:
    print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'inferloop-tabular[otel]'" in done.stdout

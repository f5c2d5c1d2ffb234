"""A worker that answers for itself: metrics and health over HTTP."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest

from tabular.errors import PreflightError
from tabular.infra.config import load_settings
from tabular.infra.monitoring import Metrics
from tabular.worker.exposed import HUNG, Exposed, Pulse
from tests.platform import Processes, environment
from tests.testbed.ports import free_port


def test_a_worker_process_answers_on_its_own_port(tmp_path: Path) -> None:
    port = free_port()
    one = Processes(tmp_path, environment(tmp_path, TABULAR_METRICS_PORT=str(port)))
    one.run("tabular.api", "migrate")
    try:
        process = one.worker()
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, one.log
                time.sleep(0.05)
        assert (answer.status_code, answer.json()["pid"]) == (200, process.pid)
        scraped = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert 'synthdata_generation_rate{provider="standalone",region="local"}' in scraped.text
        assert httpx.get(f"http://127.0.0.1:{port}/secret").status_code == 404
        assert httpx.post(f"http://127.0.0.1:{port}/metrics").status_code == 501
    finally:
        one.close()
    assert process.returncode == 0


def test_a_loop_that_stands_still_is_told() -> None:
    now = [0.0]
    pulse = Pulse(clock=lambda: now[0])
    port = free_port()
    settings = load_settings(environment(Path("/tmp"), TABULAR_METRICS_PORT=str(port)))
    served = Exposed(settings, Metrics(provider="p", region="r"), pulse)
    try:
        assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "ok"
        now[0] = HUNG + 1
        answer = httpx.get(f"http://127.0.0.1:{port}/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "hung")
        pulse.beat()
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    finally:
        served.close()


def test_a_port_that_is_taken_is_a_clear_refusal() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = load_settings(environment(Path("/tmp"), TABULAR_METRICS_PORT=str(port)))
        with pytest.raises(PreflightError, match="cannot listen") as caught:
            Exposed(settings, Metrics(provider="p", region="r"), Pulse())
        assert "TABULAR_METRICS_PORT" in str(caught.value.hint)

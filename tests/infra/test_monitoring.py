"""The metrics as a scrape sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tabular.infra.monitoring import CONTENT_TYPE, Metrics


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """Samples by name and by the labels beyond provider and region."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("provider") == "aws"
            assert labels.pop("region") == "eu-west-1"
            rest = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
            found[sample.name, rest] = sample.value
    return found


def make(clock: list[float] | None = None) -> Metrics:
    now = clock if clock is not None else [0.0]
    return Metrics(provider="aws", region="eu-west-1", clock=lambda: now[0])


def test_a_generation_is_counted_timed_and_rated() -> None:
    now = [100.0]
    metrics = make(now)
    with metrics.job("generate"), metrics.generation() as generation:
        now[0] += 2.0
        generation.rows(1000)
        running = samples(metrics.render())
        assert running["synthdata_generation_rate", ""] == 500
        assert running["tabular_active_jobs", "kind=generate"] == 1
        now[0] += 1.0
        generation.rows(3000)
        assert samples(metrics.render())["synthdata_generation_rate", ""] == 3000
    done = samples(metrics.render())
    assert done["tabular_rows_generated_total", ""] == 4000
    assert done["synthdata_generation_rate", ""] == 0
    assert done["tabular_active_jobs", "kind=generate"] == 0
    assert done["tabular_generation_seconds_sum", ""] == 3
    assert done["tabular_generation_seconds_count", ""] == 1


def test_rates_of_generations_that_run_together_add_up() -> None:
    now = [0.0]
    metrics = make(now)
    with metrics.generation() as first:
        with metrics.generation() as second:
            now[0] += 1.0
            first.rows(100)
            second.rows(50)
            assert samples(metrics.render())["synthdata_generation_rate", ""] == 150
        assert samples(metrics.render())["synthdata_generation_rate", ""] == 100


def test_a_generation_that_fails_is_not_left_active() -> None:
    metrics = make()
    with pytest.raises(KeyError), metrics.job("generate"), metrics.generation():
        raise KeyError
    found = samples(metrics.render())
    assert found["tabular_active_jobs", "kind=generate"] == 0
    assert found["synthdata_generation_rate", ""] == 0


def test_errors_jobs_and_requests() -> None:
    metrics = make()
    metrics.error("unavailable")
    metrics.job_finished("fit", "failed")
    metrics.request("GET", "/v1/jobs/{id}", 200, 0.02)
    found = samples(metrics.render())
    assert found["tabular_errors_total", "kind=unavailable"] == 1
    assert found["tabular_jobs_finished_total", "kind=fit,status=failed"] == 1
    assert found["tabular_request_seconds_count", "method=GET,route=/v1/jobs/{id},status=200"] == 1


def test_metrics_that_nothing_happened_to_are_there() -> None:
    found = samples(make().render())
    assert found["tabular_rows_generated_total", ""] == 0
    assert found["synthdata_generation_rate", ""] == 0
    assert CONTENT_TYPE.startswith("text/plain")


_WORK = """
import os, sys, time
from tabular.infra.monitoring import Metrics
metrics = Metrics(provider="aws", region="eu-west-1")
with metrics.job("generate"), metrics.generation() as generation:
    generation.rows(1000)
    print("done", flush=True)
    sys.stdin.readline()
    os._exit(9)  # dies in the middle, as after kill -9
"""
_SCRAPE = """
import sys
from tabular.infra.monitoring import Metrics
metrics = Metrics(provider="aws", region="eu-west-1")
sys.stdout.buffer.write(metrics.render())
"""


def test_one_scrape_gives_the_sum_of_all_processes(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORK],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"done\n"

    def scrape() -> dict[tuple[str, str], float]:
        command = [sys.executable, "-c", _SCRAPE]
        return samples(subprocess.run(command, env=environ, capture_output=True, check=True).stdout)

    running = scrape()
    assert running["tabular_rows_generated_total", ""] == 2000
    assert running["tabular_active_jobs", "kind=generate"] == 2
    for worker in workers:
        worker.communicate(b"\n")
    after = scrape()
    assert after["tabular_rows_generated_total", ""] == 2000
    assert after.get(("tabular_active_jobs", "kind=generate"), 0) == 0

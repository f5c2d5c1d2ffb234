"""What is compiled, given to Prometheus itself: configuration, rules, and queries of a platform."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from tabular.deploy.export import monitoring
from tabular.deploy.export.monitoring import as_yaml
from tabular.deploy.monitoring import alerts, grafana, promql, scrape
from tabular.deploy.spec import Deployment, load, load_text
from tests.platform import Processes, environment, finished, fitted, submit
from tests.testbed.ports import free_port
from tests.testbed.prometheus import prometheus_server, promtool

pytestmark = pytest.mark.debian
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "monitoring.yaml"
SPECS = {
    "example": EXAMPLE.read_text(encoding="utf-8"),
    "cloud": "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\n"
    "metadata:\n  name: c\nspec:\n  provider: aws\n  region: eu-west-1\n",
    "containers": "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\n"
    "metadata:\n  name: c\nspec:\n  compute: {type: container, workers: 3}\n",
}


@pytest.fixture
def example() -> Deployment:
    return load(EXAMPLE).deployment


@pytest.mark.parametrize("name", SPECS)
def test_promtool_finds_the_files_right(name: str, tmp_path: Path) -> None:
    deployment = load_text(SPECS[name], "x.yaml").deployment
    for file, content in monitoring.prometheus(deployment).items():
        (tmp_path / file).write_bytes(content)
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert "SUCCESS" in promtool("check", "rules", str(tmp_path / scrape.RULES))


# A series, and the alarm that it must raise at 20 minutes, or not.
_PLACE = 'provider="onprem",region="r"'
_CASES = {
    "TabularErrorBudgetFast": {
        f'tabular_request_seconds_count{{{_PLACE},status="200"}}': "0+60x80",
        f'tabular_request_seconds_count{{{_PLACE},status="503"}}': "0+30x80",
    },
    "TabularErrors": {f'tabular_errors_total{{{_PLACE},kind="unavailable"}}': "0+5x80"},
    "TabularJobsFail": {
        f'tabular_jobs_finished_total{{{_PLACE},kind="fit",status="failed"}}': "0+1x80",
        f'tabular_jobs_finished_total{{{_PLACE},kind="fit",status="succeeded"}}': "0+2x80",
    },
    "TabularQueueOld": {f"tabular_queue_oldest_seconds{{{_PLACE}}}": "1000x80"},
    "TabularNoApi": {'up{job="inferloop-tabular-workers",instance="a"}': "1x80"},
    "TabularBackupOld": {f"tabular_backup_age_seconds{{{_PLACE}}}": "130000x80"},
    "TabularVolumeFull": {
        f"kubelet_volume_stats_{what}_bytes{{namespace='r',persistentvolumeclaim='data'}}": (
            f"{size}x80"
        )
        for what, size in (("available", 5), ("capacity", 100))
    },
    "TabularNoWorkers": {f"tabular_workers{{{_PLACE}}}": "0x80"},
    "TabularTargetDown": {'up{job="inferloop-tabular",instance="a"}': "0x80"},
    "TabularPartDown": {f'tabular_part_up{{{_PLACE},part="database"}}': "0x80"},
    "TabularDiskFull": {
        f'tabular_disk_free_bytes{{{_PLACE},part="storage",instance="a"}}': "5x80",
        f'tabular_disk_size_bytes{{{_PLACE},part="storage",instance="a"}}': "100x80",
    },
    "TabularCertificateEnds": {
        f'tabular_certificate_left_seconds{{{_PLACE},certificate="tls.crt"}}': "1e6x80",
    },
    "TabularSlow": {
        f'tabular_request_seconds_bucket{{{_PLACE},route="/x",le="5"}}': "0+1x80",
        f'tabular_request_seconds_bucket{{{_PLACE},route="/x",le="30"}}': "0+9x80",
        f'tabular_request_seconds_bucket{{{_PLACE},route="/x",le="+Inf"}}': "0+9x80",
    },
}
_WELL = {
    f'tabular_request_seconds_count{{{_PLACE},status="200"}}': "0+60x500",
    f'tabular_request_seconds_count{{{_PLACE},status="500"}}': "0x500",
    f'tabular_jobs_finished_total{{{_PLACE},kind="fit",status="succeeded"}}': "0+2x500",
    f"tabular_queue_oldest_seconds{{{_PLACE}}}": "20x500",
    f"tabular_workers{{{_PLACE}}}": "2x500",
    f'tabular_part_up{{{_PLACE},part="database"}}': "1x500",
    'up{job="inferloop-tabular",instance="a",region="r"}': "1x500",
    f'tabular_certificate_left_seconds{{{_PLACE},certificate="tls.crt"}}': "5e6x500",
    f"tabular_backup_age_seconds{{{_PLACE}}}": "90000x500",
    **{
        f"kubelet_volume_stats_{what}_bytes{{namespace='other',persistentvolumeclaim='data'}}": (
            f"{size}x500"
        )
        for what, size in (("available", 5), ("capacity", 100))
    },
    # Of another deployment, which makes no backups.
    'tabular_backup_age_seconds{provider="onprem",region="other"}': "9000000x500",
}


def test_every_alarm_is_raised_by_what_it_is_for_and_none_by_good_days(
    tmp_path: Path,
) -> None:
    spec = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: c}\n"
    spec += "spec: {provider: onprem, backup: {enabled: true}, onprem: {operators: [prometheus]}}\n"
    rules = alerts.rules(load_text(spec, "x.yaml").deployment, region="r")
    (tmp_path / scrape.RULES).write_bytes(as_yaml(rules))
    raised = {r["alert"] for r in rules["groups"][1]["rules"]}
    assert raised - {"TabularErrorBudgetSlow"} == set(_CASES)
    # promtool compares whole alarms, labels and texts included: what fires is counted instead.
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": k, "values": v} for k, v in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
                    "eval_time": "45m",
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
            ],
        }
        for name, series in _CASES.items()
    ]
    quiet = {"expr": "count(ALERTS)", "eval_time": "7h", "exp_samples": []}
    tests.append(
        {
            "interval": "1m",
            "input_series": [{"series": k, "values": v} for k, v in _WELL.items()],
            "promql_expr_test": [quiet],
        }
    )
    file = tmp_path / "tests.yml"
    file.write_bytes(
        as_yaml({"rule_files": [scrape.RULES], "evaluation_interval": "1m", "tests": tests})
    )
    assert "SUCCESS" in promtool("test", "rules", str(file))


@pytest.mark.slow
def test_prometheus_scrapes_a_platform_and_the_dashboard_shows_it(
    example: Deployment, tmp_path: Path
) -> None:
    shared = tmp_path / "metrics"
    shared.mkdir()
    env = environment(
        tmp_path,
        PROMETHEUS_MULTIPROC_DIR=str(shared),
        TABULAR_PROVIDER="aws",
        TABULAR_REGION="eu-west-1",
        TABULAR_INLINE_ROWS="0",
    )
    one = Processes(tmp_path, env)
    alone = free_port()
    one.run("tabular.api", "migrate")
    key = one.run("tabular.api", "create-key", "--name", "x", "--scopes", "admin").strip()
    one.share()
    client = httpx.Client(base_url=one.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    folder = tmp_path / "prometheus"
    folder.mkdir()
    config = scrape.prometheus(example)
    config["global"].update(scrape_interval="1s", scrape_timeout="1s", evaluation_interval="1s")
    own, *_ = config["scrape_configs"]
    own["static_configs"][0]["targets"] = [f"127.0.0.1:{one.port}"]
    # As in containers: a worker that shares no folder and is scraped itself.
    apart = {**own, "job_name": scrape.WORKERS}
    place = own["static_configs"][0]["labels"]
    apart["static_configs"] = [{"targets": [f"127.0.0.1:{alone}"], "labels": place}]
    config["scrape_configs"] = [own, apart]
    (folder / "prometheus.yml").write_bytes(as_yaml(config))
    (folder / scrape.RULES).write_bytes(as_yaml(alerts.rules(example)))
    try:
        one.api(wait=False)
        one.api(wait=False)
        one.worker()
        one.worker(TABULAR_METRICS_PORT=str(alone), PROMETHEUS_MULTIPROC_DIR="")
        _wait_for_http(f"{one.url}/health")
        with prometheus_server(folder / "prometheus.yml") as prometheus:
            _, model = fitted(client)
            panel = grafana.dashboards(example)["global-synthetic-data-metrics"]["panels"][0]
            expression = panel["targets"][0]["expr"]
            rows, found = 0, []
            # The rate is of what is being generated now, and a fast machine can be done with it
            # between two scrapes: more is generated until one of them meets it.
            for _ in range(20):
                order = {"model_id": model, "rows": 3_000_000}
                jobs = [submit(client, "/v1/generate", {**order, "seed": i}) for i in range(2)]
                for job in jobs:
                    assert finished(client, job["id"])["status"] == "succeeded"
                rows += 6_000_000
                if found := prometheus.ask(f"max_over_time(({expression})[5m:1s]) > 0"):
                    break
            assert found, "no scrape met a generation"
            assert found[0]["metric"] == {"provider": "aws", "region": "eu-west-1"}
            total = "sum by (provider, region) (tabular_rows_generated_total)"
            prometheus.until(f"{total} == {rows}")
            prometheus.until("max(tabular_workers) == 2")
            prometheus.until(f'count(up{{job=~"{scrape.JOB}.*"}} == 1) == 2')
            for asked in grafana.expressions(example):
                prometheus.ask(asked.replace(promql.WINDOW, "1m"))  # each is one it can read
            prometheus.until("tabular:request_failures:ratio_rate5m")
            assert not prometheus.ask('ALERTS{alertstate="firing"}')
    finally:
        client.close()
        one.close()


def test_the_file_reads_back_as_what_was_compiled(example: Deployment) -> None:
    content = monitoring.alerts(example)[scrape.RULES]
    assert YAML(typ="safe").load(content.decode()) == alerts.rules(example)


def _wait_for_http(url: str) -> None:
    import contextlib
    import time

    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)

"""What the compilers make of a spec, and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.export import FORMATS, Format, Source, exported
from tabular.deploy.monitoring import alerts, collector, grafana, promql, scrape
from tabular.deploy.provider import ProviderOptions
from tabular.deploy.spec import Deployment, load, load_text
from tabular.deploy.standalone.provider import StandaloneProvider
from tabular.errors import NotFoundError, SpecError, UnsupportedError, UsageError
from tabular.infra.metrics import CATALOGUE

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "monitoring.yaml"


def deployment(spec: str = "") -> Deployment:
    text = (
        "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\n"
        f"metadata:\n  name: demo\nspec:\n  environment: production\n{spec}"
    )
    return load_text(text, "demo.yaml").deployment


def panel(metric: str, aggregation: str = "sum", group: str = "[]") -> Deployment:
    return deployment(
        "  monitoring:\n    enabled: true\n    dashboards:\n      - name: One\n        panels:\n"
        f"          - {{metric: {metric}, aggregation: {aggregation}, groupBy: {group}}}\n"
    )


@pytest.fixture
def example() -> Deployment:
    return load(EXAMPLE).deployment


def test_the_examples_dashboard_is_drawn_as_it_says(example: Deployment) -> None:
    found = grafana.dashboards(example)
    assert list(found) == ["platform", "global-synthetic-data-metrics"]
    drawn = found["global-synthetic-data-metrics"]
    assert drawn["title"] == "Global Synthetic Data Metrics"
    target = drawn["panels"][0]["targets"][0]
    assert target["expr"] == "sum by (provider, region) (synthdata_generation_rate)"
    assert target["legendFormat"] == "{{provider}} {{region}}"


@pytest.mark.parametrize(
    ("asked", "expression"),
    [
        (("tabular_rows_generated_total", "sum"), "sum (rate(tabular_rows_generated_total[5m]))"),
        (("tabular_workers", "max"), "max (tabular_workers)"),
        (("tabular_workers", "count"), "count (tabular_workers)"),
        (("tabular_request_seconds", "sum"), "sum (rate(tabular_request_seconds_count[5m]))"),
        (
            ("tabular_request_seconds", "avg"),
            "sum (rate(tabular_request_seconds_sum[5m])) / "
            "sum (rate(tabular_request_seconds_count[5m]))",
        ),
        (
            ("tabular_request_seconds", "p95"),
            "histogram_quantile(0.95, sum by (le) (rate(tabular_request_seconds_bucket[5m])))",
        ),
    ],
)
def test_each_kind_of_metric_is_asked_in_its_own_way(asked: Any, expression: str) -> None:
    assert promql.query(*asked, (), window="5m") == expression


def test_what_cannot_be_drawn_is_refused_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="synthdata_generation_rat") as caught:
        grafana.dashboards(panel("synthdata_generation_rat"))
    assert "synthdata_generation_rate" in str(caught.value.hint)
    assert caught.value.where == "spec.monitoring.dashboards[0].panels[0].metric"
    with pytest.raises(UsageError, match="no label 'provder'") as label:
        grafana.dashboards(panel("synthdata_generation_rate", group="[provder]"))
    assert "provider" in str(label.value.hint)
    with pytest.raises(UsageError, match="no quantiles"):
        grafana.dashboards(panel("tabular_workers", "p95"))
    with pytest.raises(UsageError, match="keeps no max"):
        grafana.dashboards(panel("tabular_request_seconds", "max"))
    with pytest.raises(SpecError, match="aggregation"):
        panel("tabular_workers", "summ")
    with pytest.raises(UsageError, match="'summ'") as aggregation:
        promql.query("tabular_workers", "summ", ())
    assert "sum" in str(aggregation.value.hint)


def test_dashboards_have_what_grafana_reads(example: Deployment) -> None:
    for name, board in grafana.dashboards(example).items():
        assert board["uid"]
        assert len(board["uid"]) <= 40
        assert board["title"]
        assert board["schemaVersion"] >= 36
        assert [v["name"] for v in board["templating"]["list"]] == ["datasource"]
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
        assert len(set(places)) == len(places), name
        for drawn in board["panels"]:
            assert drawn["gridPos"]["x"] + drawn["gridPos"]["w"] <= 24
            assert drawn["type"] == "timeseries"
            assert drawn["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert drawn["targets"][0]["datasource"] == drawn["datasource"]


def test_everything_asked_for_is_a_metric_of_the_service(example: Deployment) -> None:
    known = {metric.name for metric in CATALOGUE}
    said = json.dumps([list(grafana.expressions(example)), alerts.rules(example)])
    for name in re.findall(r"(?:synthdata|tabular)_\w+", said):
        assert re.sub(r"_(bucket|sum|count)$", "", name) in known, name


def test_the_exporters_become_targets_with_their_provider(example: Deployment) -> None:
    jobs = {job["job_name"]: job for job in scrape.prometheus(example)["scrape_configs"]}
    aws = jobs["exporter-aws"]["static_configs"][0]
    assert aws == {
        "targets": ["cloudwatch-exporter.aws.internal"],
        "labels": {"provider": "aws"},
    }
    assert jobs["exporter-onprem"]["metrics_path"] == "/federate"
    assert jobs["exporter-onprem"]["params"]["match[]"]
    assert {"exporter-gcp", "exporter-azure", "inferloop-tabular"} <= set(jobs)


def test_a_target_of_any_job_that_is_down_raises_the_alarm(example: Deployment) -> None:
    rules = [rule for group in alerts.rules(example)["groups"] for rule in group["rules"]]
    down = next(rule for rule in rules if rule.get("alert") == "TabularTargetDown")
    pattern = re.search(r'job=~"([^"]+)"', down["expr"])
    assert pattern is not None
    for job in scrape.prometheus(example)["scrape_configs"]:
        assert re.fullmatch(pattern[1], job["job_name"]), job["job_name"]


def test_containers_list_the_api_and_every_worker() -> None:
    spec = "  compute: {type: container, workers: 2}\n"
    jobs = {j["job_name"]: j for j in scrape.prometheus(deployment(spec))["scrape_configs"]}
    assert jobs["inferloop-tabular"]["static_configs"][0]["targets"] == ["api:8000"]
    workers = jobs["inferloop-tabular-workers"]["static_configs"][0]["targets"]
    assert workers == ["worker-0:9464", "worker-1:9464"]


def test_an_endpoint_may_say_scheme_port_and_path() -> None:
    spec = (
        "  monitoring:\n    enabled: true\n    exporters:\n      - type: prometheus\n"
        "        interval: 1m\n        endpoints: {aws: 'https://cw.internal:9106/own'}\n"
    )
    job = scrape.prometheus(deployment(spec))["scrape_configs"][-1]
    assert job["static_configs"][0]["targets"] == ["cw.internal:9106"]
    assert (job["scheme"], job["metrics_path"], job["scrape_interval"]) == ("https", "/own", "1m")


def test_only_the_alarms_that_were_chosen_are_raised() -> None:
    spec = "  monitoring:\n    enabled: true\n    alarms: [job_failures]\n"
    names = [rule["alert"] for rule in alerts.rules(deployment(spec))["groups"][1]["rules"]]
    # The end of a certificate is no alarm that can be chosen, and so none that can be left out.
    assert names == ["TabularJobsFail", "TabularCertificateEnds"]


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("0 2 * * *", 36),
        ("*/30 * * * *", 36),
        ("0 2 * * 1-5", 8 * 24),
        ("0 2 1 * *", 32 * 24),
        ("0 2 1 * 0", 8 * 24),
        ("0 2 1 1,7 *", 367 * 24),
    ],
)
def test_a_backup_is_late_after_longer_than_any_pause_of_its_schedule(
    schedule: str, hours: int
) -> None:
    spec = f"  provider: onprem\n  backup: {{enabled: true, schedule: '{schedule}'}}\n"
    made = alerts.rules(deployment(spec), region="team-a")["groups"][1]["rules"]
    (rule,) = [one for one in made if one["alert"] == "TabularBackupOld"]
    assert rule["expr"] == (
        'max by (provider, region) (tabular_backup_age_seconds{region="team-a"}) > '
        f"{hours * 3600}"
    )


def test_nobody_is_told_of_backups_or_workers_that_are_not_wanted() -> None:
    spec = "  provider: onprem\n  compute: {workers: 0}\n"
    names = {rule["alert"] for rule in alerts.rules(deployment(spec))["groups"][1]["rules"]}
    assert "TabularNoApi" in names
    assert not names & {"TabularBackupOld", "TabularNoWorkers"}


@pytest.mark.parametrize(
    ("provider", "exporters"),
    [
        ("aws", {"awsemf", "awsxray"}),
        ("gcp", {"googlecloud"}),
        ("azure", {"azuremonitor"}),
        ("onprem", {"prometheus", "debug"}),
    ],
)
def test_the_collector_passes_on_to_the_clouds_own(provider: str, exporters: set[str]) -> None:
    made = collector.collector(deployment(f"  provider: {provider}\n"))
    assert set(made["exporters"]) == exporters
    for kind in ("metrics", "traces"):
        pipeline = made["service"]["pipelines"][kind]
        assert pipeline["processors"][0] == "memory_limiter"
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(made[part])
    assert set(made["service"]["extensions"]) <= set(made["extensions"])
    assert "key" not in json.dumps(made["exporters"]).lower()  # credentials are the collector's


def test_a_provider_without_an_exporter_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="nowhere"):
        collector.collector(deployment("  provider: nowhere\n"))


@pytest.mark.parametrize("kind", FORMATS, ids=[found.name for found in FORMATS])
def test_the_same_spec_gives_the_same_bytes(kind: Format) -> None:
    # Containers of one's own have no Prometheus, and refuse a spec that asks for one.
    containers = kind.name in ("compose", "swarm")
    first, again = (
        kind.build(deployment("") if containers else load(EXAMPLE).deployment) for _ in range(2)
    )
    assert first == again
    assert all(content.endswith(b"\n") for content in first.values())


def test_an_unknown_format_is_refused_with_the_nearest(example: Deployment) -> None:
    source = Source("standalone", example, lambda: StandaloneProvider(ProviderOptions()))
    with pytest.raises(UsageError) as caught:
        exported(source, "grafanna")
    assert "grafana" in str(caught.value.hint)

"""Prometheus, Grafana and Alertmanager of the chart, and objects of the Prometheus operator."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tabular.deploy.export import monitoring
from tabular.deploy.export.monitoring import as_yaml
from tabular.deploy.monitoring import alerts, scrape
from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.names import CHART
from tabular.deploy.spec import Deployment, load_text
from tabular.errors import UnsupportedError
from tests.deploy.onprem.chart.cases import BUILT_IN, NAME, NAMESPACE, merged, objects, one
from tests.deploy.onprem.chart.paths import pod, reaches, stranger
from tests.deploy.onprem.chart.rules import broken
from tests.testbed import custom
from tests.testbed.prometheus import prometheus_server, promtool

OWN = merged(BUILT_IN, {"monitoring": {"enabled": True}})
TOLD = merged(
    OWN,
    {
        "monitoring": {
            "alertmanager": {
                "webhooks": ["https://hooks.example/a", {"name": "chat", "key": "url"}]
            }
        }
    },
)
OPERATED = merged(
    OWN, {"monitoring": {"operator": "prometheus", "labels": {"release": "kube-prometheus"}}}
)
FILES = CHART / "files" / "monitoring"


def spec(text: str) -> Deployment:
    head = "apiVersion: synthdata.inferloop.io/v1\nkind: Deployment\nmetadata: {name: demo}\n"
    return load_text(f"{head}spec:\n  provider: onprem\n{text}", "x.yaml").deployment


def monitored(more: str = "", operators: str = "") -> dict[str, Any]:
    block = f"  monitoring:\n    enabled: true\n{more}"
    named = f"  onprem: {{operators: [{operators}]}}\n"
    return dict(compile_stack(spec(block + named)).template["values"]["monitoring"])


def config_of(values: dict[str, Any]) -> dict[str, Any]:
    found = one(objects(values), "ConfigMap", f"{NAME}-prometheus")
    return dict(YAML(typ="safe").load(found["data"]["prometheus.yml"]))


def test_the_charts_own_rules_and_dashboard_are_those_that_are_exported() -> None:
    # To write them anew: monitoring.alerts and monitoring.grafana of a plain Deployment().
    plain = Deployment()
    assert (FILES / "alerts.yml").read_bytes() == monitoring.alerts(plain)["alerts.yml"]
    assert (FILES / "platform.json").read_bytes() == monitoring.grafana(plain)["platform.json"]


@pytest.mark.parametrize("values", [OWN, TOLD, OPERATED], ids=["own", "told", "operated"])
def test_every_rule_holds(values: dict[str, Any]) -> None:
    for version in ("1.19", "1.30"):
        assert broken(objects(values, version)) == []


def test_nothing_is_made_where_monitoring_is_off() -> None:
    there = {o["metadata"]["labels"]["app.kubernetes.io/component"] for o in objects(BUILT_IN)}
    assert not there & {"prometheus", "grafana", "alertmanager", "api-metrics", "worker-metrics"}


@pytest.mark.debian
@pytest.mark.parametrize("values", [OWN, TOLD], ids=["own", "told"])
def test_promtool_finds_configuration_and_rules_right(
    values: dict[str, Any], tmp_path: Path
) -> None:
    data = one(objects(values), "ConfigMap", f"{NAME}-prometheus")["data"]
    for file, content in data.items():
        (tmp_path / file).write_text(content)
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert "SUCCESS" in promtool("check", "rules", str(tmp_path / "alerts.yml"))


@pytest.mark.debian
def test_prometheus_runs_with_it_and_looks_for_targets_without_rights(tmp_path: Path) -> None:
    data = one(objects(TOLD), "ConfigMap", f"{NAME}-prometheus")["data"]
    for file, content in data.items():
        (tmp_path / file).write_text(content)
    with prometheus_server(tmp_path / "prometheus.yml") as server:
        rules = httpx.get(f"{server.url}/api/v1/rules").json()["data"]["groups"]
        names = {rule["name"] for group in rules for rule in group["rules"]}
        assert {"TabularTargetDown", "TabularCertificateEnds"} <= names
        assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
        said = httpx.get(f"{server.url}/api/v1/status/config").json()["data"]["yaml"]
        jobs = {j["job_name"]: j for j in YAML(typ="safe").load(said)["scrape_configs"]}
        managers = httpx.get(f"{server.url}/api/v1/alertmanagers").json()["data"]
    assert set(jobs) == {scrape.JOB, scrape.WORKERS}
    names = [job["dns_sd_configs"][0]["names"] for job in jobs.values()]
    assert sorted(names) == [
        [f"_http._tcp.{NAME}-api-metrics.{NAMESPACE}.svc"],
        [f"_metrics._tcp.{NAME}-worker-metrics.{NAMESPACE}.svc"],
    ]
    assert not any("kubernetes_sd_configs" in job for job in jobs.values())
    urls = [m["url"] for m in managers["activeAlertmanagers"] + managers["droppedAlertmanagers"]]
    assert urls == [f"http://{NAME}-alertmanager:9093/api/v2/alerts"] or urls == []


def test_the_addresses_are_those_of_every_pod_ready_or_not() -> None:
    found = objects(OWN)
    for part, port in (("api", "http"), ("worker", "metrics")):
        service = one(found, "Service", f"{NAME}-{part}-metrics")["spec"]
        assert service["clusterIP"] == "None"
        assert service["publishNotReadyAddresses"]
        assert service["ports"][0]["name"] == port
        assert service["selector"]["app.kubernetes.io/component"] == part


def test_metrics_are_kept_for_as_long_and_as_much_as_is_said() -> None:
    values = merged(
        OWN, {"monitoring": {"prometheus": {"retention": "90d", "retentionSize": "8GB"}}}
    )
    made = one(objects(values), "StatefulSet", f"{NAME}-prometheus")["spec"]
    (container,) = made["template"]["spec"]["containers"]
    assert "--storage.tsdb.retention.time=90d" in container["args"]
    assert "--storage.tsdb.retention.size=8GB" in container["args"]
    assert made["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "50Gi"


def test_grafana_has_its_password_from_a_secret_and_lets_nobody_else_in() -> None:
    found = objects(OWN)
    made = one(found, "StatefulSet", f"{NAME}-grafana")["spec"]
    (container,) = made["template"]["spec"]["containers"]
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    assert told["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana/password"
    assert told["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in told
    volumes = {v["name"]: v for v in made["template"]["spec"]["volumes"]}
    secret = volumes["secret"]["secret"]
    assert (secret["secretName"], secret["items"][0]["key"]) == (
        f"{NAME}-secrets",
        "grafana-password",
    )
    assert made["volumeClaimTemplates"]


def test_grafana_is_given_the_source_and_the_dashboards_as_they_are_exported() -> None:
    found = objects(OWN)
    config = one(found, "ConfigMap", f"{NAME}-grafana")["data"]
    (source,) = YAML(typ="safe").load(config["datasources.yaml"])["datasources"]
    assert source["url"] == f"http://{NAME}-prometheus:9090"
    (provider,) = YAML(typ="safe").load(config["dashboards.yaml"])["providers"]
    # With it Grafana keeps what is no file any more: a dashboard that left the spec.
    assert provider["disableDeletion"] is False
    board = one(found, "ConfigMap", f"{NAME}-dashboard-platform")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    text = board["data"]["platform.json"]
    assert text == (FILES / "platform.json").read_text(encoding="utf-8")
    # Dashboards ask for a source by a variable of type prometheus: any Grafana can show them.
    assert json.loads(text)["templating"]["list"][0]["query"] == source["type"]


@pytest.mark.slow
def test_with_the_operator_there_are_its_objects_and_no_servers() -> None:
    found = objects(OPERATED)
    assert custom.invalid(found) == []
    kinds = [o["kind"] for o in found if "monitoring.coreos.com" in o["apiVersion"]]
    assert sorted(kinds) == ["PrometheusRule", "ServiceMonitor", "ServiceMonitor"]
    assert not [o for o in found if o["metadata"]["name"] in (f"{NAME}-prometheus",)]
    for part, job in (("api", scrape.JOB), ("worker", scrape.WORKERS)):
        monitor = one(found, "ServiceMonitor", f"{NAME}-{part}")
        assert monitor["metadata"]["labels"]["release"] == "kube-prometheus"
        service = one(found, "Service", f"{NAME}-{part}-metrics")
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= service["metadata"]["labels"].items()
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] == service["spec"]["ports"][0]["name"]
        put = {r["targetLabel"]: r["replacement"] for r in endpoint["relabelings"]}
        assert put["job"] == job  # which the rules ask for
    operators = stranger("monitoring", **{"app.kubernetes.io/name": "prometheus"})
    assert reaches(found, operators, pod(found, "api"), 8000)
    assert reaches(found, operators, pod(found, "worker"), 9464)
    assert not reaches(found, stranger("monitoring", app="x"), pod(found, "worker"), 9464)
    rules = one(found, "PrometheusRule", NAME)["spec"]
    assert rules == alerts.rules(Deployment())
    assert one(found, "ConfigMap", f"{NAME}-dashboard-platform")


def test_only_who_needs_it_reaches_each_of_them() -> None:
    found = objects(TOLD)
    prometheus, grafana = pod(found, "prometheus"), pod(found, "grafana")
    api, worker, manager = pod(found, "api"), pod(found, "worker"), pod(found, "alertmanager")
    assert reaches(found, prometheus, api, 8000)
    assert reaches(found, prometheus, worker, 9464)
    assert reaches(found, prometheus, manager, 9093)
    assert reaches(found, grafana, prometheus, 9090)
    for source, target, port in (
        (grafana, api, 8000),
        (api, prometheus, 9090),
        (api, grafana, 3000),
        (grafana, manager, 9093),
        (prometheus, pod(found, "postgresql"), 5432),
    ):
        assert not reaches(found, source, target, port)


def test_an_alertmanager_tells_the_webhooks_and_reads_secret_ones_from_files() -> None:
    found = objects(TOLD)
    config = one(found, "ConfigMap", f"{NAME}-alertmanager")["data"]["alertmanager.yml"]
    (receiver,) = YAML(typ="safe").load(config)["receivers"]
    assert receiver["webhook_configs"] == [
        {"url": "https://hooks.example/a", "send_resolved": True},
        {"url_file": "/run/secrets/webhooks/1", "send_resolved": True},
    ]
    assert not any(o["metadata"]["name"] == f"{NAME}-alertmanager" for o in objects(OWN))


def test_a_changed_rule_replaces_the_pod_and_an_unchanged_one_does_not() -> None:
    def checksum(values: dict[str, Any]) -> str:
        made = one(objects(values), "StatefulSet", f"{NAME}-prometheus")["spec"]
        return str(made["template"]["metadata"]["annotations"]["checksum/config"])

    rule = {"alert": "A", "expr": "up == 0"}
    changed = merged(OWN, {"monitoring": {"rules": {"groups": [{"name": "g", "rules": [rule]}]}}})
    assert checksum(OWN) == checksum(OWN)
    assert checksum(OWN) != checksum(changed)


def test_a_spec_says_how_long_how_large_who_is_told_and_what_else_is_read() -> None:
    found = monitored(
        "    retention: 14d\n    size: 10Gi\n    alarms: [job_failures]\n"
        "    notify: ['https://hooks.example/x', 'k8s:chat/url']\n"
        "    exporters: [{type: prometheus, endpoints: {aws: 'cw.internal:9106'}}]\n"
        "    grafana: {admin_user: ops, admin_password: {secretRef: 'k8s:boards/word'}}\n"
        "    dashboards: [{name: Mine, panels: [{metric: tabular_workers, aggregation: max}]}]\n"
    )
    assert found["prometheus"] == {
        "retention": "14d",
        "persistence": {"size": "10Gi"},
        "retentionSize": "8192MB",
    }
    names = [rule["alert"] for rule in found["rules"]["groups"][1]["rules"]]
    assert names == ["TabularJobsFail", "TabularCertificateEnds"]
    hooks = ["https://hooks.example/x", {"name": "chat", "key": "url"}]
    assert found["alertmanager"] == {"webhooks": hooks}
    assert [job["job_name"] for job in found["scrapeConfigs"]] == ["exporter-aws"]
    assert found["grafana"]["existingSecret"] == "boards"
    assert found["grafana"]["adminUser"] == "ops"
    assert set(found["dashboards"]) == {"platform", "mine"}
    assert config_of(merged(BUILT_IN, {"monitoring": found}))["scrape_configs"][-1][
        "static_configs"
    ]


@pytest.mark.parametrize(
    ("text", "operators", "where"),
    [
        ("    notify: [ops@example.com]\n", "", "spec.monitoring.notify[0]"),
        ("    notify: ['https://u:p@hooks.example/']\n", "", "spec.monitoring.notify[0]"),
        ("    notify: ['k8s:chat']\n", "", "spec.monitoring.notify[0]"),
        ("    notify: ['https://x.example']\n", "prometheus", "spec.monitoring.notify"),
        ("    grafana: {enabled: true}\n", "prometheus", "spec.monitoring.grafana"),
    ],
)
def test_what_nobody_there_could_do_is_refused(text: str, operators: str, where: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        monitored(text, operators)
    assert caught.value.where == where
    assert caught.value.hint


@pytest.mark.debian
def test_an_alarm_of_the_chart_fires_in_a_real_prometheus(tmp_path: Path) -> None:
    data = one(objects(OWN), "ConfigMap", f"{NAME}-prometheus")["data"]
    config = YAML(typ="safe").load(data["prometheus.yml"])
    config["global"].update(scrape_interval="1s", scrape_timeout="1s", evaluation_interval="1s")
    for job in config["scrape_configs"]:
        # No name server here knows the names of a cluster; an address where nobody answers does.
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": ["127.0.0.1:1"]}]
    (tmp_path / "prometheus.yml").write_bytes(as_yaml(config))
    rules = YAML(typ="safe").load(data["alerts.yml"])
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule.update({"for": "1s"} if "alert" in rule else {})
    (tmp_path / "alerts.yml").write_bytes(as_yaml(rules))
    with prometheus_server(tmp_path / "prometheus.yml") as server:
        firing = server.until('ALERTS{alertname="TabularTargetDown",alertstate="firing"}')
        deadline = time.monotonic() + 20
        while len(firing) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
            firing = server.ask('ALERTS{alertname="TabularTargetDown",alertstate="firing"}')
    assert {one_["metric"]["job"] for one_ in firing} == {scrape.JOB, scrape.WORKERS}
    assert {one_["metric"]["region"] for one_ in firing} == {NAMESPACE}

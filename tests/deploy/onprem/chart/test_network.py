"""Exactly the paths that are used are open: judged as a network plugin judges the policies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.onprem.chart.cases import BUILT_IN, CASES, EXTERNAL, merged, objects, one
from tests.deploy.onprem.chart.paths import End, pod, reaches, stranger

DNS = stranger("kube-system", **{"k8s-app": "kube-dns"})
INTERNET = End(address="203.0.113.7")
TEST = End(
    {
        "app.kubernetes.io/name": "inferloop-tabular",
        "app.kubernetes.io/instance": "demo",
        "app.kubernetes.io/component": "test",
    }
)
WITH_CACHE = merged(BUILT_IN, {"redis": {"enabled": True}})


def test_the_api_alone_is_reached_and_by_whom_it_should_be() -> None:
    found = objects(WITH_CACHE)
    api, worker = pod(found, "api"), pod(found, "worker")
    assert reaches(found, TEST, api, 8000)
    assert reaches(found, stranger("data", app="notebook"), api, 8000)
    assert not reaches(found, stranger("other"), api, 8000)
    assert not reaches(found, INTERNET, api, 8000)
    assert not reaches(found, stranger("data", app="notebook"), api, 22)
    assert not reaches(found, worker, api, 8000)
    assert not reaches(found, api, worker, 9464)
    assert not reaches(found, stranger("data"), worker, 9464)


def test_a_published_api_is_reached_by_the_ingress_controller_alone_where_it_is_named() -> None:
    found = objects(CASES["published"])
    api = pod(found, "api")
    assert reaches(found, stranger("ingress-nginx"), api, 8000)
    assert not reaches(found, stranger("other"), api, 8000)
    assert not reaches(found, stranger("data", app="notebook"), api, 8000)
    assert reaches(found, TEST, api, 8000)


def test_a_published_api_is_reached_by_any_controller_where_none_is_named() -> None:
    found = objects(CASES["openshift"])
    assert reaches(found, stranger("openshift-ingress"), pod(found, "api"), 8000)
    assert reaches(found, End(address="192.0.2.1"), pod(found, "api"), 8000)


def test_nodes_of_a_controller_in_the_hosts_network_can_be_named() -> None:
    found = objects(
        merged(CASES["published"], {"networkPolicy": {"ingressCidrs": ["192.0.2.0/24"]}})
    )
    assert reaches(found, End(address="192.0.2.1"), pod(found, "api"), 8000)
    assert not reaches(found, INTERNET, pod(found, "api"), 8000)


@pytest.mark.parametrize("component", ["api", "worker"])
def test_service_pods_reach_names_and_nothing_outside(component: str) -> None:
    found = objects(WITH_CACHE)
    source = pod(found, component)
    assert reaches(found, source, DNS, 53, "UDP")
    assert reaches(found, source, End(address="169.254.20.10"), 53, "UDP")
    assert not reaches(found, source, stranger("other"), 53, "UDP")
    for port in (80, 443, 5432, 6443):
        assert not reaches(found, source, INTERNET, port)
        assert not reaches(found, source, stranger("other"), port)


def test_on_a_server_without_labels_of_names_dns_is_found_in_any_namespace() -> None:
    found = objects(WITH_CACHE, "1.20")
    nameless = End({"k8s-app": "kube-dns"}, "kube-system", {})
    assert reaches(found, pod(found, "api"), nameless, 53, "UDP")


def test_the_dns_of_openshift_is_where_it_is() -> None:
    found = objects(CASES["openshift"])
    assert reaches(found, pod(found, "api"), stranger("openshift-dns"), 5353, "UDP")
    assert not reaches(found, pod(found, "api"), stranger("kube-system"), 53, "UDP")


PARTS = {"postgresql": 5432, "mysql": 3306, "minio": 9000, "redis": 6379, "rabbitmq": 5672}


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_the_release_are_reached_by_the_service_alone(part: str) -> None:
    wanted = {key: {"enabled": key == part} for key in ("postgresql", "mysql")}
    if part != "mysql":
        wanted["postgresql"] = {"enabled": True}
    found = objects(merged(BUILT_IN, wanted, {part: {"enabled": True}}))
    target, port = pod(found, part), PARTS[part]
    assert reaches(found, pod(found, "api"), target, port)
    assert reaches(found, pod(found, "worker"), target, port)
    assert not reaches(found, stranger("data", app="notebook"), target, port)
    assert not reaches(found, stranger("other"), target, port)
    assert not reaches(found, INTERNET, target, port)
    assert not reaches(found, TEST, target, port)
    assert not reaches(found, pod(found, "api"), target, 22)
    assert not reaches(found, target, INTERNET, 443)
    assert not reaches(found, target, pod(found, "api"), 8000)
    assert reaches(found, target, DNS, 53, "UDP")


@pytest.mark.parametrize("component", ["api", "worker"])
def test_parts_that_urls_name_are_reached_at_their_ports(component: str) -> None:
    settings = {
        "ldap_url": ["ldaps://dc1.example", "ldaps://dc2.example:3269"],
        "oidc_issuer": "https://sso.example/realms/a",
        "otlp_endpoint": "http://otel.example:4318",
    }
    found = objects(merged(EXTERNAL, {"settings": settings}))
    source = pod(found, component)
    wanted = {6432, 8443, 6379, 5671, 636, 3269, 443, 4318}
    tried = wanted | {22, 80, 389, 5432, 5672, 6443, 9000}
    assert {port for port in tried if reaches(found, source, INTERNET, port)} == wanted


def test_parts_of_others_within_the_cluster_are_reached_where_they_are() -> None:
    url = "postgresql+psycopg://u:{file:/run/secrets/tabular/database-password}@%s/d"
    found = objects(
        merged(
            EXTERNAL,
            {"database": {"url": url % "pg.databases.svc.cluster.local:6432"}},
            {"storage": {"url": "s3://b?endpoint=http://store.storage.svc:9000"}},
            {"cache": {"url": "redis://cache/0"}, "queue": {"url": "memory://tabular"}},
        )
    )
    worker = pod(found, "worker")
    assert reaches(found, worker, stranger("databases", app="pg"), 6432)
    assert reaches(found, worker, stranger("storage", app="rgw"), 9000)
    assert reaches(found, worker, stranger("data", app="cache"), 6379)
    assert not reaches(found, worker, stranger("other"), 6432)
    assert not reaches(found, worker, stranger("databases", app="pg"), 5432)
    assert not reaches(found, worker, stranger("databases", app="pg"), 9000)
    for port in (6432, 9000, 6379):
        assert not reaches(found, worker, INTERNET, port)


def test_on_an_old_server_a_part_within_the_cluster_may_be_in_any_namespace() -> None:
    url = "postgresql+psycopg://u:{file:/run/secrets/tabular/database-password}@pg.databases.svc/d"
    found = objects(merged(EXTERNAL, {"database": {"url": url}}), "1.20")
    nameless = End({"app": "pg"}, "databases", {})
    assert reaches(found, pod(found, "api"), nameless, 5432)
    assert not reaches(found, pod(found, "api"), nameless, 6432)
    assert not reaches(found, pod(found, "api"), INTERNET, 5432)


def test_a_clouds_store_is_outside_whatever_its_bucket_is_called() -> None:
    found = objects(merged(EXTERNAL, {"storage": {"url": "s3://tables/demo?region=eu-west-1"}}))
    assert reaches(found, pod(found, "worker"), INTERNET, 443)
    assert not reaches(found, pod(found, "worker"), stranger("data", app="x"), 443)


def test_networks_of_others_can_be_narrowed_and_ports_added() -> None:
    narrow = {"externalCidrs": ["10.0.0.0/8"], "externalPorts": [1521]}
    found = objects(merged(EXTERNAL, {"networkPolicy": narrow}))
    api = pod(found, "api")
    assert reaches(found, api, End(address="10.1.2.3"), 6432)
    assert reaches(found, api, End(address="10.1.2.3"), 1521)
    assert not reaches(found, api, INTERNET, 6432)


def test_a_rule_of_ones_own_is_added_to_api_and_workers() -> None:
    rule: dict[str, Any] = {
        "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
        "ports": [{"port": 9, "protocol": "TCP"}],
    }
    found = objects(merged(BUILT_IN, {"networkPolicy": {"egress": [rule]}}))
    assert reaches(found, pod(found, "worker"), INTERNET, 9)
    assert not reaches(found, pod(found, "worker"), INTERNET, 10)


def test_policies_can_be_left_out() -> None:
    found = objects(merged(BUILT_IN, {"networkPolicy": {"enabled": False}}))
    assert [o for o in found if o["kind"] == "NetworkPolicy"] == []


def test_the_default_policy_takes_every_pod_of_the_release_and_no_other() -> None:
    selector = one(objects(BUILT_IN), "NetworkPolicy", "demo-default")["spec"]["podSelector"]
    assert set(selector["matchLabels"]) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
    }

"""The chart without our tool: plain Helm brings it to a real API server."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

import pytest

from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.rendered.library import helm
from tests.deploy.onprem.chart.cases import CASES, merged, seed
from tests.deploy.onprem.chart.test_names import LONG
from tests.testbed.kube.api import Json
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s
LIMIT = 120  # seconds
SMALL: dict[str, Any] = {
    "postgresql": {"enabled": True},
    "minio": {"enabled": True},
    "redis": {"enabled": True},
}
EXTERNAL_BY_HAND: dict[str, Any] = {
    "database": {"urlSecretKey": "database-url"},
    "storage": {"url": "s3://tables/demo?endpoint=https://rgw.example"},
}


class Release:
    """A release, by Helm."""

    def __init__(self, kube: Kube, namespace: str, name: str = "demo") -> None:
        import helm_python

        self._helm = helm_python.Config(
            kubeconfig_path=str(kube.kubeconfig), kube_context="test", namespace=namespace
        )
        self._kube, self._namespace, self._name = kube, namespace, name

    def install(self, values: Mapping[str, Any]) -> None:
        self._helm.install(str(CHART), self._name, dict(values), timeout=LIMIT, wait="watcher")

    def create(self, values: Mapping[str, Any]) -> None:
        """Install into a namespace that is not there, and wait for nothing."""
        self._helm.install(str(CHART), self._name, dict(values), create_namespace=True)

    def upgrade(self, values: Mapping[str, Any]) -> None:
        self._helm.upgrade(str(CHART), self._name, dict(values), timeout=LIMIT, wait="watcher")

    def uninstall(self) -> None:
        self._helm.uninstall(self._name, timeout=LIMIT, wait="watcher")

    def test(self) -> Any:
        return self._helm.test(self._name, timeout=LIMIT)

    def get(self, path: str) -> Json | None:
        return self._kube.api.get(f"/api/v1/namespaces/{self._namespace}/{path}")

    def secrets(self) -> dict[str, str]:
        found = self.get("secrets/demo-secrets")
        assert found is not None
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


@pytest.fixture
def release(kube: Kube, kube_namespace: str) -> Release:
    kube.need_fake_nodes()
    return Release(kube, kube_namespace)


def test_what_is_made_once_is_kept_by_upgrades_and_an_installation_after_the_end(
    release: Release,
) -> None:
    release.install(SMALL)
    made = release.secrets()
    assert len(made["secret-key"]) == 48
    assert len(made["storage-access-key"]) == 20
    assert len(set(made.values())) == len(made)

    release.upgrade(merged(SMALL, {"replicaCount": 2, "rabbitmq": {"enabled": True}}))
    now = release.secrets()
    assert now.items() >= made.items()
    assert set(now) - set(made) == {"queue-password"}

    release.uninstall()
    assert release.get("services/demo-api") is None
    assert release.secrets() == now

    release.install(merged(SMALL, {"rabbitmq": {"enabled": True}}))
    assert release.secrets() == now


def test_the_seeds_file_comes_up_on_a_server_of_1_20(release: Release, kube: Kube) -> None:
    classes = {"storageClass": "fast"}  # the bed has no class of the seed's name
    values = merged(seed(), {"environment": "dev", "persistence": classes})
    release.install(merged(values, {"secrets": {"generate": False}}))
    release.test()
    claim = release.get("persistentvolumeclaims/demo-data")
    assert claim is not None
    assert claim["status"]["capacity"] == {"storage": "1Ti"}
    assert release.secrets()["grafana-password"] == "changeme"


@pytest.mark.parametrize("case", ["published", "scaled", "files", "whole"])
def test_others_come_up_too(case: str, release: Release, kube: Kube, kube_namespace: str) -> None:
    classes = {"persistence": {"storageClass": "shared"}} if case == "files" else {}
    none = {"existingSecret": "", "generate": False}
    by_hand = {"secrets": none, "tls": {"existingSecret": ""}}
    # Helm waits until a claim is bound, and that of backups is when the first one is made.
    by_hand |= {"backup": {"enabled": False}}
    release.install(merged(CASES[case], by_hand, classes))
    for component in ("api", "worker"):
        path = f"/apis/apps/v1/namespaces/{kube_namespace}/deployments/demo-{component}"
        found = kube.api("GET", path)["status"]
        assert found["readyReplicas"] == found["replicas"]


def test_the_longest_name_that_a_release_may_have_comes_up(kube: Kube, kube_namespace: str) -> None:
    kube.need_fake_nodes()
    release = Release(kube, kube_namespace, LONG)
    release.install(merged(SMALL, {"rabbitmq": {"enabled": True}, "monitoring": {"enabled": True}}))
    release.test()
    release.uninstall()


def test_a_route_of_an_older_openshift_would_drop_its_certificate(release: Release) -> None:
    values = merged(CASES["openshift"], {"ingress": {"tls": {"secretName": "corp"}}})
    with pytest.raises(helm().HelmError, match=r"before OpenShift 4\.19 \(Kubernetes 1\.32"):
        release.install(values)


def test_a_namespace_that_is_made_by_the_way_has_nothing_to_look_at_and_is_well(kube: Kube) -> None:
    name = f"new-{secrets.token_hex(3)}"
    try:
        Release(kube, name).create(EXTERNAL_BY_HAND)
        assert kube.api.get(f"/api/v1/namespaces/{name}/secrets/demo-secrets") is not None
    finally:
        kube.drop_namespace(name)

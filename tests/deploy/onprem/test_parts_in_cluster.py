"""The chart's stateful parts on a real API server: they come up, with the disks that were said."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import COMPONENT
from tabular.deploy.onprem.preflight.apart import require_apart
from tabular.deploy.onprem.preflight.primary import require_primary
from tabular.deploy.onprem.rendered.rendering import Object, render
from tabular.deploy.onprem.secrets.given import Given
from tabular.deploy.onprem.secrets.secret_keys import needed_secrets
from tabular.deploy.onprem.secrets.vault import Vault
from tabular.deploy.target import Target
from tabular.errors import PreflightError
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s
NAME, SECRET = "demo", "demo-secrets"
VALUES: dict[str, Any] = {
    "secrets": {"existingSecret": SECRET},
    "postgresql": {
        "enabled": True,
        "primary": {"persistence": {"size": "7Gi", "storageClass": "fast"}},
        "replication": {"enabled": True, "readReplicas": 2},
    },
    "minio": {
        "enabled": True,
        "mode": "distributed",
        "drivesPerNode": 2,
        "persistence": {"size": "3Gi", "storageClass": "keep"},
    },
    "redis": {"enabled": True},
    "rabbitmq": {"enabled": True, "persistence": {"size": "2Gi"}},
}
PARTS = {"postgresql", "postgresql-failover", "minio", "redis", "rabbitmq", "mysql"}


def applied(kube: Kube, namespace: str, values: dict[str, Any]) -> tuple[Object, ...]:
    """The parts of a release, applied as `--method manifests` does, with their Secret."""
    found = render(values, name=NAME, namespace=namespace, kube_version="1.20")
    keys = [one.key for one in needed_secrets(found, SECRET)]
    data = {key: base64.b64encode(b"x").decode() for key in keys}
    meta = {"name": SECRET}
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}, namespace)
    labels = "app.kubernetes.io/component"
    for one in found:
        if one["metadata"]["labels"][labels] in PARTS or one["kind"] == "ServiceAccount":
            kube.apply(one, namespace)
    return found


def wait_ready(kube: Kube, namespace: str, kind: str, name: str, replicas: int) -> None:
    """Wait until all pods of a workload are ready."""
    path = f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name}"
    kube.wait(path, lambda one: one.get("status", {}).get("readyReplicas") == replicas)


def test_every_part_comes_up_with_its_disks(kube: Kube, kube_namespace: str) -> None:
    applied(kube, kube_namespace, VALUES)
    for name, replicas in (("postgresql", 3), ("minio", 4), ("rabbitmq", 1)):
        wait_ready(kube, kube_namespace, "statefulsets", f"{NAME}-{name}", replicas)
    for name, replicas in (("postgresql-failover", 2), ("redis", 1)):
        wait_ready(kube, kube_namespace, "deployments", f"{NAME}-{name}", replicas)
    claims = kube.list(f"/api/v1/namespaces/{kube_namespace}/persistentvolumeclaims")
    disks = {
        claim["metadata"]["name"]: (
            claim["spec"]["resources"]["requests"]["storage"],
            claim["spec"]["storageClassName"],
            claim["status"]["phase"],
        )
        for claim in claims
    }
    expected = {f"data-demo-postgresql-{n}": ("7Gi", "fast", "Bound") for n in range(3)}
    for server in range(4):
        for drive in range(2):
            expected[f"data{drive}-demo-minio-{server}"] = ("3Gi", "keep", "Bound")
    expected["data-demo-rabbitmq-0"] = ("2Gi", "standard", "Bound")
    assert disks == expected


def test_mysql_comes_up(kube: Kube, kube_namespace: str) -> None:
    disk = {"primary": {"persistence": {"size": "5Gi"}}}
    values = {**VALUES, "postgresql": {"enabled": False}, "mysql": {"enabled": True, **disk}}
    applied(kube, kube_namespace, values)
    wait_ready(kube, kube_namespace, "statefulsets", f"{NAME}-mysql", 1)
    path = f"/api/v1/namespaces/{kube_namespace}/persistentvolumeclaims/data-demo-mysql-0"
    assert kube.api("GET", path)["spec"]["resources"]["requests"]["storage"] == "5Gi"


def test_one_more_replica_leaves_the_others_running(kube: Kube, kube_namespace: str) -> None:
    def members(copies: int) -> dict[str, Any]:
        said = {"enabled": True, "readReplicas": copies, "failover": {"separateNodes": False}}
        return {**VALUES, "postgresql": {**VALUES["postgresql"], "replication": said}}

    applied(kube, kube_namespace, members(2))
    wait_ready(kube, kube_namespace, "statefulsets", f"{NAME}-postgresql", 3)
    path = f"/api/v1/namespaces/{kube_namespace}/pods/demo-postgresql-0"
    before = kube.api("GET", path)["metadata"]["uid"]
    applied(kube, kube_namespace, members(3))
    wait_ready(kube, kube_namespace, "statefulsets", f"{NAME}-postgresql", 4)
    assert kube.api("GET", path)["metadata"]["uid"] == before


def test_members_share_no_node(kube: Kube, kube_namespace: str) -> None:
    replication = {"enabled": True, "readReplicas": 3}
    four = {**VALUES, "postgresql": {**VALUES["postgresql"], "replication": replication}}
    found = applied(kube, kube_namespace, four)
    told, store = require_apart(Cluster(kube.kubeconfig), found)
    assert "servers of MinIO share 3 nodes" in store.message
    assert "wants each of its 4 pods on a node of its own, and 3 nodes take them" in told.message
    wait_ready(kube, kube_namespace, "statefulsets", f"{NAME}-postgresql", 3)
    pods = kube.list(f"/api/v1/namespaces/{kube_namespace}/pods", f"{COMPONENT}=postgresql")
    assert len({pod["spec"].get("nodeName") for pod in pods}) == 4  # and one waits for one
    three = render(VALUES, name=NAME, namespace=kube_namespace, kube_version="1.20")
    assert [one.message for one in require_apart(Cluster(kube.kubeconfig), three)] == [
        store.message
    ]


def test_a_tenants_configuration_is_made_of_its_keys(
    kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    values = {**VALUES, "minio": {"enabled": True, "operator": "minio"}}
    found = render(values, name=NAME, namespace=kube_namespace, kube_version="1.20")
    file = kube.kubeconfig_for(tmp_path, kube_namespace)
    vault = Vault(Cluster(str(file), None, kube_namespace), Given())
    target = Target(name=NAME, environment="prod", provider="onprem", region=kube_namespace)
    assert vault.preview(target, found).properties
    assert vault.ensure(target, found)
    path = f"/api/v1/namespaces/{kube_namespace}/secrets/{SECRET}"
    data = kube.api("GET", path)["data"]
    read = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert read["config.env"] == (
        f'export MINIO_ROOT_USER="{read["storage-access-key"]}"\n'
        f'export MINIO_ROOT_PASSWORD="{read["storage-secret-key"]}"\n'
    )
    assert not vault.ensure(target, found)
    assert kube.api("GET", path)["data"] == data


def members(count: int, *, failover: bool = True) -> dict[str, Any]:
    """Values with so many replicas."""
    said = {"enabled": True, "readReplicas": count, "failover": {"enabled": failover}}
    return {**VALUES, "postgresql": {"enabled": True, "replication": said}}


@pytest.mark.parametrize(
    ("primary", "values", "why"),
    [
        ("demo-postgresql-2", members(1), "2 members do not include it"),
        ("demo-postgresql-1", members(2, failover=False), "the writes go to demo-postgresql-0"),
        ("demo-postgresql-2", members(2), None),
        ("demo-postgresql-0", members(1), None),
        (None, members(1), None),
    ],
)
def test_the_primary_is_not_taken_away(
    kube: Kube, kube_namespace: str, primary: str | None, values: dict[str, Any], why: str | None
) -> None:
    before = render(members(2), name=NAME, namespace=kube_namespace, kube_version="1.20")
    name = f"{NAME}-postgresql"
    for one in before:
        if one["kind"] == "Service" and one["metadata"]["name"] == name:
            kube.apply(one, kube_namespace)
    if primary is not None:
        selector = {"statefulset.kubernetes.io/pod-name": primary}
        meta = {"name": name}
        chosen = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
        chosen |= {"spec": {"selector": selector}}
        kube.apply(chosen, kube_namespace, manager="watcher")
    wanted = render(values, name=NAME, namespace=kube_namespace, kube_version="1.20")
    cluster = Cluster(kube.kubeconfig)
    if why is None:
        require_primary(cluster, kube_namespace, wanted)
        return
    with pytest.raises(PreflightError, match=why) as refused:
        require_primary(cluster, kube_namespace, wanted)
    wish = "annotate lease demo-postgresql-failover"
    assert wish in (refused.value.hint or "")

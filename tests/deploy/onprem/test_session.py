"""The way to a cluster: what is wrong with it is said, and what to type next."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.cluster.refusals import OwnedElsewhereError, UnprocessableError
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreflightError,
    UnavailableError,
    UsageError,
)
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s


@pytest.fixture
def cluster(kube: Kube) -> Cluster:
    return Cluster(kube.kubeconfig)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def kubeconfig(folder: Path, server: str, **user: Any) -> Path:
    said = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "config"
    path.write_text(json.dumps(said))
    path.chmod(0o600)
    return path


def config_map(namespace: str, **data: str) -> dict[str, Any]:
    meta = {"name": "a", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no such kubeconfig") as named:
        _ = Cluster(tmp_path / "none").version
    assert (named.value.code, named.value.exit_code) == ("usage.kubeconfig", 2)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(PreflightError, match="there is no kubeconfig") as told:
        _ = Cluster().version
    assert (told.value.code, told.value.exit_code) == ("preflight.kubeconfig", 1)
    assert "--kubeconfig" in str(told.value.hint)


def test_a_context_that_is_not_there(kube: Kube) -> None:
    with pytest.raises(UsageError, match="no context 'tesst'") as told:
        _ = Cluster(kube.kubeconfig, "tesst").version
    assert "did you mean 'test'" in str(told.value.hint)


def test_a_kubeconfig_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{}")
    with pytest.raises(PreflightError, match="cannot be used"):
        _ = Cluster(path).version


def test_no_cluster(tmp_path: Path, closed_port: int) -> None:
    path = kubeconfig(tmp_path, f"https://127.0.0.1:{closed_port}", token="x")
    with pytest.raises(UnavailableError, match=r"there is no cluster at https://127.0.0.1") as told:
        _ = Cluster(path).version
    assert "--context" in str(told.value.hint)


def test_something_else_than_a_cluster(kube: Kube, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, kube.server.replace("https", "http"), token="x")
    with pytest.raises(PreflightError, match="is no cluster"):
        _ = Cluster(path).version


def test_a_cluster_of_another_authority(kube: Kube, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="is not to be trusted") as told:
        _ = Cluster(kubeconfig(tmp_path, kube.server, token="x")).version
    assert told.value.code == "preflight.certificate"


def test_credentials_that_are_not_known(kube: Kube, tmp_path: Path) -> None:
    user = {"token": "wrong"}
    said = json.loads(kube.kubeconfig.read_text())
    said["users"][0]["user"] = user
    path = tmp_path / "config"
    path.write_text(json.dumps(said))
    with pytest.raises(PreflightError, match="does not know these credentials") as told:
        _ = Cluster(path).version
    assert "wrong" not in str(told.value).replace("wrong, or", "")


def test_a_client_certificate_that_has_expired(kube: Kube, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"client certificate .* ran out on 20") as told:
        _ = Cluster(kube.expired_user(tmp_path)).version
    assert "kubeadm certs renew" in str(told.value.hint)


def test_a_servers_certificate_that_has_expired(kube: Kube, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"certificate of https://.* has run out"):
        _ = Cluster(kube.expired_server(tmp_path)).version


def test_a_right_that_is_missing(kube: Kube, tmp_path: Path, kube_namespace: str) -> None:
    path = kube.user(tmp_path, kube_namespace, [])
    with pytest.raises(ForbiddenError, match='cannot list resource "pods"') as told:
        Cluster(path).list("v1", "Pod", kube_namespace)
    assert "onprem rbac" in str(told.value.hint)


def test_what_the_server_says_of_itself(cluster: Cluster, kube: Kube) -> None:
    assert cluster.version == "1.20"
    assert cluster.git_version.startswith("v1.20.")
    assert cluster.address == kube.server
    assert cluster.has("apps/v1", "Deployment")
    assert not cluster.has("apps/v1", "Nothing")
    assert not cluster.has("monitoring.coreos.com/v1")
    with pytest.raises(NotFoundError, match=r"knows no ServiceMonitor"):
        cluster.kind("monitoring.coreos.com/v1", "ServiceMonitor")
    assert cluster.list("monitoring.coreos.com/v1", "ServiceMonitor") == ()
    assert cluster.get("monitoring.coreos.com/v1", "ServiceMonitor", "x", "y") is None


def test_objects_come_and_go(cluster: Cluster, kube_namespace: str) -> None:
    assert cluster.get("v1", "ConfigMap", "a", kube_namespace) is None
    made = cluster.create(config_map(kube_namespace, k="1"))
    with pytest.raises(ConflictError) as told:
        cluster.create(config_map(kube_namespace, k="2"))
    assert told.value.code == "conflict.exists"
    cluster.merge("v1", "ConfigMap", "a", kube_namespace, {"data": {"k": "3"}})
    with pytest.raises(ConflictError) as told:
        cluster.replace({"apiVersion": "v1", "kind": "ConfigMap", **made})
    assert told.value.code == "conflict.changed"
    (one,) = (
        found for found in cluster.list("v1", "ConfigMap", kube_namespace, fields="metadata.name=a")
    )
    assert (one["kind"], one["data"]) == ("ConfigMap", {"k": "3"})
    with pytest.raises(ConflictError):
        cluster.delete("v1", "ConfigMap", "a", kube_namespace, uid="another")
    assert cluster.delete("v1", "ConfigMap", "a", kube_namespace)
    assert not cluster.delete("v1", "ConfigMap", "a", kube_namespace)


def test_a_dry_run_touches_nothing(cluster: Cluster, kube_namespace: str) -> None:
    cluster.apply(config_map(kube_namespace, k="1"), dry_run=True)
    assert cluster.get("v1", "ConfigMap", "a", kube_namespace) is None


def test_who_owns_a_field_is_said(cluster: Cluster, kube_namespace: str) -> None:
    cluster.apply(config_map(kube_namespace, k="1"), manager="them")
    with pytest.raises(OwnedElsewhereError) as told:
        cluster.apply(config_map(kube_namespace, k="2"))
    assert told.value.owners == (("them", ".data.k"),)
    assert cluster.apply(config_map(kube_namespace, k="2"), force=True)["data"] == {"k": "2"}


def test_what_cannot_be_changed_is_told_from_what_is_wrong(
    cluster: Cluster, kube_namespace: str
) -> None:
    meta = {"name": "s", "namespace": kube_namespace}
    ports = [{"port": 80, "protocol": "TCP", "name": "http"}]
    one = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}}
    cluster.apply(one)
    for spec, immutable in (({"clusterIP": "10.0.0.250"}, True), ({"type": "No"}, False)):
        with pytest.raises(UnprocessableError) as told:
            cluster.apply({**one, "spec": {"ports": ports, **spec}}, dry_run=True)
        assert told.value.immutable is immutable
    with pytest.raises(UnprocessableError, match="typed"):
        cluster.apply({**one, "spec": {"ports": "no list"}}, dry_run=True)


def test_changes_are_watched(cluster: Cluster, kube_namespace: str) -> None:
    cluster.create(config_map(kube_namespace, k="1"))
    seen = cluster.watch("v1", "ConfigMap", kube_namespace, seconds=20)
    added = next(one for kind, one in seen if one["metadata"]["name"] == "a")
    assert added["data"] == {"k": "1"}
    cluster.merge("v1", "ConfigMap", "a", kube_namespace, {"data": {"k": "2"}})
    # The namespace's own ConfigMap may be made only now.
    kind, changed = next(one for one in seen if one[1]["metadata"]["name"] == "a")
    assert (kind, changed["data"]) == ("MODIFIED", {"k": "2"})


def test_the_servers_clock_is_told(cluster: Cluster) -> None:
    _ = cluster.version
    first = cluster.now()
    assert first <= cluster.now()


def test_what_these_credentials_may(cluster: Cluster, kube: Kube, tmp_path: Path) -> None:
    assert cluster.may("create", "apps/v1", "deployments", "default")
    name = kube.namespace()
    some = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    limited = Cluster(kube.user(tmp_path, name, some))
    assert limited.may("list", "v1", "pods", name)
    assert not limited.may("delete", "v1", "pods", name)
    kube.drop_namespace(name)

"""A busy API server, a lost answer, a silent one: a client gets through, or says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.cluster.transport import TRIES
from tabular.errors import UnavailableError
from tests.testbed.faults import ALWAYS, Fault, FaultProxy, faults_before
from tests.testbed.kube.cluster import Kube

pytestmark = pytest.mark.k8s


@pytest.fixture
def proxy(kube: Kube) -> Iterator[FaultProxy]:
    with faults_before(kube.server) as made:
        yield made


@pytest.fixture
def kubeconfig(kube: Kube, proxy: FaultProxy, tmp_path: Path) -> Path:
    """The administrator's, by way of the proxy."""
    context = {"cluster": "bed", "user": "admin"}
    said = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bed",
        "contexts": [{"name": "bed", "context": context}],
        "clusters": [{"name": "bed", "cluster": {"server": proxy.endpoint}}],
        "users": [{"name": "admin", "user": kube.plane.user()}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(said))
    path.chmod(0o600)
    return path


def test_a_server_that_throttles_is_asked_again_when_it_says_so(
    kubeconfig: Path, proxy: FaultProxy
) -> None:
    slept: list[float] = []
    cluster = Cluster(kubeconfig, sleep=slept.append)
    proxy.fault = Fault("refuse", status=429, headers={"Retry-After": "3"}, times=2)
    assert cluster.version
    assert slept == [3.0, 3.0]


def test_a_server_that_does_not_recover_is_named(kubeconfig: Path, proxy: FaultProxy) -> None:
    slept: list[float] = []
    cluster = Cluster(kubeconfig, sleep=slept.append)
    proxy.fault = Fault("refuse", status=503, times=ALWAYS)
    with pytest.raises(UnavailableError, match="HTTP 503") as told:
        _ = cluster.version
    assert "goes on where it was" in str(told.value.hint)
    assert proxy.fault.fired == TRIES
    assert slept == sorted(slept)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    kubeconfig: Path, proxy: FaultProxy
) -> None:
    cluster = Cluster(kubeconfig, sleep=lambda seconds: None, timeout=0.3)
    proxy.fault = Fault("stall", times=ALWAYS)
    with pytest.raises(UnavailableError, match="did not answer in time"):
        _ = cluster.version


def test_what_was_made_and_not_confirmed_is_not_made_twice(
    kubeconfig: Path, proxy: FaultProxy, kube_namespace: str
) -> None:
    cluster = Cluster(kubeconfig, sleep=lambda seconds: None)
    assert cluster.has("v1", "ConfigMap")
    proxy.fault = Fault("lose", method="POST", status=503)
    meta = {"name": "a", "namespace": kube_namespace}
    made = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}})
    assert made["metadata"]["uid"]

"""The bed's Kubernetes: what other tests rely on."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import parts
from tests.testbed.kube.api import Json, Refused
from tests.testbed.kube.cluster import Kube, shared_cluster
from tests.testbed.kube.finding import GIVEN
from tests.testbed.kube.keeper import ROOT
from tests.testbed.kube.kubeconfig import certificate_user, write_kubeconfig

pytestmark = pytest.mark.k8s
PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]


def deployment(image: str, *, replicas: int = 1, **pod: Any) -> Json:
    labels = {"app": "web"}
    spec = {"containers": [{"name": "web", "image": image}], **pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def pod_of(kube: Kube, namespace: str, reason: str = "", **container: Any) -> Json:
    """The one pod of the namespace once it waits for this reason, or is ready."""

    def fits(pod: Json) -> bool:
        states = pod["status"].get("containerStatuses", [])
        states = [*states, *pod["status"].get("initContainerStatuses", [])]
        if reason:
            return any(one["state"].get("waiting", {}).get("reason") == reason for one in states)
        return bool(states) and all(one["ready"] for one in states)

    path = f"/api/v1/namespaces/{namespace}/pods"
    kube.wait(path, lambda found: any(fits(pod) for pod in found["items"]))
    return kube.list(path)[0]


def test_a_deployment_becomes_ready_and_its_service_has_endpoints(
    kube: Kube, kube_namespace: str
) -> None:
    made = kube.apply(deployment("example/web:1", replicas=3), kube_namespace)
    path = kube.path_of(made)
    kube.wait(path, lambda one: one["status"].get("readyReplicas") == 3)
    pods = kube.list(f"/api/v1/namespaces/{kube_namespace}/pods", "app=web")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-a", "node-b", "node-c"}
    assert len({pod["status"]["podIP"] for pod in pods}) == 3

    port = {"port": 80, "protocol": "TCP"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [port]},
    }
    kube.apply(service, kube_namespace)
    endpoints = f"/api/v1/namespaces/{kube_namespace}/endpoints/web"
    found = kube.wait(endpoints, lambda one: bool(one.get("subsets")))
    assert len(found["subsets"][0]["addresses"]) == 3

    kube.api.delete(path, propagationPolicy="Foreground")
    kube.wait_gone(path)
    assert kube.list(f"/api/v1/namespaces/{kube_namespace}/pods") == []


@pytest.mark.parametrize(
    ("image", "reason", "told"),
    [
        ("example/missing:1", "ImagePullBackOff", "Failed to pull image"),
        ("example/crash@sha256:00", "CrashLoopBackOff", "Back-off restarting"),
    ],
)
def test_an_image_that_does_not_work_is_told_as_a_kubelet_does(
    kube: Kube, kube_namespace: str, image: str, reason: str, told: str
) -> None:
    kube.apply(deployment(image), kube_namespace)
    pod = pod_of(kube, kube_namespace, reason)
    assert not pod["status"]["containerStatuses"][0]["ready"]
    assert any(told in line for line in kube.events(kube_namespace))


def test_a_slow_container_is_ready_later_and_one_that_fails_its_probe_never(
    kube: Kube, kube_namespace: str
) -> None:
    slow, never = deployment("slow:2"), deployment("never-ready")
    never["metadata"]["name"] = "never"
    for one in (slow, never):
        kube.apply(one, kube_namespace)
    started = time.monotonic()
    path = kube.path_of(slow, kube_namespace)
    kube.wait(path, lambda one: one["status"].get("readyReplicas") == 1)
    assert time.monotonic() - started > 1
    path = kube.path_of(never, kube_namespace)
    kube.wait(path, lambda one: one["status"].get("unavailableReplicas") == 1)
    assert any("Unhealthy" in line for line in kube.events(kube_namespace))


def test_init_containers_come_first_and_hold_back_the_others(
    kube: Kube, kube_namespace: str
) -> None:
    init = [{"name": "ready", "image": "a"}, {"name": "broken", "image": "example/crash"}]
    kube.apply(deployment("example/web:1", initContainers=init), kube_namespace)
    pod = pod_of(kube, kube_namespace, "CrashLoopBackOff")
    first, second = pod["status"]["initContainerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 0
    assert second["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"

    init[1]["image"] = "b"
    kube.apply(deployment("example/web:1", initContainers=init), kube_namespace)
    pod_of(kube, kube_namespace)


@pytest.mark.parametrize(
    ("image", "condition"), [("example/work:1", "Complete"), ("example/crash:1", "Failed")]
)
def test_a_job_ends(kube: Kube, kube_namespace: str, image: str, condition: str) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "work", "image": image}]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work"},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }
    path = kube.path_of(kube.apply(job, kube_namespace))
    kube.wait(
        path, lambda one: any(c["type"] == condition for c in one["status"].get("conditions", []))
    )


def test_what_a_pod_refers_to_has_to_be_there(kube: Kube, kube_namespace: str) -> None:
    wish = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "one"}}}
    container = {"name": "web", "image": "example/web:1", "env": [wish]}
    mounted = [{"name": "settings", "configMap": {"name": "settings"}}]
    kube.apply(deployment("", containers=[container], volumes=mounted), kube_namespace)
    pod_of(kube, kube_namespace, "ContainerCreating")
    assert any('configmap "settings" not found' in line for line in kube.events(kube_namespace))

    meta = {"name": "settings"}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    kube.apply(settings, kube_namespace)
    pod = pod_of(kube, kube_namespace, "CreateContainerConfigError")
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["message"] == 'secret "keys" not found'

    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
    kube.apply({**secret, "stringData": {"two": "x"}}, kube_namespace)
    text = f"couldn't find key one in Secret {kube_namespace}/keys"
    path = f"/api/v1/namespaces/{kube_namespace}/pods"
    kube.wait(path, lambda found: text in str(found))

    kube.apply({**secret, "stringData": {"one": "x"}}, kube_namespace)
    pod_of(kube, kube_namespace)


def claim(name: str, storage: str, *, size: str = "1Gi", mode: str = "ReadWriteOnce") -> Json:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": size}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {**spec, "storageClassName": storage},
    }


def test_claims_are_bound_grown_and_refused(kube: Kube, kube_namespace: str) -> None:
    for one in (
        claim("fast", "fast"),
        claim("grows", "shared", mode="ReadWriteMany"),
        claim("wrong", "fast", mode="ReadWriteMany"),
        claim("large", "fast", size="11Ti"),
        claim("never", "never"),
        claim("late", "standard"),
    ):
        kube.apply(one, kube_namespace)
    base = f"/api/v1/namespaces/{kube_namespace}/persistentvolumeclaims"
    bound = kube.wait(f"{base}/fast", lambda one: one["status"]["phase"] == "Bound")
    kube.wait(f"{base}/grows", lambda one: one["status"]["phase"] == "Bound")
    kube.apply(claim("grows", "shared", size="5Gi", mode="ReadWriteMany"), kube_namespace)
    kube.wait(f"{base}/grows", lambda one: one["status"]["capacity"]["storage"] == "5Gi")
    with pytest.raises(Refused) as caught:
        kube.apply(claim("fast", "fast", size="5Gi"), kube_namespace)
    assert caught.value.status == 403

    mount = [{"name": "data", "persistentVolumeClaim": {"claimName": "late"}}]
    kube.apply(deployment("example/web:1", volumes=mount), kube_namespace)
    pod_of(kube, kube_namespace)
    phases = {one["metadata"]["name"]: one["status"]["phase"] for one in kube.list(base)}
    assert phases["late"] == "Bound"
    assert [phases[name] for name in ("wrong", "large", "never")] == ["Pending"] * 3
    told = kube.events(kube_namespace)
    for name in ("wrong", "large"):
        assert any(f"ProvisioningFailed PersistentVolumeClaim/{name}" in line for line in told)

    kube.api.delete(f"{base}/fast")
    kube.wait_gone(f"/api/v1/persistentvolumes/{bound['spec']['volumeName']}")


def test_logs_can_be_read(kube: Kube, kube_namespace: str) -> None:
    kube.apply(deployment("example/web:1"), kube_namespace)
    name = pod_of(kube, kube_namespace)["metadata"]["name"]
    path = f"/api/v1/namespaces/{kube_namespace}/pods/{name}/log"
    assert kube.api.text("GET", path) == "hello from web\n"
    kube.write_log(kube_namespace, name, "web", "one\ntwo\nthree\n")
    assert kube.api.text("GET", f"{path}?tailLines=2&container=web") == "two\nthree\n"


def test_a_user_may_what_it_was_given(kube: Kube, kube_namespace: str, tmp_path: Path) -> None:
    kubernetes = parts.module("kubernetes", package="kubernetes")
    file = kube.user(tmp_path, kube_namespace, PODS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client = kubernetes.client.CoreV1Api(kube.client(file))
    assert client.list_namespaced_pod(kube_namespace).items == []
    for ask in (
        lambda: client.list_namespaced_secret(kube_namespace),
        lambda: client.list_namespaced_pod("default"),
    ):
        with pytest.raises(kubernetes.client.ApiException) as caught:
            ask()
        assert caught.value.status == 403


def test_expired_certificates_are_refused_on_both_sides(kube: Kube, tmp_path: Path) -> None:
    kubernetes = parts.module("kubernetes", package="kubernetes")
    version = kubernetes.client.VersionApi(kube.client())
    assert version.get_code().git_version.startswith("v1.")
    core = kubernetes.client.CoreV1Api(kube.client(kube.expired_user(tmp_path)))
    with pytest.raises(kubernetes.client.ApiException) as caught:
        core.list_namespace()
    assert caught.value.status == 401
    client = kubernetes.client.VersionApi(kube.client(kube.expired_server(tmp_path)))
    with pytest.raises(Exception, match="certificate has expired"):
        client.get_code(_request_timeout=5)


def test_a_node_goes_away_and_comes_back(own_kube: Kube) -> None:
    where = {"nodeName": "node-b"}
    path = own_kube.path_of(own_kube.apply(deployment("example/web:1", **where)))
    own_kube.wait(path, lambda one: one["status"].get("readyReplicas") == 1)

    def ready(node: Json) -> str:
        return str(next(c for c in node["status"]["conditions"] if c["type"] == "Ready")["status"])

    own_kube.node_goes("node-b")
    own_kube.wait("/api/v1/nodes/node-b", lambda node: ready(node) == "Unknown")
    own_kube.wait(path, lambda one: one["status"].get("unavailableReplicas") == 1)
    own_kube.node_comes_back("node-b")
    own_kube.wait(path, lambda one: one["status"].get("readyReplicas") == 1)


_USER = """
import os, sys
from pathlib import Path
from tests.testbed.kube.cluster import shared_cluster
with shared_cluster(Path(sys.argv[1])) as kube:
    print(kube.server, kube.plane.pids["keeper"], kube.plane.pids["kube-apiserver"], flush=True)
    sys.stdin.read()
"""


def _user(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _USER, str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


def _line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_processes_share_a_server_that_ends_when_all_of_them_are_gone(tmp_path: Path) -> None:
    users = [_user(tmp_path), _user(tmp_path)]
    first, second = (_line(user) for user in users)
    assert first == second
    pids = [int(word) for word in first[1:]]
    users[0].kill()
    users[0].wait()
    time.sleep(2.5)
    assert all(Path(f"/proc/{pid}").exists() for pid in pids), "one still uses it"
    users[1].kill()
    users[1].wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "it stays when all are gone"
        time.sleep(0.1)


@pytest.mark.parametrize("shown", ["token", "certificate"])
def test_a_cluster_that_is_named_is_used(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    file = kube.kubeconfig
    if shown == "certificate":
        made = kube.plane.authority.client(f"named-{os.getpid()}", groups=("system:masters",))
        user, file = certificate_user(made), tmp_path / "named"
        write_kubeconfig(file, kube.server, kube.plane.authority, user)
    monkeypatch.setenv(GIVEN, str(file))
    with shared_cluster(tmp_path / "unused") as named:
        assert named.server == kube.server
        name = named.namespace()
        assert kube.api.get(f"/api/v1/namespaces/{name}") is not None
        named.drop_namespace(name)
    assert not (tmp_path / "unused" / "ready.json").exists(), "nothing was started"

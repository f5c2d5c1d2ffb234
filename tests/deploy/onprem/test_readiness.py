"""What an object waits for, by its status as Kubernetes documents it."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.deploy.onprem.applying.readiness import (
    NEVER,
    owner_of,
    pod_troubles,
    troubles,
    waiting,
)


def one(kind: str, spec: dict[str, Any], status: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "x", **meta}, "spec": spec, "status": status}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    return {"conditions": [said]}


NEW = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
SET = {"readyReplicas": 2, "updatedReplicas": 2, "currentRevision": "a", "updateRevision": "b"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (one("Deployment", {"replicas": 2}, NEW, generation=2), ""),
        (one("Deployment", {"replicas": 2}, NEW, generation=3), "its controller has not seen it"),
        (one("Deployment", {"replicas": 3}, NEW), "2 of 3 pods are of this release"),
        (one("Deployment", {"replicas": 2}, {**NEW, "replicas": 3}), "1 pods of the release befo"),
        (one("Deployment", {"replicas": 2}, {**NEW, "availableReplicas": 1}), "1 of 2 pods are r"),
        (one("Deployment", {"replicas": 0}, {}, generation=1), "its controller has not seen it"),
        (one("Deployment", {"replicas": 0}, {}), ""),
        (one("StatefulSet", {"replicas": 2}, SET), ""),
        (one("StatefulSet", {"replicas": 2}, {**SET, "readyReplicas": 1}), "1 of 2 pods are ready"),
        (
            one("StatefulSet", {"replicas": 2}, {**SET, "updatedReplicas": 1}),
            "1 of 2 pods are of this release",
        ),
        (
            one("DaemonSet", {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2}),
            "0 of 2",
        ),
        (one("Job", {}, {}), "it runs"),
        (one("Job", {}, condition("Complete", "True")), ""),
        (one("PersistentVolumeClaim", {}, {"phase": "Pending"}), ""),
        (one("PersistentVolumeClaim", {}, {"phase": "Lost"}), "it lost its volume"),
        (one("Service", {"type": "ClusterIP"}, {"loadBalancer": {}}), ""),
        (one("Service", {"type": "LoadBalancer"}, {"loadBalancer": {}}), "no load balancer"),
        (one("Cluster", {}, condition("Ready", "False", message="1 of 3")), "1 of 3"),
        (one("Cluster", {}, condition("Ready", "True")), ""),
        (one("Cluster", {}, {}), ""),
        (one("ConfigMap", {}, {}, deletionTimestamp="x"), "it is being deleted"),
    ],
)
def test_what_an_object_waits_for(given: dict[str, Any], expected: str) -> None:
    said = waiting(given)
    assert said.startswith(expected) if expected else said == ""


def pod(**waiting_for: Any) -> dict[str, Any]:
    restarts = waiting_for.pop("restarts", 0)
    container = {"name": "c", "image": "i:1", "restartCount": restarts}
    status = {"containerStatuses": [{**container, "state": {"waiting": waiting_for}}]}
    return {"metadata": {"name": "p"}, "status": status}


@pytest.mark.parametrize(
    ("given", "reason", "patience"),
    [
        (pod(reason="ErrImagePull", message="no such"), "the image cannot be pulled", 1.0),
        (pod(reason="ImagePullBackOff"), "the image cannot be pulled", 1.0),
        (pod(reason="InvalidImageName"), "InvalidImageName", 0),
        (pod(reason="CreateContainerConfigError"), "CreateContainerConfigError", 1.0),
        (pod(reason="CrashLoopBackOff", restarts=3), "CrashLoopBackOff", 1.0),
        (
            one("Pod", {}, condition("PodScheduled", "False", "Unschedulable")),
            "Unschedulable",
            NEVER,
        ),
    ],
)
def test_what_stands_in_a_pods_way(given: dict[str, Any], reason: str, patience: float) -> None:
    (found,) = pod_troubles(given, "Deployment/d")
    assert (found.resource, found.reason, found.patience) == ("Deployment/d", reason, patience)


def test_a_node_that_is_silent_is_named() -> None:
    said = [{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}]
    found = pod_troubles(one("Pod", {"nodeName": "node-b"}, {"conditions": said}), "Deployment/d")
    assert [str(trouble) for trouble in found] == [
        "Deployment/d: NodeNotReady: node node-b does not answer"
    ]


def test_a_container_that_ended_once_is_no_trouble_yet() -> None:
    assert not list(pod_troubles(pod(reason="CrashLoopBackOff", restarts=1), "Deployment/d"))
    assert not list(pod_troubles(pod(reason="ContainerCreating"), "Deployment/d"))


@pytest.mark.parametrize(
    ("given", "patience"),
    [
        (one("Deployment", {}, condition("ReplicaFailure", "True", "FailedCreate")), 1.0),
        (
            one("Deployment", {}, condition("Progressing", "False", "ProgressDeadlineExceeded")),
            0,
        ),
        (one("Job", {}, condition("Failed", "True", "BackoffLimitExceeded")), 0),
    ],
)
def test_what_conditions_say(given: dict[str, Any], patience: float) -> None:
    (found,) = troubles(given)
    assert found.patience == patience


def test_the_owner_of_a_pod() -> None:
    def of(kind: str, name: str) -> str:
        owners = [{"kind": kind, "name": name}]
        return owner_of({"metadata": {"name": "p", "ownerReferences": owners}})

    assert of("ReplicaSet", "demo-api-7dd9f66566") == "Deployment/demo-api"
    assert of("StatefulSet", "demo-postgresql") == "StatefulSet/demo-postgresql"
    assert owner_of({"metadata": {"name": "p"}}) == "Pod/p"

"""Whether an object is ready, and what stands in its way, read from its own status.

The rules are those that Kubernetes documents for each kind (and that `kubectl rollout status`
goes by); of a custom resource, its `Ready` condition, if its operator writes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.onprem.rendered.objects import id_of

Object = Mapping[str, Any]
_IMAGES = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable")
_CONTAINERS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_CONTROLLED = ("Deployment", "StatefulSet", "DaemonSet")  # these always say which they saw
RESTARTS = 3  # of a container until it counts as one that never comes up
NEVER = float("inf")
NODE_GONE = "NodeNotReady"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps an object from being ready.

    Attributes:
        resource: id of the object.
        reason: one word of Kubernetes, e.g. ``ImagePullBackOff``.
        detail: its sentence.
        patience: how often the follower's patience it is given: once, not at all (0), or all the
            time there is (`NEVER`), since it may well pass.
        pod: whose last log lines may say more, "" for none.
        container: of that pod.
    """

    resource: str
    reason: str
    detail: str
    patience: float = 1.0
    pod: str = ""
    container: str = ""

    def __str__(self) -> str:
        return f"{self.resource}: {self.reason}" + (f": {self.detail}" if self.detail else "")


def waiting(one: Object) -> str:
    """What an object waits for, "" if it is ready."""
    kind, status = one["kind"], one.get("status") or {}
    if one["metadata"].get("deletionTimestamp"):
        return "it is being deleted"
    seen = status.get("observedGeneration", 0 if kind in _CONTROLLED else None)
    if seen is not None and seen < one["metadata"].get("generation", 0):
        return "its controller has not seen it yet"
    rule = _RULES.get(kind, _by_condition)
    return rule(one, one.get("spec") or {}, status)


def troubles(one: Object) -> Iterator[Trouble]:
    """What an object's own conditions say stands in its way."""
    for said in (one.get("status") or {}).get("conditions") or ():
        kind, reason, detail = said.get("type"), said.get("reason", ""), said.get("message", "")
        yes = said.get("status") == "True"
        if kind == "ReplicaFailure" and yes:
            yield Trouble(id_of(one), reason, detail)
        elif kind == "Progressing" and reason == "ProgressDeadlineExceeded":
            yield Trouble(id_of(one), reason, detail, patience=0)
        elif one["kind"] == "Job" and kind == "Failed" and yes:
            yield Trouble(id_of(one), reason or "Failed", detail, patience=0)


def pod_troubles(pod: Object, owner: str) -> Iterator[Trouble]:
    """What stands in a pod's way.

    Args:
        pod: it.
        owner: id of the object it belongs to.
    """
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    met = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    if met.get("ContainersReady") == "True" and met.get("Ready") == "False":
        # What nobody but the node itself said is taken back when the node is silent.
        node = pod["spec"].get("nodeName", "")
        yield Trouble(owner, NODE_GONE, f"node {node} does not answer", patience=NEVER)
    for said in status.get("conditions") or ():
        if said.get("type") == "PodScheduled" and said.get("reason") == "Unschedulable":
            yield Trouble(owner, "Unschedulable", said.get("message", ""), patience=NEVER)
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    for one in containers:
        state = (one.get("state") or {}).get("waiting") or {}
        reason, detail = state.get("reason", ""), state.get("message", "")
        image = f"{one['image']}: {detail}".rstrip(": ")
        if reason == "InvalidImageName":
            yield Trouble(owner, reason, image, patience=0)
        elif reason in _IMAGES:
            # The two words alternate; one trouble must not look like two.
            yield Trouble(owner, "the image cannot be pulled", image)
        elif reason in _CONTAINERS:
            yield Trouble(owner, reason, detail)
        elif reason == "CrashLoopBackOff" and one.get("restartCount", 0) >= RESTARTS:
            said = f"container {one['name']} ended {one['restartCount']} times"
            yield Trouble(owner, reason, said, pod=name, container=one["name"])


def owner_of(pod: Object) -> str:
    """Id of the object that a pod is of; the pod's own if it is of none."""
    for one in pod["metadata"].get("ownerReferences") or ():
        if one["kind"] == "ReplicaSet":
            return f"Deployment/{one['name'].rpartition('-')[0]}"
        return f"{one['kind']}/{one['name']}"
    return id_of({"kind": "Pod", **pod})


def _deployment(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted = spec.get("replicas", 1)
    new, there = status.get("updatedReplicas", 0), status.get("replicas", 0)
    ready = status.get("availableReplicas", 0)
    if new < wanted:
        return f"{new} of {wanted} pods are of this release"
    if there > new:
        return f"{there - new} pods of the release before are still there"
    return "" if ready >= new else f"{ready} of {wanted} pods are ready"


def _stateful_set(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    rolling = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    new = status.get("updatedReplicas", 0)
    if ready < wanted:
        return f"{ready} of {wanted} pods are ready"
    same = status.get("currentRevision") == status.get("updateRevision")
    if rolling and not same and new < wanted:
        return f"{new} of {wanted} pods are of this release"
    return ""


def _daemon_set(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    if status.get("updatedNumberScheduled", 0) < wanted:
        return f"{status.get('updatedNumberScheduled', 0)} of {wanted} pods are of this release"
    return "" if ready >= wanted else f"{ready} of {wanted} pods are ready"


def _job(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    done = any(
        said.get("type") == "Complete" and said.get("status") == "True"
        for said in status.get("conditions") or ()
    )
    return "" if done else "it runs"


def _claim(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    # One that waits for its first pod is as ready as it can be; the pod tells of the rest.
    return "it lost its volume" if status.get("phase") == "Lost" else ""


def _service(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    if spec.get("type") != "LoadBalancer" or (status.get("loadBalancer") or {}).get("ingress"):
        return ""
    return "no load balancer has an address for it yet"


def _by_condition(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    for said in status.get("conditions") or ():
        if said.get("type") == "Ready" and said.get("status") != "True":
            return str(said.get("message") or said.get("reason") or "its operator is at work")
    return ""


def _always(one: Object, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    return ""


_RULES = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
    **dict.fromkeys(("HorizontalPodAutoscaler", "CronJob", "PodDisruptionBudget"), _always),
}

"""Whether pods fit: into the quota and the limits of the namespace, and on a node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import INSTANCE
from tabular.deploy.onprem.rendered.objects import id_of
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.errors import ForbiddenError, PreflightError

from .amounts import Amounts, Pods, amount, pods, shown
from .growing import field_of, volumes_of
from .rights import address
from .volumes import STORAGE, claims, default_class

_COUNTED = ("cpu", "memory", "ephemeral-storage")
_WORKLOADS = ("Deployment", "StatefulSet")
# Taints that the cluster sets and takes away by itself; conditions tell the same.
_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")


def require_room(cluster: Cluster, namespace: str, name: str, objects: Iterable[Object]) -> None:
    """Refuse pods that would never run.

    Raises:
        PreflightError: over a quota, outside a limit range, or larger than any node.
    """
    made = tuple(objects)
    wanted = tuple(pods(made))
    ranges, quotas = _of(cluster, "LimitRange", namespace), _of(cluster, "ResourceQuota", namespace)
    if ranges:
        there = volumes_of(cluster, namespace, name)
        measured = (*_measures(wanted), *_measures_of_claims(made, there))
        for one in ranges:
            _require_range(one, measured)
    if quotas:
        filled = {entry for one in ranges for entry in _defaults(one)}
        now, class_ = _live(cluster, namespace, name), _default_class(cluster)
        for one in quotas:
            _require_quota(one, made, now, filled, class_)
    _require_node(cluster, wanted)


def _of(cluster: Cluster, kind: str, namespace: str) -> tuple[Object, ...]:
    try:
        return cluster.list("v1", kind, namespace)
    except ForbiddenError:
        return ()


def _live(cluster: Cluster, namespace: str, name: str) -> tuple[Object, ...]:
    """Workloads and claims of the deployment that count already."""
    label = f"{INSTANCE}={name}"
    found = [
        one for kind in _WORKLOADS for one in cluster.list("apps/v1", kind, namespace, labels=label)
    ]
    return (*found, *cluster.list("v1", "PersistentVolumeClaim", namespace, labels=label))


def _default_class(cluster: Cluster) -> str | None:
    """The class whose quota a claim that names none counts to."""
    try:
        found = default_class(cluster.list(STORAGE, "StorageClass"))
    except ForbiddenError:
        return None
    return None if found is None else str(found["metadata"]["name"])


def _sums(
    objects: tuple[Object, ...],
    *,
    rendered: bool,
    live: Mapping[str, str] = MappingProxyType({}),
    class_: str | None = None,
) -> dict[str, Decimal]:
    """What objects use of a quota, in a quota's words.

    Args:
        objects: that use it.
        rendered: whether sets are still to make their claims.
        live: classes of the claims that are there, which they keep.
        class_: of claims that name none.
    """
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in pods(objects):
        sums["pods"] += one.count
        for kind in ("requests", "limits"):
            for resource, value in one.each(kind).items():
                sums[f"{kind}.{resource}"] += value * one.count
    bare = objects if rendered else [o for o in objects if o["kind"] == "PersistentVolumeClaim"]
    for claim in claims(bare):
        for name in claim.names:
            named = live.get(name) or (class_ if claim.class_ is None else claim.class_)
            for prefix in ("", f"{named}.storageclass.storage.k8s.io/") if named else ("",):
                sums[f"{prefix}persistentvolumeclaims"] += 1
                sums[f"{prefix}requests.storage"] += amount(claim.size)
    for resource in ("cpu", "memory"):
        if f"requests.{resource}" in sums:
            sums[resource] = sums[f"requests.{resource}"]
    return sums


def _counted(objects: tuple[Object, ...]) -> dict[str, Decimal]:
    """Objects of each kind, in a quota's words: ``services``, ``count/deployments.apps``."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in objects:
        group, plural = address(one)
        found[f"count/{plural}.{group}" if group else f"count/{plural}"] += 1
        if not group:
            found[plural] += 1
    return found


def _require_quota(
    quota: Object,
    objects: tuple[Object, ...],
    now: tuple[Object, ...],
    filled: set[str],
    class_: str | None,
) -> None:
    if (quota["spec"].get("scopes") or quota["spec"].get("scopeSelector")) is not None:
        return  # it counts some pods only
    name, hard = quota["metadata"]["name"], quota["spec"].get("hard") or {}
    used = (quota.get("status") or {}).get("used") or {}
    live = {
        one["metadata"]["name"]: str(one["spec"].get("storageClassName") or "")
        for one in now
        if one["kind"] == "PersistentVolumeClaim"
    }
    wanted = _sums(objects, rendered=True, live=live, class_=class_)
    there = _sums(now, rendered=False)
    if not now:  # of an update the most are there, and which are not is for the server to tell
        wanted = {**_counted(objects), **wanted}
    for resource, limit in hard.items():
        _require_said(name, resource, objects, filled)
        more = wanted.get(resource, Decimal(0)) - there.get(resource, Decimal(0))
        left = amount(limit) - amount(used.get(resource, 0))
        if more > 0 and more > left:
            raise PreflightError(
                f"the quota {name} leaves {shown(resource, max(left, Decimal(0)))} of {resource}, "
                f"and this needs {shown(resource, more)} more",
                where="spec.compute",
                hint=f"ask for less, or have it raised: kubectl describe resourcequota {name}",
                code="preflight.quota",
            )


def _require_said(quota: str, resource: str, objects: tuple[Object, ...], filled: set[str]) -> None:
    """A quota of requests or limits refuses each container that has none."""
    kind, _, what = resource.partition(".")
    if resource in ("cpu", "memory"):
        kind, what = "requests", resource
    if kind not in ("requests", "limits") or what not in _COUNTED or f"{kind}.{what}" in filled:
        return
    for one in pods(objects):
        for container in (*one.containers, *(one.spec.get("initContainers") or ())):
            resources = container.get("resources") or {}
            said = {**(resources.get(kind) or {})}
            if kind == "requests":
                said = {**(resources.get("limits") or {}), **said}
            if what not in said:
                raise PreflightError(
                    f"the quota {quota} wants {kind}.{what} of every container, and "
                    f"{container['name']} of {one.owner} has none",
                    where="spec.compute",
                    hint="set compute.cpu, memory and cpu_limit (parts: "
                    "overrides.onprem.values.PART.resources), or have a LimitRange with defaults "
                    "in the namespace",
                    code="preflight.quota",
                )


def _defaults(limits: Object) -> Iterator[str]:
    """What a limit range fills in, as ``limits.cpu``."""
    for one in limits["spec"].get("limits") or ():
        if one["type"] == "Container":
            yield from (f"limits.{name}" for name in one.get("default") or {})
            yield from (f"requests.{name}" for name in one.get("defaultRequest") or {})
            yield from (f"requests.{name}" for name in one.get("default") or {})


@dataclass(frozen=True, slots=True)
class _Measure:
    """What a limit range looks at.

    Attributes:
        kind: in its words.
        what: for people.
        where: key of the spec.
        most: what must not be more, by resource.
        least: what must not be less; what is not said gets a default.
    """

    kind: str
    what: str
    where: str
    most: Amounts
    least: Amounts


def _require_range(limits: Object, measured: tuple[_Measure, ...]) -> None:
    name = limits["metadata"]["name"]
    for rule in limits["spec"].get("limits") or ():
        for one in measured:
            if one.kind != rule["type"]:
                continue
            for resource, border in (rule.get("max") or {}).items():
                value = one.most.get(resource, Decimal(0))
                if value > amount(border):
                    raise _outside(one, name, resource, value, f"lets it have {border}")
            for resource, border in (rule.get("min") or {}).items():
                value = one.least.get(resource, amount(border))
                if value < amount(border):
                    raise _outside(one, name, resource, value, f"wants at least {border}")


def _outside(
    one: _Measure, name: str, resource: str, value: Decimal, border: str
) -> PreflightError:
    return PreflightError(
        f"{one.what} wants {shown(resource, value)} of {resource}, and the limit range {name} "
        f"{border}",
        where=one.where,
        hint=f"ask for what it lets, or have it changed: kubectl describe limitrange {name}",
        code="preflight.limit-range",
    )


def _measures(wanted: tuple[Pods, ...]) -> Iterator[_Measure]:
    for one in wanted:
        yield _measure("Pod", f"a pod of {one.owner}", one)
        for container in (*one.containers, *(one.spec.get("initContainers") or ())):
            alone = Pods(one.owner, 1, {"containers": [container]})
            yield _measure("Container", f"{container['name']} of {one.owner}", alone)


def _measure(kind: str, what: str, one: Pods) -> _Measure:
    requests = one.each("requests")
    return _Measure(kind, what, "spec.compute", {**requests, **one.each("limits")}, requests)


def _measures_of_claims(
    objects: tuple[Object, ...], there: Mapping[str, Object]
) -> Iterator[_Measure]:
    """Claims that are made anew: those that are there were let in."""
    fields = {id_of(one): field_of(one) for one in objects}
    for one in claims(objects):
        if set(one.names) - set(there):
            size = {"storage": amount(one.size)}
            what = f"a claim of {one.owner}"
            yield _Measure("PersistentVolumeClaim", what, fields[one.owner], size, size)


def _require_node(cluster: Cluster, wanted: tuple[Pods, ...]) -> None:
    try:
        nodes = [one for one in cluster.list("v1", "Node") if takes_pods(one)]
    except ForbiddenError:
        return
    if not nodes:
        raise PreflightError(
            "the cluster has no node that takes pods",
            where=cluster.address,
            hint="kubectl get nodes: NotReady and cordoned ones take none",
            code="preflight.nodes",
        )
    for one in wanted:
        fitting = [node for node in nodes if may_run(one.spec, node)]
        asked = one.each("requests")
        if not fitting:
            raise PreflightError(
                f"no node has the labels or lacks the taints that pods of {one.owner} ask for",
                where="spec.overrides.onprem",
                hint="kubectl get nodes --show-labels; nodeSelector and tolerations say which",
                code="preflight.nodes",
            )
        if not any(_fits(asked, node) for node in fitting):
            sizes = " and ".join(f"{shown(r, v)} of {r}" for r, v in sorted(asked.items()))
            largest = ", ".join(
                f"{shown(r, max(_room(node).get(r, Decimal(0)) for node in fitting))} of {r}"
                for r in sorted(asked)
            )
            raise PreflightError(
                f"a pod of {one.owner} asks for {sizes}, and no node has that (at most {largest})",
                where="spec.compute",
                hint="smaller compute.cpu and memory, or larger nodes",
                code="preflight.nodes",
            )


def takes_pods(node: Object) -> bool:
    """Whether a node is there and not cordoned."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable")


def may_run(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether a pod's spec asks for this node's labels and puts up with its taints."""
    labels = node["metadata"].get("labels") or {}
    selector = spec.get("nodeSelector") or {}
    if any(labels.get(key) != str(value) for key, value in selector.items()):
        return False
    taints = (node.get("spec") or {}).get("taints") or ()
    return all(
        taint["effect"] == "PreferNoSchedule"
        or taint["key"].startswith(_PASSING)
        or any(_tolerates(one, taint) for one in spec.get("tolerations") or ())
        for taint in taints
    )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return bool(toleration.get("key") in (None, "", taint["key"]))
    same = toleration.get("key") == taint["key"]
    return bool(same and toleration.get("value", "") == taint.get("value", ""))


def _room(node: Object) -> dict[str, Decimal]:
    told = (node.get("status") or {}).get("allocatable") or {}
    return {name: amount(value) for name, value in told.items()}


def _fits(asked: Amounts, node: Object) -> bool:
    room = _room(node)
    return all(value <= room.get(name, Decimal(0)) for name, value in asked.items())

"""Fewer nodes than what is to outlive one needs.

Pods that insist on nodes of their own, as the members of a PostgreSQL that fails over do, wait for
ever. Servers of MinIO share nodes, and one node may then take along more of a set than it can be
written to without. An autoscaler may bring nodes, so it is told and not refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.deploy.policy import Finding, Severity
from tabular.errors import ForbiddenError

from .amounts import pods
from .minio import is_set, may_be_away
from .room import may_run, takes_pods

_NODE = "kubernetes.io/hostname"


def require_apart(cluster: Cluster, objects: Iterable[Object]) -> Iterator[Finding]:
    """Tell of pods that are more than the nodes which they may run on, or may share."""
    made = tuple(objects)
    wanted = [one for one in pods(made) if one.count > 1 and _insists(one.spec)]
    sets = [one for one in made if is_set(one) and one["spec"]["replicas"] > 1]
    if not (wanted or sets):
        return
    try:
        nodes = [one for one in cluster.list("v1", "Node") if takes_pods(one)]
    except ForbiddenError:
        return
    for one in wanted:
        fitting = sum(may_run(one.spec, node) for node in nodes)
        if fitting < one.count:
            yield Finding(
                "nodes-apart",
                Severity.WARNING,
                "spec.database.read_replicas",
                f"{one.owner} wants each of its {one.count} pods on a node of its own, and "
                f"{fitting} nodes take them: the others wait",
                "more nodes or fewer replicas; or, where a lost node may take commits with it, "
                "overrides.onprem.values.postgresql.replication.failover.separateNodes: false",
            )
    for store in sets:
        yield from _told_of_a_set(store, nodes)


def _told_of_a_set(one: Object, nodes: Iterable[Object]) -> Iterator[Finding]:
    fitting = sum(may_run(one["spec"]["template"]["spec"], node) for node in nodes)
    servers, lost = int(one["spec"]["replicas"]), may_be_away(one)
    together = -(-servers // max(fitting, 1))
    if together > lost:
        yield Finding(
            "nodes-apart",
            Severity.WARNING,
            "spec.storage.minio.replicas",
            f"{servers} servers of MinIO share {fitting} nodes: where one with {together} is away "
            f"nothing can be written, since {lost} may be",
            f"{-(-servers // lost)} nodes or more",
        )


def _insists(spec: Mapping[str, Any]) -> bool:
    rules = ((spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return any(rule["topologyKey"] == _NODE for rule in rules or ())

"""The primary of the chart's own PostgreSQL stays a member, and stays the one that is written to.

It may be any member since a failover. Fewer replicas take the last members away, and without
failover the Service selects the first one, whoever leads. Who led is on record when the Service is
gone, as after a destroy that kept the data.
"""

from __future__ import annotations

from collections.abc import Iterable

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import COMPONENT
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.errors import PreflightError

_POD = "statefulset.kubernetes.io/pod-name"
_RECORDED = "inferloop.io/primary"


def require_primary(cluster: Cluster, namespace: str, objects: Iterable[Object]) -> None:
    """Refuse objects that would take the primary away.

    Raises:
        PreflightError: they would; the hint is how another member leads.
    """
    made = tuple(objects)
    parts = [one for one in made if one["metadata"]["labels"].get(COMPONENT) == "postgresql"]
    for one in parts:
        if one["kind"] == "StatefulSet":
            _require(cluster, namespace, one, parts)


def _require(cluster: Cluster, namespace: str, members: Object, parts: list[Object]) -> None:
    name = members["metadata"]["name"]
    found = cluster.get("v1", "Service", name, namespace)
    primary = _selected(found)
    if primary is None:
        record = cluster.get("coordination.k8s.io/v1", "Lease", f"{name}-failover", namespace)
        primary = _member(marks.annotation(record, _RECORDED)) if record else None
    if primary is None:
        return
    count = members["spec"]["replicas"]
    service = [one for one in parts if one["kind"] == "Service" and one["metadata"]["name"] == name]
    fixed = _selected(service[0]) if service else None
    removed = int(primary.rpartition("-")[2]) >= count
    if not removed and fixed in (None, primary):
        return
    why = (
        f"{count} members do not include it"
        if removed
        else f"without a failover the writes go to {fixed}, which is a replica"
    )
    # Where nothing runs no watcher reads the wish.
    first = "" if found else "deploy with spec.database.ha and as many members as there were; then "
    raise PreflightError(
        f"the primary of PostgreSQL is {primary} now, and {why}",
        where="spec.database.read_replicas",
        hint=f"{first}have the first one lead before: kubectl annotate lease {name}-failover -n "
        f"{namespace} inferloop.io/switch-to={name}-0, and wait a minute",
        code="preflight.primary",
    )


def _selected(service: Object | None) -> str | None:
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    return _member(str(selector.get(_POD, "")))


def _member(name: str) -> str | None:
    # The failover selects a pod that cannot be where the primary's data are another database's.
    return name if name.rpartition("-")[2].isdecimal() else None

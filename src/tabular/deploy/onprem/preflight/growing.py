"""Disks that are there and are asked for in another size: what grows, and what never will.

A StatefulSet never resizes the claims that it made, so who wants larger ones patches each. Whether
that is let is asked of the server itself, which knows the class and the quota. Source: Kubernetes,
"Persistent Volumes", "Expanding Persistent Volumes Claims".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import COMPONENT, INSTANCE
from tabular.deploy.onprem.rendered.objects import id_of
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.errors import ForbiddenError, PreflightError

from .amounts import amount
from .volumes import claims

# Keys of the spec by the component whose disks they are.
_FIELDS = {
    "postgresql": "spec.database.size",
    "mysql": "spec.database.size",
    "minio": "spec.storage.size",
    "data": "spec.storage.size",
    "prometheus": "spec.monitoring.size",
    "grafana": "spec.monitoring.grafana.size",
    "rabbitmq": "spec.queue.size",
}
_ANEW = (
    "`inferloop-tabular backup create`, `destroy --delete-data`, deploy with the other {what}, "
    "`backup restore`"
)


@dataclass(frozen=True, slots=True)
class Growth:
    """A claim that is smaller than it is asked to be.

    Attributes:
        owner: id of what asks for it, e.g. ``StatefulSet/demo-postgresql``.
        claim: its name.
        before: its size, as it is written.
        after: the size asked for.
    """

    owner: str
    claim: str
    before: str
    after: str

    @property
    def patch(self) -> dict[str, Any]:
        """What is changed of the claim."""
        return {"spec": {"resources": {"requests": {"storage": self.after}}}}


def volumes_of(cluster: Cluster, namespace: str, name: str) -> dict[str, Object]:
    """The claims of a deployment by their names, as they are; none where they may not be seen."""
    try:
        found = cluster.list("v1", "PersistentVolumeClaim", namespace, labels=f"{INSTANCE}={name}")
    except ForbiddenError:
        return {}
    return {one["metadata"]["name"]: one for one in found}


def growths(objects: Iterable[Object], there: Mapping[str, Object]) -> Iterator[Growth]:
    """Claims that are there and smaller than the objects ask for.

    Args:
        objects: as rendered.
        there: claims by their names.
    """
    for wanted in claims(objects):
        for name in wanted.names:
            live = there.get(name)
            if live is not None and amount(size_of(live)) < amount(wanted.size):
                yield Growth(wanted.owner, name, size_of(live), wanted.size)


def size_of(claim: Mapping[str, Any]) -> str:
    """What a claim, or a template of claims, asks for."""
    return str(claim["spec"]["resources"]["requests"]["storage"])


def sized_as(live: Object, one: Object) -> Object:
    """An object with the disks of the size that the live one's are of, where it has the same."""
    if one["kind"] == "PersistentVolumeClaim":
        return _sized(one, size_of(live))
    if one["kind"] != "StatefulSet":
        return one
    templates = one["spec"].get("volumeClaimTemplates") or []
    before = {t["metadata"]["name"]: t for t in live["spec"].get("volumeClaimTemplates") or ()}
    if [t["metadata"]["name"] for t in templates] != list(before):
        return one
    sized = [_sized(t, size_of(before[t["metadata"]["name"]])) for t in templates]
    return {**one, "spec": {**one["spec"], "volumeClaimTemplates": sized}}


def as_large_as(there: Mapping[str, Object], objects: Iterable[Object]) -> tuple[Object, ...]:
    """Objects of an earlier release, whose own claims have grown since: none of them shrinks."""
    return tuple(
        sized_as(there[one["metadata"]["name"]], one) if _shrinks(one, there) else one
        for one in objects
    )


def require_growable(
    cluster: Cluster, namespace: str, name: str, objects: Iterable[Object]
) -> None:
    """Refuse other sizes of disks that cannot be had.

    Raises:
        PreflightError: a disk would shrink, its class lets none grow, or it has no volume yet.
    """
    made, there = tuple(objects), volumes_of(cluster, namespace, name)
    fields = {id_of(one): field_of(one) for one in made}
    for one in made:
        _require_no_less(cluster, namespace, one, there)
    for growth in growths(made, there):
        _require_growth(cluster, namespace, growth, there[growth.claim], fields[growth.owner])


def _require_no_less(
    cluster: Cluster, namespace: str, one: Object, there: Mapping[str, Object]
) -> None:
    """What a claim of its own asks for, and the largest of a set's claims, stays at least."""
    if one["kind"] == "StatefulSet":
        live = cluster.get(one["apiVersion"], one["kind"], one["metadata"]["name"], namespace)
        # A claim that somebody made larger past us is no reason: the set asks for what it did.
        same = live is None or sized_as(live, one) == one
    else:
        same = not _shrinks(one, there)
    if same:
        return
    for wanted in claims([one]):
        has = [size_of(there[name]) for name in wanted.names if name in there]
        largest = max(has, key=amount, default=wanted.size)
        if amount(largest) > amount(wanted.size):
            raise PreflightError(
                f"{wanted.owner} has disks of {largest}, and {wanted.size} are asked for: a "
                "volume never shrinks",
                where=field_of(one),
                hint=f"leave it at {largest}; or for smaller ones: {_ANEW.format(what='size')}",
                code="preflight.volume-size",
            )


def _require_growth(
    cluster: Cluster, namespace: str, growth: Growth, live: Object, field: str
) -> None:
    said = f"{growth.claim} has {growth.before}, and {growth.after} are asked for"
    if not live["spec"].get("volumeName"):
        raise PreflightError(
            f"{said}: it has no volume yet, and only one that has can grow",
            where=field,
            hint=f"nothing is in it: kubectl delete pvc {growth.claim} -n {namespace}, and deploy "
            "again, which makes it in the new size",
            code="preflight.volume-size",
        )
    try:
        cluster.merge(
            "v1", "PersistentVolumeClaim", growth.claim, namespace, growth.patch, dry_run=True
        )
    except ForbiddenError as error:
        class_ = live["spec"].get("storageClassName") or "its storage class"
        allow = f"kubectl patch storageclass {class_} -p '{{\"allowVolumeExpansion\": true}}'"
        raise PreflightError(
            f"{said}: volumes of {class_} do not grow",
            where=field,
            hint=f"if its driver can make volumes larger, whoever runs the cluster types: {allow}; "
            f"else {_ANEW.format(what='size')}",
            code="preflight.volume-size",
        ) from error


def _shrinks(one: Object, there: Mapping[str, Object]) -> bool:
    live = there.get(one["metadata"]["name"]) if one["kind"] == "PersistentVolumeClaim" else None
    return live is not None and amount(size_of(live)) > amount(size_of(one))


def _sized(claim: Object, size: str) -> Object:
    spec = claim["spec"]
    requests = {**spec["resources"]["requests"], "storage": size}
    return {**claim, "spec": {**spec, "resources": {**spec["resources"], "requests": requests}}}


def field_of(one: Object) -> str:
    """The key of the spec that an object's disks are asked for by."""
    component = (one["metadata"].get("labels") or {}).get(COMPONENT, "")
    return _FIELDS.get(component, "spec")

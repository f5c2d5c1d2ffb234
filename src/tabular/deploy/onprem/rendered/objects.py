"""What a rendered object is to a stack: its name, its type, and whether data hangs on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.stack import Resource

Object = Mapping[str, Any]
_NOISE = ("apiVersion", "kind", "metadata")
# Custom resources that operators keep data for, and take it along when they go.
CLUSTERS = ("Cluster", "postgresql", "Tenant")


def id_of(one: Object) -> str:
    """Of an object within its stack, e.g. ``Deployment/demo-api``."""
    return f"{one['kind']}/{one['metadata']['name']}"


def type_of(one: Object) -> str:
    """E.g. ``apps/v1 Deployment``."""
    return f"{one['apiVersion']} {one['kind']}"


def resource_of(one: Object) -> Resource:
    """An object as a plan lists it."""
    properties = {key: value for key, value in one.items() if key not in _NOISE}
    return Resource(id_of(one), type_of(one), properties, stateful=holds_data(one))


def holds_data(one: Object) -> bool:
    """Whether data hangs on an object: its claims stay when it goes, and nobody uses them then."""
    if one["kind"] == "StatefulSet":
        return bool(one["spec"].get("volumeClaimTemplates"))
    return stays(one)


def stays(one: Object) -> bool:
    """Whether an object is the data itself, and is left alone by all but a wish to delete data.

    The chart tells Helm the same by its annotation ``helm.sh/resource-policy``.
    """
    return one["kind"] in ("PersistentVolumeClaim", *CLUSTERS)


def claims_of(one: Object) -> Iterator[str]:
    """Names of the claims that templates of volumes make, without their numbers.

    Of a Tenant they are its operator's: the template's name and the number of the disk, then its
    StatefulSet, which is called after the pool.
    """
    if one["kind"] == "Tenant":
        for pool in one["spec"]["pools"]:
            template = pool["volumeClaimTemplate"]["metadata"]["name"]
            for disk in range(int(pool["volumesPerServer"])):
                yield f"{template}{disk}-{one['metadata']['name']}-{pool['name']}"
    if one["kind"] == "StatefulSet":
        for template in one["spec"].get("volumeClaimTemplates") or ():
            yield f"{template['metadata']['name']}-{one['metadata']['name']}"

"""Fields that Helm set as clients did before servers could apply, made its own as servers have it.

Helm 3, and Helm 4 after it, patches objects: the server writes its fields down as an `Update`. What
it is asked to apply for a plan it holds against that as if somebody else had set them, and fields
that a release no longer has would stay. So what Helm patched is written down as applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.errors import ConflictError

_AT_ONCE = 8  # questions
_TRIES = 10  # controllers write into a new object several times a second


def take_on(cluster: Cluster, objects: Sequence[Object], manager: str) -> None:
    """Make updated fields of a manager applied ones; one that has none is left as it is.

    Args:
        cluster: where.
        objects: as they were brought.
        manager: of the fields.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda one: _take_on(cluster, one, manager), objects):
            pass


def as_applied(entries: Sequence[Mapping[str, Any]], manager: str) -> list[Mapping[str, Any]]:
    """The entries of ``metadata.managedFields``, a manager's updates as what it applied.

    As kubectl does it for its own (client-go, ``util/csaupgrade``): those of the same version of
    the kind as what it applied are joined to that, others are left out.

    Args:
        entries: as they are.
        manager: whose.
    """
    updated = [one for one in entries if _is(one, manager, "Update")]
    if not updated:
        return list(entries)
    applied = [one for one in entries if _is(one, manager, "Apply")]
    whole: dict[str, Any] = {**(applied or updated[-1:])[0], "operation": "Apply"}
    for one in updated:
        if one["apiVersion"] == whole["apiVersion"]:
            whole["fieldsV1"] = _joined(whole["fieldsV1"], one["fieldsV1"])
    return [whole, *(one for one in entries if one not in updated and one not in applied)]


def _take_on(cluster: Cluster, one: Object, manager: str) -> None:
    meta = one["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    for left in reversed(range(_TRIES)):
        live = cluster.get(one["apiVersion"], one["kind"], name, namespace)
        there = (live or {}).get("metadata", {})
        entries = there.get("managedFields") or []
        wanted = as_applied(entries, manager)
        if wanted == entries:
            return
        patch = {"managedFields": wanted, "resourceVersion": there["resourceVersion"]}
        try:
            cluster.merge(one["apiVersion"], one["kind"], name, namespace, {"metadata": patch})
        except ConflictError:
            if not left:
                raise
        else:
            return


def _is(entry: Mapping[str, Any], manager: str, operation: str) -> bool:
    said = entry.get("manager"), entry.get("operation"), entry.get("subresource") or ""
    return said == (manager, operation, "")


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets of fields, which are trees of names."""
    return {
        name: _joined(one.get(name) or {}, other.get(name) or {}) for name in sorted({*one, *other})
    }

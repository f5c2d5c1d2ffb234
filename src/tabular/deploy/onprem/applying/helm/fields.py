"""Fields that Helm set as clients did before servers could apply, made its own as servers have it.

Helm 3, and Helm 4 after it, patches objects: the server writes its fields down as an `Update`. What
it is asked to apply for a plan it holds against that as if somebody else had set them, and fields
that a release no longer has would stay. So what Helm patched is written down as applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tabular.deploy.onprem.cluster.managers import Entry, rewrite
from tabular.deploy.onprem.cluster.session import Cluster, Object

_AT_ONCE = 8  # questions


def take_on(cluster: Cluster, objects: Sequence[Object], manager: str) -> None:
    """Make updated fields of a manager applied ones; one that has none is left as it is.

    Args:
        cluster: where.
        objects: as they were brought.
        manager: of the fields.
    """
    applied = partial(as_applied, manager=manager)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda one: rewrite(cluster, one, applied), objects):
            pass


def as_applied(entries: Sequence[Entry], manager: str) -> list[Entry]:
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


def _is(entry: Mapping[str, Any], manager: str, operation: str) -> bool:
    said = entry.get("manager"), entry.get("operation"), entry.get("subresource") or ""
    return said == (manager, operation, "")


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets of fields, which are trees of names."""
    return {
        name: _joined(one.get(name) or {}, other.get(name) or {}) for name in sorted({*one, *other})
    }

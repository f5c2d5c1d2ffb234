"""Who set which field of an object, written anew where the server's own rule would change more.

A server that is told less than before takes the field away, and gives it its default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tabular.errors import ConflictError

if TYPE_CHECKING:
    from .session import Cluster, Object

Entry = Mapping[str, Any]
Change = Callable[[Sequence[Entry]], list[Entry]]
_TRIES = 10  # controllers write into a new object several times a second


def rewrite(cluster: Cluster, one: Object, change: Change) -> None:
    """Change ``metadata.managedFields`` of an object; one that is not there is left so.

    Args:
        cluster: where.
        one: which.
        change: the entries as they should be, for those that are there.
    """
    meta = one["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    for left in reversed(range(_TRIES)):
        live = cluster.get(one["apiVersion"], one["kind"], name, namespace)
        there = (live or {}).get("metadata", {})
        entries = there.get("managedFields") or []
        wanted = change(entries)
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

"""The number of pods, when an autoscaler begins to say it, or no longer does.

What says no number any more would take it away, and the server would make it 1: all pods but one
would end before the autoscaler first looks. And what says it again would be refused, since the
autoscaler set it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from .managers import Entry, rewrite

if TYPE_CHECKING:
    from .session import Cluster, Object

_AUTOSCALER = "kube-controller-manager"  # in which it runs
_FIELD = ".spec.replicas"


def as_it_is(one: Object, live: Object) -> Object:
    """A Deployment that says no number of pods with the number that there is."""
    if not _scales(one) or "replicas" in one["spec"]:
        return one
    return {**one, "spec": {**one["spec"], "replicas": live["spec"]["replicas"]}}


def in_the_way(owners: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Managers and fields without what an autoscaler set."""
    return tuple(one for one in owners if one != (_AUTOSCALER, _FIELD))


def let_go(cluster: Cluster, objects: Iterable[Object], manager: str) -> None:
    """Have nobody own the number of pods, where another one says it from now on.

    Args:
        cluster: where.
        objects: as they are about to be brought.
        manager: of those who bring them.
    """
    for one in objects:
        if _scales(one):
            before = _AUTOSCALER if "replicas" in one["spec"] else manager
            rewrite(cluster, one, partial(_without, before))


def _scales(one: Object) -> bool:
    return bool(one["kind"] == "Deployment")


def _without(manager: str, entries: Sequence[Entry]) -> list[Entry]:
    """Entries in which a manager has not set the number."""
    found = []
    for entry in entries:
        spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if entry.get("manager") != manager or "f:replicas" not in spec:
            found.append(entry)
            continue
        rest = {name: fields for name, fields in spec.items() if name != "f:replicas"}
        fields = {name: there for name, there in entry["fieldsV1"].items() if name != "f:spec"}
        if rest:
            fields["f:spec"] = rest
        if fields:
            found.append({**entry, "fieldsV1": fields})
    return found

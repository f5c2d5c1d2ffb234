"""A set of MinIO's servers keeps the number of servers and disks that it was laid out for.

What a server finds on its disks says how many there are; one that is told otherwise does not
start. Source: MinIO's documentation, "Expand a distributed deployment": servers are added as
another pool, with another set of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import COMPONENT
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.deploy.onprem.values.storage import SIZES, parity
from tabular.errors import PreflightError

from .growing import volumes_of


def require_same_set(
    cluster: Cluster, namespace: str, name: str, objects: Iterable[Object]
) -> None:
    """Refuse another number of servers or disks than the data that is there was laid out for.

    Raises:
        PreflightError: it is another one; the hint is the way there.
    """
    for one in objects:
        if not is_set(one):
            continue
        title = one["metadata"]["name"]
        live = cluster.get(one["apiVersion"], one["kind"], title, namespace)
        # One that somebody scaled to nothing says nothing; a destroy leaves the claims alone.
        before = _set(live) if live is not None and live["spec"]["replicas"] else None
        before = before or _laid_out(volumes_of(cluster, namespace, name), title)
        if before is not None and before != _set(one):
            raise PreflightError(
                f"the MinIO that is there has {_said(before)}, and {_said(_set(one))} are asked "
                "for: a set keeps its size",
                where="spec.storage.minio",
                hint="leave it as it was; or `inferloop-tabular backup create`, `destroy "
                "--delete-data`, deploy with the other number, `backup restore`",
                code="preflight.minio-set",
            )


def is_set(one: Object) -> bool:
    """Whether an object is the servers of a MinIO of ours."""
    part = (one["metadata"].get("labels") or {}).get(COMPONENT)
    return one["kind"] == "StatefulSet" and part == "minio"


def may_be_away(one: Object) -> int:
    """Servers of a distributed MinIO that may be away while it is written to.

    Source: MinIO's documentation, "Erasure Coding": a set is written to as long as more than half
    of its disks, and all but the parity, are there.
    """
    servers, disks = _set(one)
    size = max(
        size
        for size in SIZES
        if (servers * disks) % size == 0 and (size % servers == 0 or servers % size == 0)
    )
    lost = parity(size)
    lost -= 2 * lost == size
    return lost // max(size // servers, 1)


def _set(one: Object) -> tuple[int, int]:
    """Servers, and disks of each."""
    spec = one["spec"]
    return int(spec["replicas"]), len(spec.get("volumeClaimTemplates") or ())


def _laid_out(there: Mapping[str, Object], title: str) -> tuple[int, int] | None:
    """The set that claims are of, by their numbers; None if there are none."""
    shape = re.compile(rf"data(\d+)-{re.escape(title)}-(\d+)")
    found = [(int(met[2]) + 1, int(met[1]) + 1) for name in there if (met := shape.fullmatch(name))]
    if not found:
        return None
    return max(servers for servers, _ in found), max(disks for _, disks in found)


def _said(one: tuple[int, int]) -> str:
    servers, disks = one
    return f"{servers} server{'s' * (servers > 1)} of {disks} disk{'s' * (disks > 1)} each"

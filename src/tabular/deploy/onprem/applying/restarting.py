"""Pods that read a certificate once, at their start: started anew when it was renewed.

The mark that does it has a field manager of its own, so that neither Helm nor the next apply takes
it away, which would start them once more.
"""

from __future__ import annotations

from collections.abc import Iterable

from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.onprem.rendered.objects import id_of
from tabular.deploy.onprem.secrets.secret_keys import other_secrets

MANAGER = "inferloop-tabular-restart"
MARK = "inferloop-tabular.io/certificate"
_ROLLING = ("Deployment", "StatefulSet")


def restart_users_of(
    cluster: Cluster, objects: Iterable[Object], secret: str, mark: str
) -> list[str]:
    """Start the pods anew that mount a Secret, one after the other as their kind has it.

    Args:
        cluster: where.
        objects: of the release, of which those count that are there.
        secret: its name.
        mark: changes with what is in it.

    Returns:
        Ids of what is started anew.
    """
    found = []
    for one in objects:
        if one["kind"] not in _ROLLING or secret not in other_secrets([one], ""):
            continue
        api, kind, meta = one["apiVersion"], one["kind"], one["metadata"]
        if cluster.get(api, kind, meta["name"], meta["namespace"]) is None:
            continue
        part = {
            "apiVersion": api,
            "kind": kind,
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "spec": {"template": {"metadata": {"annotations": {MARK: mark}}}},
        }
        cluster.apply(part, manager=MANAGER, force=True)
        found.append(id_of(one))
    return found

"""What the failover of PostgreSQL keeps in the cluster goes when the data go, and not before.

Its watchers make it, so it is in no release: a destroy that keeps data keeps what says which data
are right. Beside an empty volume it would keep a new database from being made.
"""

from __future__ import annotations

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import COMPONENT
from tabular.deploy.target import Target

_KINDS = (("coordination.k8s.io/v1", "Lease"), ("v1", "ConfigMap"))


def drop_record(cluster: Cluster, target: Target) -> None:
    """Delete it, unless a volume of PostgreSQL's is left; no watcher may run any more.

    Args:
        cluster: where.
        target: whose.
    """
    mine = f"{marks.selector(target)},{COMPONENT}"
    claims = cluster.list("v1", "PersistentVolumeClaim", target.region, labels=f"{mine}=postgresql")
    if any("deletionTimestamp" not in one["metadata"] for one in claims):
        return
    for api, kind in _KINDS:
        for one in cluster.list(api, kind, target.region, labels=f"{mine}=postgresql-failover"):
            cluster.delete(api, kind, one["metadata"]["name"], target.region)

"""Where something of ours is deployed, in the namespaces that may be looked at."""

from __future__ import annotations

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.target import Target
from tabular.errors import ForbiddenError

from .lease import API, KIND


def targets(cluster: Cluster) -> tuple[Target, ...]:
    """Targets that have a lease, sorted.

    Raises:
        ForbiddenError: these credentials may list them neither everywhere nor in the namespace of
            their context.
    """
    labels = marks.ours(marks.LEASE)
    try:
        found = cluster.list(API, KIND, cluster.namespace, labels=labels)
    except ForbiddenError:
        if cluster.namespace is not None:
            raise
        # Who may not look everywhere looks where the kubeconfig says.
        found = cluster.list(API, KIND, cluster.default_namespace, labels=labels)
    said = {target for one in found if (target := marks.target_in(one)) is not None}
    return tuple(sorted(said, key=lambda target: target.id))

"""Objects that were written for a cluster as it was then, addressed as it serves them now.

A server stops to serve old versions of a kind when it is upgraded; what was made by them is there
all the same. Source: Kubernetes, "Deprecated API Migration Guide": the fields that the chart writes
are the same in both versions of each kind here.
"""

from __future__ import annotations

from collections.abc import Mapping

from .session import Cluster, Object

_VERSIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("autoscaling", "HorizontalPodAutoscaler"): ("v2", "v2beta2"),
    ("batch", "CronJob"): ("v1", "v1beta1"),
    ("external-secrets.io", "ExternalSecret"): ("v1", "v1beta1"),
    ("policy", "PodDisruptionBudget"): ("v1", "v1beta1"),
}


def served(cluster: Cluster, one: Object) -> Object:
    """An object in a version that the cluster serves; as it is where it serves none."""
    api, kind = one["apiVersion"], one["kind"]
    group = api.rpartition("/")[0]
    versions = _VERSIONS.get((group, kind), ())
    if not versions or cluster.has(api, kind):
        return one
    others = (f"{group}/{version}" for version in versions)
    return {**one, "apiVersion": next((o for o in others if cluster.has(o, kind)), api)}

"""Whether who installs a release may wait for all of it, and how to see its pods come up if not.

A class of volumes that waits for the first consumer binds none before a pod is there. Helm takes an
unbound claim for a release that is not ready, and so waits until its time is up.
"""

from __future__ import annotations

from collections.abc import Iterator

from tabular.deploy.onprem.preflight.amounts import pods
from tabular.deploy.onprem.rendered.rendering import Object

from .release import Release

WITH_PODS = ("Deployment", "StatefulSet")


def in_vain(release: Release) -> bool:
    """Whether a volume is bound only when its first pod starts, which is no pod of now.

    That of the backups is: whoever waits until all is ready waits for the first backup.
    """
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for workload in pods(release.objects)
        for volume in workload.spec.get("volumes") or ()
        if "persistentVolumeClaim" in volume
    }
    return any(
        one["kind"] == "PersistentVolumeClaim" and one["metadata"]["name"] not in used
        for one in release.objects
    )


def running(release: Release) -> Iterator[Object]:
    """What has pods at all times."""
    return (one for one in release.objects if one["kind"] in WITH_PODS)


def watched(release: Release, timeout: str) -> str:
    """Commands that end once all pods are ready, or fail.

    Args:
        release: it.
        timeout: for each, as kubectl takes it.
    """
    names = (f"{one['kind'].lower()}/{one['metadata']['name']}" for one in running(release))
    return (
        f"for one in {' '.join(names)}; do\n"
        f'  kubectl rollout status "$one" --namespace {release.namespace} --timeout {timeout}\n'
        "done"
    )

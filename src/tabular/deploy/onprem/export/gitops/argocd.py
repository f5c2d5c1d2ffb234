"""The repository as Argo CD reads it: it renders the chart itself, with the overlay's values."""

from __future__ import annotations

from typing import Any

from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.export.release import VALUES
from tabular.deploy.stack import Stack

from .tree import CHART_PATH, Tree, readme

_API = "argoproj.io/v1alpha1"
_HERE = "https://kubernetes.default.svc"
_ARGOCD = "argocd"
# The release waits for its namespace and for its secret, and nobody is there to sync again.
_RETRY = {"limit": 10, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"}}
# What a server writes into claim templates by itself, and Argo CD takes for a difference.
_CLAIMS = [".spec.volumeClaimTemplates[]?.apiVersion", ".spec.volumeClaimTemplates[]?.kind"]
_START = """\
Who may administrate Argo CD applies what it is told, once, and again whenever that folder changes:
the project says which kinds may be made where, so it is not for the repository to widen.

    kubectl apply --filename {cluster}/project.yaml \\
      --filename {cluster}/infrastructure.yaml \\
      --filename {cluster}/release.yaml
    argocd app wait {id} --health

Argo CD before 3.0 needs `application.resourceTrackingMethod: annotation` in its ConfigMap
`argocd-cm`: else it writes `{id}` into the label `app.kubernetes.io/instance`, by which monitors
and Velero find what is of this deployment, and they find nothing.
"""


def argocd(stack: Stack) -> dict[str, bytes]:
    """The files.

    Raises:
        UsageError: the spec does not say which repository it is.
        EngineError: the chart refuses the values.
    """
    tree = Tree.of(stack)
    repository = tree.needs_repository("Argo CD")
    infrastructure = {"path": tree.infrastructure, "directory": {"recurse": False}}
    chart = {
        "path": CHART_PATH,
        "helm": {
            "releaseName": tree.release.name,
            "valueFiles": [f"/{tree.overlay}/{VALUES}"],
        },
    }
    place = {"repoURL": repository, "targetRevision": tree.branch}
    start = _START.format(cluster=tree.cluster, id=tree.id)
    return {
        f"{tree.cluster}/README.md": readme(tree, "Argo CD", start),
        f"{tree.cluster}/project.yaml": as_yaml(_project(tree, repository)),
        f"{tree.cluster}/infrastructure.yaml": as_yaml(
            _application(tree, f"{tree.id}-infrastructure", {**place, **infrastructure}, [])
        ),
        f"{tree.cluster}/release.yaml": as_yaml(
            _application(tree, tree.id, {**place, **chart}, _ignored(tree))
        ),
        **tree.common(),
    }


def _project(tree: Tree, repository: str) -> dict[str, Any]:
    """What the two applications may do, and no more: their kinds, in their namespaces.

    A release may have objects in another namespace than its own: Velero reads only its own.
    """
    spaces = {one["metadata"]["namespace"] for one in tree.release.objects}
    kinds = {(_group(one["apiVersion"]), one["kind"]) for one in tree.release.objects}
    kinds.add(("bitnami.com", "SealedSecret"))
    return {
        "apiVersion": _API,
        "kind": "AppProject",
        "metadata": {"name": tree.id, "namespace": _ARGOCD},
        "spec": {
            "description": f"The deployment {tree.release.stack.target.id}.",
            "sourceRepos": [repository],
            "destinations": [
                {"server": _HERE, "namespace": space}
                for space in sorted({tree.release.namespace, *spaces})
            ],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
            "namespaceResourceWhitelist": [
                {"group": group, "kind": kind} for group, kind in sorted(kinds)
            ],
        },
    }


def _application(
    tree: Tree, name: str, source: dict[str, Any], ignored: list[dict[str, Any]]
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "project": tree.id,
        "source": source,
        "destination": {"server": _HERE, "namespace": tree.release.namespace},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": [
                "ServerSideApply=true",
                "ApplyOutOfSyncOnly=true",
                "PruneLast=true",
                "FailOnSharedResource=true",
                "RespectIgnoreDifferences=true",
            ],
            "retry": _RETRY,
        },
    }
    if ignored:
        spec["ignoreDifferences"] = ignored
    metadata = {"name": name, "namespace": _ARGOCD}
    return {"apiVersion": _API, "kind": "Application", "metadata": metadata, "spec": spec}


def _ignored(tree: Tree) -> list[dict[str, Any]]:
    replicas = [
        {
            "group": "apps",
            "kind": kind,
            "name": name,
            "namespace": tree.release.namespace,
            "jsonPointers": ["/spec/replicas"],
        }
        for kind, name in tree.scaled
    ]
    claims = [
        {"group": "apps", "kind": "StatefulSet", "jqPathExpressions": _CLAIMS}
        for one in tree.release.objects
        if one["kind"] == "StatefulSet" and one["spec"].get("volumeClaimTemplates")
    ]
    return [*replicas, *claims[:1]]


def _group(version: str) -> str:
    group, slash, _ = version.partition("/")
    return group if slash else ""

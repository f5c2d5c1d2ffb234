"""The repository as Flux reads it: Kustomizations in order, and in the last one a HelmRelease."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabular.deploy.export.yaml_text import as_yaml
from tabular.deploy.onprem.export.release import VALUES
from tabular.deploy.onprem.export.waiting import in_vain, running
from tabular.deploy.onprem.names import CHART_NAME
from tabular.deploy.stack import Stack

from .tree import BASE, CHART_PATH, Tree, readme

_FLUX = "flux-system"
_KUSTOMIZE = "kustomize.config.k8s.io/v1beta1"
_INTERVAL = "10m"
_TIMEOUT = "15m"
_NAMES = "names.yaml"
_START = """\
Flux finds `{cluster}/` by itself if it was set up with `--path=clusters/{environment}`; for a Flux
that knows nothing of this repository yet:

    flux bootstrap git --url={url} --branch={branch} \\
      --path=clusters/{environment}

Its secret `flux-system` has what the repository is read with.

Then push, and see:

    flux get kustomizations {id} {id}-infrastructure
    flux get helmreleases --namespace {namespace}
"""
_NO_WAITING = """
The volume of the backups is bound when the first one is made, and Helm would wait for it. So it
waits for nothing here: the Kustomization `{id}` tells whether all pods came up, and an update that
does not come up is not taken back by itself (`git revert`). With `backup.destination` there is no
such volume, and Flux goes back.
"""


def flux(stack: Stack) -> dict[str, bytes]:
    """The files.

    Raises:
        EngineError: the chart refuses the values.
    """
    tree = Tree.of(stack)
    source = tree.id if tree.repository else _FLUX
    start = _START.format(
        cluster=tree.cluster,
        environment=tree.release.environment,
        id=tree.id,
        namespace=tree.release.namespace,
        url=tree.repository or "URL",
        branch=tree.branch,
    )
    if in_vain(tree.release):
        start += _NO_WAITING.format(id=tree.id)
    files = {
        f"{tree.cluster}/README.md": readme(tree, "Flux", start),
        f"{tree.cluster}/infrastructure.yaml": as_yaml(
            _kustomization(f"{tree.id}-infrastructure", source, tree.infrastructure)
        ),
        f"{tree.cluster}/release.yaml": as_yaml(_applied(tree, source)),
        f"{BASE}/kustomization.yaml": as_yaml(_resources(["release.yaml"])),
        f"{BASE}/release.yaml": as_yaml(_release()),
        f"{tree.overlay}/kustomization.yaml": as_yaml(_overlay(tree, source)),
        f"{tree.overlay}/{_NAMES}": as_yaml(_names()),
        **tree.common(),
    }
    if tree.repository:
        files[f"{tree.cluster}/source.yaml"] = as_yaml(_source(tree))
    return dict(sorted(files.items()))


def _source(tree: Tree) -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": tree.id, "namespace": _FLUX},
        "spec": {
            "interval": "1m",
            "url": tree.repository,
            "ref": {"branch": tree.branch},
            "secretRef": {"name": _FLUX},
        },
    }


def _applied(tree: Tree, source: str) -> dict[str, Any]:
    """What applies the release; where Helm must not wait, it waits for all that has pods."""
    made = _kustomization(tree.id, source, tree.overlay)
    made["spec"]["dependsOn"] = [{"name": f"{tree.id}-infrastructure"}]
    if in_vain(tree.release):
        del made["spec"]["wait"]  # with it the objects that are named are not looked at
        made["spec"]["healthChecks"] = [
            {
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "name": tree.release.name,
                "namespace": tree.release.namespace,
            },
            *(
                {"apiVersion": one["apiVersion"], "kind": one["kind"], **_place(one)}
                for one in running(tree.release)
            ),
        ]
    return made


def _place(one: Mapping[str, Any]) -> dict[str, str]:
    return {key: one["metadata"][key] for key in ("name", "namespace")}


def _kustomization(name: str, source: str, path: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "interval": _INTERVAL,
        "retryInterval": "1m",
        "timeout": _TIMEOUT,
        "path": f"./{path}",
        "prune": True,
        "wait": True,
        "sourceRef": {"kind": "GitRepository", "name": source},
    }
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": _FLUX},
        "spec": spec,
    }


def _release() -> dict[str, Any]:
    """The release without what each overlay says: name, values, and what scales by itself."""
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": CHART_NAME},
        "spec": {
            "interval": _INTERVAL,
            "timeout": _TIMEOUT,
            "chart": {
                "spec": {
                    "chart": f"./{CHART_PATH}",
                    # The chart is pinned by the commit, and a change of it is one of the release.
                    "reconcileStrategy": "Revision",
                    "sourceRef": {"kind": "GitRepository", "name": _FLUX, "namespace": _FLUX},
                }
            },
            "install": {"remediation": {"retries": 3}},
            "upgrade": {
                "remediation": {
                    "retries": 3,
                    "remediateLastFailure": True,
                    "strategy": "rollback",
                }
            },
            "rollback": {"timeout": _TIMEOUT},
            "driftDetection": {"mode": "enabled"},
            "valuesFrom": [{"kind": "ConfigMap", "name": "values"}],
        },
    }


def _overlay(tree: Tree, source: str) -> dict[str, Any]:
    release = tree.release
    changes: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/name", "value": release.name},
        {"op": "add", "path": "/spec/releaseName", "value": release.name},
        {"op": "replace", "path": "/spec/chart/spec/sourceRef/name", "value": source},
    ]
    if tree.scaled:
        ignored = [
            {"paths": ["/spec/replicas"], "target": {"kind": kind, "name": name}}
            for kind, name in tree.scaled
        ]
        changes.append({"op": "add", "path": "/spec/driftDetection/ignore", "value": ignored})
    if in_vain(tree.release):
        changes += [
            {"op": "add", "path": f"/spec/{what}/disableWait", "value": True}
            for what in ("install", "upgrade", "rollback")
        ]
    up = "/".join([".."] * (tree.overlay.count("/")))
    return {
        **_resources([f"{up}/base"]),
        "namespace": release.namespace,
        "configurations": [_NAMES],
        "configMapGenerator": [{"name": "values", "files": [VALUES]}],
        "patches": [
            {
                "target": {"kind": "HelmRelease", "name": CHART_NAME},
                "options": {"allowNameChange": True},
                "patch": as_yaml(changes).decode(),
            }
        ],
    }


def _resources(names: list[str]) -> dict[str, Any]:
    return {"apiVersion": _KUSTOMIZE, "kind": "Kustomization", "resources": names}


def _names() -> dict[str, Any]:
    """Where a HelmRelease names a config map, whose name changes with its content."""
    field = {"path": "spec/valuesFrom/name", "kind": "HelmRelease"}
    return {"nameReference": [{"kind": "ConfigMap", "version": "v1", "fieldSpecs": [field]}]}

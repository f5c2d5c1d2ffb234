"""The export of what runs is what runs: applied over it, it changes no pod."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabular.deploy.export import Source, exported
from tests.deploy.onprem.export.made import put
from tests.deploy.onprem.export.test_k8s import shell
from tests.deploy.onprem.harness import describe, provider_at
from tests.testbed.kube.cluster import Kube

pytestmark = [pytest.mark.k8s, pytest.mark.slow]


@pytest.mark.parametrize("method", ["helm", "manifests"])
def test_applied_over_what_runs_it_changes_nothing(
    method: str, kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    provider = provider_at(kube.kubeconfig, kube_namespace)
    spec = describe(kube_namespace, "demo", method, compute={"workers": 2})
    stack = provider.compile(spec)
    for _ in provider.engine.apply(provider.engine.preview(stack)):
        pass
    source = Source("onprem", spec, lambda: provider, provider.target(spec))
    folder = put(exported(source, "k8s").files, tmp_path / "k8s")
    config = {"KUBECONFIG": str(kube.kubeconfig)}
    dry = shell("kubectl apply -k . --dry-run=server", folder, **config)
    assert "created" not in dry
    assert "deployment.apps/demo-api" in dry
    kinds = ("deployments", "statefulsets")
    paths = [f"/apis/apps/v1/namespaces/{kube_namespace}/{kind}" for kind in kinds]
    before = {one["metadata"]["name"]: one for path in paths for one in kube.list(path)}
    shell("kubectl apply -k .", folder, **config)
    after = {one["metadata"]["name"]: one for path in paths for one in kube.list(path)}
    assert before.keys() == after.keys() >= {"demo-api", "demo-worker"}
    for name, one in after.items():
        assert one["spec"] == before[name]["spec"], name

    configuration = exported(source, "terraform").files
    adopts = b"helm_release.this" in configuration["imports.tf"]
    takes_over = b"take_ownership" in configuration["main.tf"]
    assert (adopts, takes_over) == (method == "helm", method == "manifests")

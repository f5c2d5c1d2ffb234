"""The tree of a repository: what the controllers read in it holds together, and no secret is in it.

Neither controller can run here: their objects are held to models made of their CRDs, kustomize is
the real one, and the chart is rendered as both render it, from the tree and with its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.export import FORMATS
from tabular.deploy.onprem.export.release import Release
from tabular.deploy.onprem.rendered.library import helm
from tabular.deploy.onprem.rendered.rendering import objects_of
from tabular.deploy.stack import Stack
from tabular.errors import UsageError
from tests.deploy.onprem.export.made import (
    NAMESPACE,
    REPOSITORY,
    SPECS,
    deployment,
    kustomized,
    put,
    read,
    stack,
)
from tests.deploy.onprem.export.test_k8s import shell
from tests.testbed.custom import invalid

FLAVOURS = ("gitops/argocd", "gitops/flux")
CHART = "apps/base/inferloop-tabular/"
Files = Mapping[str, bytes]


def tree(flavour: str, name: str = "large") -> Files:
    return FORMATS[flavour](stack(name))


def objects(files: Files) -> list[dict[str, Any]]:
    """What a controller or a server reads in the tree."""
    return [
        read(text)
        for name, text in files.items()
        if name.endswith(".yaml") and not name.startswith(CHART) and b"\nkind: " in text
    ]


def only(found: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    (one,) = (
        one
        for one in found
        if one["kind"] == kind and name in (None, one.get("metadata", {}).get("name"))
    )
    return one


def rendered(chart: Path, values: Any, name: str = "demo") -> list[dict[str, Any]]:
    """The objects that Helm makes of a folder with a chart, for 1.30 if the values name none."""
    given = {"kubeVersion": "1.30", **values}
    files = helm().Chart.load(chart).render(given, name=name, namespace=NAMESPACE)
    return [
        one
        for file, text in files.items()
        if not file.endswith("NOTES.txt")
        for one in objects_of(text)
        if "helm.sh/hook" not in one["metadata"].get("annotations", {})
    ]


def deployed(name: str) -> list[dict[str, Any]]:
    """The objects that a deploy makes, without the namespace that Helm puts in later."""
    return [
        {**one, "metadata": {k: v for k, v in one["metadata"].items() if k != "namespace"}}
        for one in Release.of(stack(name)).objects
    ]


def in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


def without_namespace(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in found:
        one["metadata"].pop("namespace", None)
    return found


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_controllers_objects_are_valid(flavour: str) -> None:
    assert invalid(objects(tree(flavour))) == []


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", SPECS)
def test_no_secret_is_in_the_tree(flavour: str, name: str) -> None:
    files = tree(flavour, name)
    assert not any(one["kind"] == "Secret" for one in objects(files))
    (readme,) = (
        text for file, text in files.items() if file.endswith("README.md") and CHART not in file
    )
    assert b"demo-secrets" in readme


def test_argo_cd_renders_what_a_deploy_applies(tmp_path: Path) -> None:
    files = tree("gitops/argocd")
    folder = put(files, tmp_path)
    release = only(objects(files), "Application", "demo-production")
    source = release["spec"]["source"]
    assert f"{source['path']}/" == CHART
    assert (source["repoURL"], source["targetRevision"]) == (REPOSITORY, "main")
    (values,) = source["helm"]["valueFiles"]
    assert values.startswith("/"), "from the root of the repository"
    made = rendered(
        folder / CHART, read((folder / values[1:]).read_bytes()), name=source["helm"]["releaseName"]
    )
    assert in_order(without_namespace(made)) == in_order(deployed("large"))
    assert release["spec"]["destination"]["namespace"] == NAMESPACE
    assert release["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}


def test_argo_cds_project_lets_in_what_is_made_and_nothing_else() -> None:
    files = tree("gitops/argocd")
    project = only(objects(files), "AppProject")["spec"]
    allowed = {(one["group"], one["kind"]) for one in project["namespaceResourceWhitelist"]}
    groups = {(one["apiVersion"].rpartition("/")[0], one["kind"]) for one in deployed("large")}
    assert allowed == groups | {("bitnami.com", "SealedSecret")}
    assert project["sourceRepos"] == [REPOSITORY]
    assert [one["namespace"] for one in project["destinations"]] == [NAMESPACE]
    for one in objects(files):
        if one["kind"] == "Application":
            assert one["spec"]["project"] == "demo-production"
            path = one["spec"]["source"]["path"]
            assert any(name.startswith(f"{path}/") for name in files)


def with_backups(**onprem: Any) -> Stack:
    return compile_stack(deployment({"backup": {"enabled": True}}, **onprem))


def test_argo_cds_project_lets_in_what_lies_in_the_namespace_of_velero() -> None:
    made = with_backups(operators=["velero"])
    found = {one["metadata"]["namespace"] for one in Release.of(made).objects}
    assert found == {NAMESPACE, "velero"}
    project = only(objects(FORMATS["gitops/argocd"](made)), "AppProject")
    assert invalid([project]) == []
    assert {one["namespace"] for one in project["spec"]["destinations"]} == found


@pytest.mark.parametrize(
    "spec",
    [
        {"backup": {"enabled": True}},
        {"storage": {"type": "nfs", "size": "10Gi"}, "onprem": {"storage_class": "nfs"}},
    ],
)
def test_no_controller_prunes_a_volume_that_leaves_the_release(spec: Mapping[str, Any]) -> None:
    """Argo CD keeps what Helm is to keep when the whole Application goes, and prunes it before."""
    found = Release.of(compile_stack(deployment(spec))).objects
    (claim,) = (one for one in found if one["kind"] == "PersistentVolumeClaim")
    kept = {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
    assert kept.items() <= claim["metadata"]["annotations"].items()


def test_argo_cd_does_not_wait_for_the_volume_of_the_first_backup() -> None:
    (claim,) = (
        one for one in Release.of(with_backups()).objects if one["kind"] == "PersistentVolumeClaim"
    )
    assert claim["metadata"]["annotations"]["argocd.argoproj.io/ignore-healthcheck"] == "true"


def test_flux_does_not_let_helm_wait_for_the_volume_of_the_first_backup(tmp_path: Path) -> None:
    files = FORMATS["gitops/flux"](with_backups())
    assert invalid(objects(files)) == []
    release = only(
        kustomized(put(files, tmp_path) / "apps/overlays/development/demo"), "HelmRelease"
    )
    assert invalid([release]) == []
    for what in ("install", "upgrade", "rollback"):
        assert release["spec"][what]["disableWait"] is True
    applied = only(objects(files), "Kustomization", "demo-development")["spec"]
    assert "wait" not in applied, "Flux would not look at what is named"
    looked_at = {(one["kind"], one["name"], one["namespace"]) for one in applied["healthChecks"]}
    pods = {"Deployment", "StatefulSet"}
    running = [one for one in Release.of(with_backups()).objects if one["kind"] in pods]
    assert looked_at == {
        ("HelmRelease", "demo", NAMESPACE),
        *((one["kind"], one["metadata"]["name"], NAMESPACE) for one in running),
    }
    assert b"is not taken back by itself" in files["clusters/development/demo/README.md"]


@pytest.mark.parametrize("name", SPECS)
def test_flux_waits_where_every_volume_has_its_pod(name: str, tmp_path: Path) -> None:
    files = tree("gitops/flux", name)
    overlay = Release.of(stack(name)).environment
    built = kustomized(put(files, tmp_path) / f"apps/overlays/{overlay}/demo")
    spec = only(built, "HelmRelease")["spec"]
    assert not any("disableWait" in (spec.get(one) or {}) for one in ("install", "upgrade"))
    applied = only(objects(files), "Kustomization", f"demo-{overlay}")["spec"]
    assert applied["wait"] is True


def test_a_volume_that_the_service_itself_has_is_waited_for() -> None:
    made = compile_stack(
        deployment({"storage": {"type": "local", "size": "10Gi"}}, storage_class="local-path")
    )
    found = [one for one in Release.of(made).objects if one["kind"] == "PersistentVolumeClaim"]
    assert found, "the test needs one"
    files = FORMATS["gitops/flux"](made)
    applied = only(objects(files), "Kustomization", "demo-development")["spec"]
    assert applied["wait"] is True


def test_what_scales_by_itself_is_no_drift() -> None:
    argocd = only(objects(tree("gitops/argocd")), "Application", "demo-production")
    (replicas, claims) = argocd["spec"]["ignoreDifferences"]
    assert (replicas["kind"], replicas["name"]) == ("Deployment", "demo-api")
    assert replicas["jsonPointers"] == ["/spec/replicas"]
    assert claims["kind"] == "StatefulSet"
    small = only(objects(tree("gitops/argocd", "external")), "Application", "demo-development")
    assert "ignoreDifferences" not in small["spec"]


def test_flux_installs_what_a_deploy_applies(tmp_path: Path) -> None:
    files = tree("gitops/flux")
    folder = put(files, tmp_path)
    found = objects(files)
    applied = only(found, "Kustomization", "demo-production")["spec"]
    before = only(found, "Kustomization", "demo-production-infrastructure")["spec"]
    assert applied["dependsOn"] == [{"name": "demo-production-infrastructure"}]
    assert (folder / before["path"] / "namespace.yaml").is_file()
    built = kustomized(folder / applied["path"])
    release, values = only(built, "HelmRelease"), only(built, "ConfigMap")
    assert invalid([release]) == []
    spec = release["spec"]
    assert spec["valuesFrom"] == [{"kind": "ConfigMap", "name": values["metadata"]["name"]}]
    assert release["metadata"]["namespace"] == values["metadata"]["namespace"] == NAMESPACE
    assert f"{spec['chart']['spec']['chart']}/" == f"./{CHART}"
    source = only(found, "GitRepository")
    assert source["spec"]["url"] == REPOSITORY
    assert source["spec"]["ref"] == {"branch": "main"}
    named = spec["chart"]["spec"]["sourceRef"], applied["sourceRef"], before["sourceRef"]
    assert {one["name"] for one in named} == {source["metadata"]["name"]}
    made = rendered(
        folder / CHART, read(values["data"]["values.yaml"].encode()), spec["releaseName"]
    )
    assert in_order(without_namespace(made)) == in_order(deployed("large"))
    assert spec["driftDetection"]["ignore"] == [
        {"paths": ["/spec/replicas"], "target": {"kind": "Deployment", "name": "demo-api"}}
    ]
    assert spec["upgrade"]["remediation"]["strategy"] == "rollback"


def test_other_values_are_another_config_map(tmp_path: Path) -> None:
    """So that Flux upgrades the release at once."""
    names = []
    for number, workers in enumerate((1, 2)):
        spec = {"compute": {"workers": workers}}
        made = FORMATS["gitops/flux"](compile_stack(deployment(spec)))
        folder = put(made, tmp_path / str(number))
        built = kustomized(folder / "apps/overlays/development/demo")
        names.append(only(built, "ConfigMap")["metadata"]["name"])
    assert names[0] != names[1]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_names_of_the_controllers_objects_are_labels_too(flavour: str) -> None:
    """Flux applies nothing of a Kustomization whose name is longer (fluxcd/flux2, issue 2004)."""
    kinds = ("Kustomization", "GitRepository", "Application", "AppProject")
    names = []
    for environment in ("e" * 58, "e" * 57 + "x"):
        found = objects(FORMATS[flavour](compile_stack(deployment({"environment": environment}))))
        own = [one for one in found if one["kind"] in kinds and "metadata" in one]
        names.append({one["metadata"]["name"] for one in own})
        assert max(len(name) for name in names[-1]) == 63
    assert not names[0] & names[1]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_namespace_is_never_pruned(flavour: str) -> None:
    annotations = only(objects(tree(flavour)), "Namespace")["metadata"]["annotations"]
    assert annotations == {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_deployments_and_environments_share_a_repository(flavour: str) -> None:
    one, other = (
        FORMATS[flavour](compile_stack(deployment({"environment": name})))
        for name in ("staging", "production")
    )
    shared = {name for name in one if name in other}
    assert all(name.startswith("apps/base/") for name in shared)
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
    assert f"{CHART}Chart.yaml" in shared


def without_repository() -> Stack:
    return compile_stack(deployment({}, gitops=None))


def test_argo_cd_has_to_be_told_the_repository() -> None:
    with pytest.raises(UsageError) as caught:
        FORMATS["gitops/argocd"](without_repository())
    assert caught.value.where == "spec.onprem.gitops.repository"


def test_flux_takes_its_own_repository_if_none_is_told(tmp_path: Path) -> None:
    files = FORMATS["gitops/flux"](without_repository())
    assert not any(one["kind"] == "GitRepository" for one in objects(files))
    assert only(objects(files), "Kustomization", "demo-development")["spec"]["sourceRef"] == {
        "kind": "GitRepository",
        "name": "flux-system",
    }


def test_an_operator_that_makes_the_secret_leaves_nothing_to_make() -> None:
    vault = {"enabled": True, "store": {"name": "vault"}, "path": "apps/demo"}
    spec = {"overrides": {"onprem": {"values": {"externalSecrets": vault}}}}
    made = compile_stack(deployment(spec, operators=["external-secrets"]))
    assert only(list(Release.of(made).objects), "ExternalSecret")
    files = FORMATS["gitops/argocd"](made)
    readme = files["clusters/development/demo/README.md"].decode()
    assert "made by the External" in readme
    assert "kubectl create secret generic demo-secrets" not in readme


def test_the_command_of_the_readme_prints_a_secret_with_every_key(tmp_path: Path) -> None:
    """All of it but the sealing, for which the public key of a cluster is needed."""
    readme = tree("gitops/argocd")["clusters/production/demo/README.md"].decode()
    _, mark, rest = readme.partition("\n    openssl version >/dev/null && kubectl create secret")
    command = mark + rest.partition("| kubeseal")[0].rstrip(" \\\n")
    made = read(shell(command, tmp_path).encode())
    needed = Release.of(stack("large")).needed
    assert set(made["data"]) == {one.key for one in needed}
    assert made["metadata"] == {"name": "demo-secrets", "namespace": NAMESPACE}
    # Where there is no openssl, every generated key would be empty, and the secret be made.
    with pytest.raises(AssertionError, match="openssl"):
        shell(command.replace("openssl", "no-openssl"), tmp_path)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_same_deployment_gives_the_same_bytes(flavour: str) -> None:
    again = compile_stack(deployment(SPECS["large"]))
    assert FORMATS[flavour](again) == tree(flavour)

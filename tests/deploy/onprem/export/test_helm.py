"""The chart and the values: what Helm makes of the folder is what a deploy applies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.export import FORMATS
from tabular.deploy.onprem.names import CHART
from tests.deploy.onprem.export.made import SPECS, deployment, files, put, read, stack
from tests.deploy.onprem.export.test_gitops import deployed, in_order, rendered, without_namespace
from tests.deploy.onprem.export.test_k8s import commands, shell
from tests.testbed.helm import helm_program
from tests.testbed.kube.cluster import Kube

FOLDER = "inferloop-tabular"


@pytest.mark.parametrize("name", SPECS)
def test_the_folder_renders_what_a_deploy_applies(name: str, tmp_path: Path) -> None:
    made = files(name, "helm")
    folder = put(made, tmp_path)
    version = stack(name).template["kubeVersion"] or "1.30"
    values = {**read(made["values.yaml"]), "kubeVersion": version}
    found = rendered(folder / FOLDER, values)
    assert in_order(without_namespace(found)) == in_order(deployed(name))


def test_the_chart_is_ours_to_the_byte() -> None:
    made = files("small", "helm")
    for name, content in made.items():
        if name.startswith(f"{FOLDER}/"):
            assert content == (CHART / name.removeprefix(f"{FOLDER}/")).read_bytes()
    assert f"{FOLDER}/values.schema.json" in made
    assert not any("__pycache__" in name for name in made)


def test_the_values_have_what_the_template_has_and_name_the_secret() -> None:
    values = read(files("large", "helm")["values.yaml"])
    assert values == {**stack("large").template["values"], "secrets": values["secrets"]}
    assert values["secrets"]["existingSecret"] == "demo-secrets"


BACKUPS = {"backup": {"enabled": True}, "onprem": {"kubernetes_version": "1.20"}}


@pytest.mark.k8s
@pytest.mark.slow
def test_the_commands_of_the_readme_install_it_although_no_backup_binds_its_volume(
    kube: Kube, kube_namespace: str, tmp_path: Path
) -> None:
    """By Helm 3, on a class whose volumes wait for their first pod, and once more."""
    made = FORMATS["helm"](
        compile_stack(deployment(BACKUPS, namespace=kube_namespace, storage_class="standard"))
    )
    folder, readme = put(made, tmp_path), made["README.md"]
    config = {"KUBECONFIG": str(kube.kubeconfig)}
    secrets = commands(readme, "Secrets").removeprefix(f"kubectl create namespace {kube_namespace}")
    shell(secrets, folder, **config)
    for _ in range(2):
        shell(commands(readme, "Install, and upgrade"), folder, tools=(helm_program(),), **config)
    claim = f"/api/v1/namespaces/{kube_namespace}/persistentvolumeclaims/demo-backup"
    assert kube.api("GET", claim)["status"]["phase"] == "Pending", "the test needs one"


def test_what_runs_without_helm_is_taken_over() -> None:
    made = stack("small")
    running = replace(made, ids={"a": "b"}, template={**made.template, "method": "manifests"})
    readme = FORMATS["helm"](running)["README.md"].decode()
    assert "--values values.yaml --take-ownership --wait" in readme
    assert "take" not in FORMATS["helm"](replace(made, ids={"a": "b"}))["README.md"].decode()


def test_the_readme_has_the_one_command() -> None:
    readme = FORMATS["helm"](stack("small"))["README.md"].decode()
    assert (
        f"    helm upgrade --install demo ./{FOLDER} --namespace synth \\\n"
        "      --values values.yaml --wait --timeout 15m\n"
    ) in readme

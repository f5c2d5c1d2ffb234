"""The chart and the values: what Helm makes of the folder is what a deploy applies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabular.deploy.onprem.export import FORMATS
from tabular.deploy.onprem.names import CHART
from tests.deploy.onprem.export.made import SPECS, files, put, read, stack
from tests.deploy.onprem.export.test_gitops import deployed, in_order, rendered, without_namespace

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


def test_the_readme_has_the_one_command() -> None:
    readme = FORMATS["helm"](stack("small"))["README.md"].decode()
    assert (
        f"    helm upgrade --install demo ./{FOLDER} --namespace synth \\\n"
        "      --values values.yaml --wait --timeout 15m\n"
    ) in readme

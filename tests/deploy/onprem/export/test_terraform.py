"""The configuration, by the real terraform against the real providers' schemas.

The bed has the schema of the provider for Helm with a block where version 3 has an attribute, so
that is written as a block there, and it cannot import; everything else runs as it is exported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.export.terraform import PROVIDERS, terraform
from tests.deploy.onprem.export.made import deployment, files, put, stack
from tests.testbed.terraform import Terraform, terraform_mirror


@pytest.fixture(scope="module")
def helm_terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return terraform_mirror(tmp_path_factory.mktemp("terraform"), ("helm", "kubernetes"))


def stand_in(made: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as the bed's provider can take them."""
    before, mark, after = made["versions.tf"].decode().partition('provider "helm" {\n  kubernetes ')
    assert mark and after.startswith("= {\n")
    return {**made, "versions.tf": f"{before}{mark}{after.removeprefix('= ')}".encode()}


def planned(terraform: Terraform, folder: Path) -> dict[str, Any]:
    """What a plan says of each resource, by address."""
    done = terraform.run(folder, "plan", "-input=false", "-out=plan")
    assert done.returncode == 0, done.stdout
    shown = terraform.run(folder, "show", "-json", "plan")
    return {one["address"]: one["change"] for one in json.loads(shown.stdout)["resource_changes"]}


@pytest.mark.parametrize("name", ["small", "external"])
def test_it_is_written_as_terraform_formats_it(
    name: str, helm_terraform: Terraform, tmp_path: Path
) -> None:
    folder = put(files(name, "terraform"), tmp_path)
    done = helm_terraform.run(folder, "fmt", "-check", "-diff")
    assert done.returncode == 0, done.stdout


def test_the_providers_are_those_that_this_is_tested_with(helm_terraform: Terraform) -> None:
    for name, version in helm_terraform.versions.items():
        assert PROVIDERS[name].startswith(f">= {version.rpartition('.')[0]},")


@pytest.mark.slow
def test_a_plan_makes_the_release_in_its_namespace(
    helm_terraform: Terraform, tmp_path: Path
) -> None:
    made = files("large", "terraform")
    folder = put(stand_in(made), tmp_path)
    for words in (("init", "-input=false"), ("validate",)):
        done = helm_terraform.run(folder, *words)
        assert done.returncode == 0, done.stdout
    (folder / "imports.tf").unlink()
    changes = planned(helm_terraform, folder)
    assert {address: one["actions"] for address, one in changes.items()} == {
        "helm_release.this": ["create"],
        "kubernetes_namespace_v1.this": ["create"],
    }
    release = changes["helm_release.this"]["after"]
    assert release["values"] == [made["values.yaml"].decode()]
    assert (folder / release["chart"] / "Chart.yaml").read_bytes() == made[
        "inferloop-tabular/Chart.yaml"
    ]
    for words in (("apply", "-auto-approve", "plan"), ("plan", "-detailed-exitcode")):
        done = helm_terraform.run(folder, *words)
        assert done.returncode == 0, done.stdout


def test_terraform_does_not_wait_for_the_volume_of_the_first_backup() -> None:
    backups = terraform(compile_stack(deployment({"backup": {"enabled": True}})))
    assert re.search(r"wait +=  *false\n", backups["main.tf"].decode())
    assert re.search(r"atomic +=  *false\n", backups["main.tf"].decode())
    assert "kubectl rollout status" in backups["README.md"].decode()
    small = files("small", "terraform")
    assert re.search(r"wait +=  *true\n", small["main.tf"].decode())
    assert "kubectl rollout" not in small["README.md"].decode()


def test_the_namespace_is_there_already_and_of_what_runs_the_release_too() -> None:
    running = replace(stack("small"), ids={"Deployment/demo-api": "some-uid"})
    described, both = files("small", "terraform")["imports.tf"], terraform(running)["imports.tf"]
    assert imported(described) == {"kubernetes_namespace_v1.this": "synth"}
    assert imported(both) == {**imported(described), "helm_release.this": "synth/demo"}


def imported(text: bytes) -> dict[str, str]:
    """Ids by address."""
    pattern = r'import {\n  to = (\S+)\n  id = "([^"]+)"\n}\n'
    return dict(re.findall(pattern, text.decode()))


def test_what_runs_without_helm_is_taken_from_its_owner() -> None:
    made = stack("small")
    running = replace(made, ids={"a": "b"}, template={**made.template, "method": "manifests"})
    text = terraform(running)["main.tf"].decode()
    assert re.search(r"take_ownership += true", text)
    assert "helm_release.this" not in terraform(running)["imports.tf"].decode()
    assert "take_ownership" not in files("small", "terraform")["main.tf"].decode()

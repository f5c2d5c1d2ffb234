"""Objects as files: valid for the version they are for, whole, without a secret."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.onprem.compile import compile_stack
from tabular.deploy.onprem.export import FORMATS
from tabular.deploy.onprem.rendered.rendering import render
from tests.deploy.onprem.export.made import (
    KUBECTL,
    NAMESPACE,
    SPECS,
    deployment,
    files,
    kustomized,
    put,
    read,
    stack,
)
from tests.testbed.kube.cluster import Kube
from tests.testbed.kube.schemas import invalid
from tests.testbed.venvs import venv

NO_OBJECTS = ("README.md", "kustomization.yaml", "secrets.env.example", "certificates.sh")


def objects(name: str) -> list[dict[str, Any]]:
    """What stands in the files of a spec."""
    return [read(text) for file, text in files(name, "k8s").items() if file not in NO_OBJECTS]


def by_id(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Objects by kind and name; two of the same are an error."""
    named = {f"{one['kind']}/{one['metadata']['name']}": one for one in found}
    assert len(named) == len(found)
    return named


@pytest.mark.parametrize("version", ["1.25", "1.30", "1.37"])
@pytest.mark.parametrize("name", ["small", "large", "external"])
def test_the_objects_are_valid_for_the_version_that_is_named(name: str, version: str) -> None:
    made = FORMATS["k8s"](compile_stack(deployment(SPECS[name], kubernetes_version=version)))
    found = [read(text) for file, text in made.items() if file not in NO_OBJECTS]
    assert invalid(found, version) == []
    assert version in made["README.md"].decode()


def test_an_old_version_has_the_kinds_that_it_knows() -> None:
    versions = {one["kind"]: one["apiVersion"] for one in objects("old")}
    assert versions["PodDisruptionBudget"] == "policy/v1beta1"
    newer = {one["kind"]: one["apiVersion"] for one in objects("small")}
    assert newer["PodDisruptionBudget"] == "policy/v1"


@pytest.mark.parametrize("name", SPECS)
def test_the_files_are_what_a_deploy_renders_and_no_secret(name: str) -> None:
    template = stack(name).template
    rendered = render(
        template["values"],
        name="demo",
        namespace=NAMESPACE,
        kube_version=template["kubeVersion"] or "1.30",
    )
    found = by_id(objects(name))
    assert found.pop(f"Namespace/{NAMESPACE}")["kind"] == "Namespace"
    assert found == by_id(list(rendered))
    assert not any(one["kind"] == "Secret" for one in found.values())


@pytest.mark.parametrize("name", ["small", "large"])
def test_kustomize_builds_the_same_objects(name: str, tmp_path: Path) -> None:
    built = kustomized(put(files(name, "k8s"), tmp_path))
    assert by_id(built) == by_id(objects(name))


@pytest.mark.parametrize("name", SPECS)
def test_the_same_deployment_gives_the_same_bytes(name: str) -> None:
    again = compile_stack(deployment(SPECS[name]))
    assert FORMATS["k8s"](again) == files(name, "k8s")


def shell(command: str, folder: Path, tools: Sequence[Path] = (), **variables: str) -> str:
    """Run a command of a README, with kubectl at hand, and other programs."""
    folders = (venv(KUBECTL), *(tool.parent for tool in tools))
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-euc", command],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(readme: bytes, section: str) -> str:
    """The commands of a section, as they stand there."""
    _, _, rest = readme.decode().partition(f"\n## {section}\n")
    lines = rest.partition("\n## ")[0].splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


def test_the_file_to_fill_in_is_one_that_kubectl_takes(tmp_path: Path) -> None:
    text = files("external", "k8s")["secrets.env.example"].decode()
    (tmp_path / "secrets.env").write_text(text.replace("=\n", "=filled\n"))
    made = shell(
        "kubectl create secret generic x --from-env-file=secrets.env --dry-run=client -o yaml",
        tmp_path,
    )
    assert set(read(made.encode())["data"]) == {
        *("admin-key", "database-url", "secret-key", "storage-access-key", "storage-secret-key")
    }


def test_the_script_of_the_certificate_says_what_openssl_says(tmp_path: Path) -> None:
    folder = put(files("large", "k8s"), tmp_path / "k8s")
    made = shell("sh certificates.sh --dry-run=client -o yaml", folder)
    assert set(read(made.encode())["data"]) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    tool = tmp_path / "bin" / "openssl"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\n[ "$1" != x509 ] || { echo "no such option" >&2; exit 1; }\n')
    tool.chmod(0o755)
    with pytest.raises(AssertionError, match="no such option"):
        shell("sh certificates.sh --dry-run=client -o yaml", folder, tools=(tool,))


def test_a_given_secret_that_nobody_gave_stops_the_command(tmp_path: Path) -> None:
    text = commands(files("external", "k8s")["README.md"], "Secrets")
    create = next(part for part in text.split("kubectl ") if part.startswith("create secret"))
    with pytest.raises(AssertionError, match="DATABASE_URL"):
        shell(f"kubectl {create.strip()} --dry-run=client", tmp_path)


@pytest.mark.k8s
@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "large"])
def test_the_commands_of_the_readme_deploy_it(name: str, own_kube: Kube, tmp_path: Path) -> None:
    """On a real server, whose nodes start no pod that lacks a key of a secret."""
    old = compile_stack(deployment(SPECS[name], kubernetes_version="1.20"))
    made = FORMATS["k8s"](old)
    folder = put(made, tmp_path)
    config = {"KUBECONFIG": str(own_kube.kubeconfig)}
    shell(commands(made["README.md"], "Secrets"), folder, **config)
    shell("kubectl apply -k .", folder, **config)
    running = [
        own_kube.path_of(one)
        for one in objects(name)
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    before = [own_kube.wait(path, _is_ready, timeout=90) for path in running]
    shell("kubectl apply -k .", folder, **config)
    after = [own_kube.api("GET", path) for path in running]
    assert [one["metadata"]["generation"] for one in after] == [
        one["metadata"]["generation"] for one in before
    ]
    shell("kubectl delete --filename service-demo-api.yaml && rm service-demo-api.yaml", folder,
          **config)  # fmt: skip
    assert own_kube.api.get(f"/api/v1/namespaces/{NAMESPACE}/services/demo-api") is None


def _is_ready(live: dict[str, Any]) -> bool:
    status, wanted = live.get("status", {}), live["spec"]["replicas"]
    return bool(status.get("readyReplicas", 0) == wanted)

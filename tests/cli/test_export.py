"""`export` as it is typed: the seed's lines, a flavour, and a check for CI."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli.command import Answer, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEED = EXAMPLES / "helm-values-prod.yaml"
SPEC = """
apiVersion: synthdata.inferloop.io/v1
kind: Deployment
metadata: {name: demo}
spec:
  provider: onprem
  environment: staging
  compute: {workers: 1}
  onprem:
    gitops: {repository: "https://git.example.com/team/deploy.git"}
"""


def export(home: Path, *words: str) -> Answer:
    return run("export", *words, home=home, cwd=home)


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return "spec.yaml"


def test_the_seeds_lines_export_its_values_file(tmp_path: Path) -> None:
    shutil.copy(SEED, tmp_path)
    for format, output in (("terraform", "infrastructure/"), ("k8s", "manifests/")):
        answer = export(tmp_path, SEED.name, "--format", format, "--output", output)
        assert answer.code == 0, answer.err
        listed = answer.out.splitlines()
        assert sorted(listed) == sorted(f"{output}{name}" for name in tree(tmp_path / output))
    assert (tmp_path / "infrastructure" / "main.tf").is_file()
    kustomization = yaml.safe_load((tmp_path / "manifests" / "kustomization.yaml").read_text())
    assert "statefulset-tabular-postgresql.yaml" in kustomization["resources"]
    for folder in ("infrastructure", "manifests"):
        for name, content in tree(tmp_path / folder).items():
            chart = name.startswith("inferloop-tabular/")
            assert chart or b"changeme" not in content, name


def test_a_format_of_another_provider_says_whose_it_is(tmp_path: Path) -> None:
    text = SPEC.partition("  onprem:")[0].replace("onprem", "standalone")
    (tmp_path / "spec.yaml").write_text(text)
    answer = export(tmp_path, "spec.yaml", "--format", "k8s")
    assert answer.code == 3
    assert "k8s is written for deployments on onprem, and this one is on standalone" in answer.err
    assert "compose" in answer.err and "swarm" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gitops"], "gitops comes in flavours: argocd, flux"),
        (["gitops", "--flavour", "flax"], "gitops has no flavour 'flax'"),
        (["k8s", "--flavour", "flux"], "k8s has no flavour 'flux'"),
        (["compose", "--flavour", "flux"], "compose has no flavour 'flux'"),
        (["k9s"], "there is no format 'k9s'"),
        (["k9s"], "cloudformation"),
        (["arm"], "the format arm is not in this version"),
        (["bicep"], "it comes with the provider azure"),
    ],
)
def test_a_format_or_flavour_that_there_is_not(
    words: list[str], said: str, spec: str, tmp_path: Path
) -> None:
    answer = export(tmp_path, spec, "--format", *words)
    assert answer.code == 2
    assert said in answer.err
    assert "hint:" in answer.err


def test_a_check_finds_what_differs_and_what_is_missing(spec: str, tmp_path: Path) -> None:
    words = (spec, "--format", "gitops", "--flavour", "argocd")
    assert export(tmp_path, *words, "--output", "repository").code == 0
    before = tree(tmp_path / "repository")
    clean = export(tmp_path, *words, "--check", "repository")
    assert (clean.code, clean.out) == (0, "")

    (tmp_path / spec).write_text(SPEC.replace("workers: 1", "workers: 2"))
    own = tmp_path / "repository" / "infrastructure" / "staging" / "demo"
    (own / "namespace.yaml").unlink()
    (own / "sealed-secret.yaml").write_text("ours: alone\n")
    found = export(tmp_path, *words, "--check", "repository")
    assert found.code == 1
    assert found.out.splitlines() == [
        "missing   repository/infrastructure/staging/demo/namespace.yaml",
        "different repository/apps/overlays/staging/demo/values.yaml",
    ]
    told = json.loads(export(tmp_path, *words, "--check", "repository", "--json").out)
    assert told == {
        "format": "gitops",
        "folder": "repository",
        "missing": ["infrastructure/staging/demo/namespace.yaml"],
        "different": ["apps/overlays/staging/demo/values.yaml"],
        "surplus": [],
    }
    after = {**before, "infrastructure/staging/demo/sealed-secret.yaml": b"ours: alone\n"}
    del after["infrastructure/staging/demo/namespace.yaml"]
    assert tree(tmp_path / "repository") == after, "a check writes nothing"


@pytest.mark.parametrize("format", ["helm", "terraform", "gitops"])
def test_a_template_of_another_release_is_not_deployed_in_silence(
    spec: str, tmp_path: Path, format: str
) -> None:
    flavour = ("--flavour", "flux") if format == "gitops" else ()
    words = (spec, "--format", format, *flavour)
    assert export(tmp_path, *words, "--output", "out").code == 0
    (chart,) = (path.parent for path in (tmp_path / "out").rglob("Chart.yaml"))
    old, mine = chart / "templates" / "old one.yaml", tmp_path / "out" / "mine.yaml"
    old.write_text("kind: ConfigMap\n")
    (chart / ".DS_Store").write_text("hidden")
    mine.write_text("beside it")
    before = tree(tmp_path / "out")
    name = old.relative_to(tmp_path).as_posix()
    found = export(tmp_path, *words, "--check", "out")
    assert (found.code, found.out) == (1, f"surplus   {name}\n")
    refused = export(tmp_path, *words, "--output", "out")
    assert refused.code == 1
    assert f"hint: rm '{name}'; " in refused.err
    assert tree(tmp_path / "out") == before
    old.unlink()
    assert export(tmp_path, *words, "--output", "out").code == 0


def test_a_check_of_a_folder_that_is_not_there_misses_everything(spec: str, tmp_path: Path) -> None:
    found = export(tmp_path, spec, "--format", "helm", "--check", "nowhere")
    assert found.code == 1
    assert all(line.startswith("missing ") for line in found.out.splitlines())


def test_a_check_that_would_write_is_refused(spec: str, tmp_path: Path) -> None:
    words = (spec, "--format", "helm", "--check", "a", "--output", "b")
    answer = export(tmp_path, *words)
    assert answer.code == 2
    assert "--check writes nothing" in answer.err
    assert not (tmp_path / "b").exists()


def test_what_a_deploy_would_be_refused_for_is_not_exported_either(tmp_path: Path) -> None:
    shutil.copy(SEED, tmp_path)
    words = (SEED.name, "--format", "k8s", "--output", "manifests")
    refused = export(tmp_path, *words, "--environment", "production")
    assert refused.code == 3
    assert "default-password at spec.monitoring.grafana.admin_password" in refused.err
    assert "warning production-backup" in refused.err
    assert not (tmp_path / "manifests").exists()

    warned = export(tmp_path, *words, "--json")
    assert warned.code == 0
    assert "warning default-password spec.monitoring.grafana.admin_password" in warned.err
    rules = {one["rule"]: one["blocks"] for one in warned.json["findings"]}
    assert rules == {"plaintext-secret": False, "default-password": False}


def test_the_policy_judges_what_deploys_and_not_what_only_looks(tmp_path: Path) -> None:
    text = SPEC.partition("  onprem:")[0].replace("onprem", "standalone")
    text = text.replace("staging", "production") + "  image: {repository: ours, tag: latest}\n"
    (tmp_path / "spec.yaml").write_text(text)
    for format in ("compose", "swarm"):
        answer = export(tmp_path, "spec.yaml", "--format", format, "--output", format)
        assert answer.code == 3
        assert "mutable-image at spec.image.tag" in answer.err
        assert not (tmp_path / format).exists()
    assert export(tmp_path, "spec.yaml", "--format", "alerts").code == 0


def test_a_file_without_a_region_is_told_alike_by_plan_and_export(tmp_path: Path) -> None:
    (tmp_path / "flat.yaml").write_text("provider: aws\nenvironment: production\n")
    planned = run("plan", "--config", "flat.yaml", home=tmp_path, cwd=tmp_path)
    exported = export(tmp_path, "flat.yaml", "--format", "cloudformation")
    assert (planned.code, planned.err) == (exported.code, exported.err)
    assert planned.code == 1
    assert planned.err.startswith("error spec.invalid flat.yaml:1:1: region: no region is named")
    assert "hint: `region: eu-west-1` in the file" in planned.err


def test_a_provider_that_there_is_not_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "flat.yaml").write_text("provider: nosuch\n")
    planned = run("plan", "--config", "flat.yaml", home=tmp_path, cwd=tmp_path)
    answer = export(tmp_path, "flat.yaml", "--format", "k8s")
    assert (planned.code, planned.err) == (answer.code, answer.err)
    assert answer.err.startswith("error usage.unknown-provider flat.yaml:1:11: no provider")


@pytest.mark.parametrize(("format", "file"), [("compose", "compose.yaml"), ("swarm", "stack.yaml")])
def test_containers_by_hand_go_with_any_provider(format: str, file: str, tmp_path: Path) -> None:
    spec = {"spec": {"compute": {"workers": 2}, "database": {"type": "postgresql"}}}
    head = {"apiVersion": "synthdata.inferloop.io/v1", "kind": "Deployment"}
    text = yaml.safe_dump({**head, "metadata": {"name": "demo"}, **spec})
    (tmp_path / "spec.yaml").write_text(text)
    answer = export(tmp_path, "spec.yaml", "--format", format, "--output", "out")
    assert answer.code == 0, answer.err
    services = yaml.safe_load((tmp_path / "out" / file).read_text())["services"]
    assert services["worker"]["deploy"]["replicas"] == 2

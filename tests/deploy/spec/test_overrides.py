"""Flags over the file: what they replace is told, what they contradict is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabular.deploy.spec import Overrides, canonical, explain, load, load_text
from tabular.errors import SpecError, UsageError
from tests.deploy.spec.files import EXAMPLES, PORTABLE, problems

AWS = PORTABLE + "spec: {provider: aws, environment: production, database: {ha: false}}\n"


def test_the_flags_of_a_production_deploy_agree_with_its_file() -> None:
    flags = Overrides(
        provider="aws",
        environment="production",
        region="us-east-1",
        enable_ha=True,
        enable_monitoring=True,
        enable_backup=True,
    )
    loaded = load(EXAMPLES / "aws-prod.yaml", flags)
    spec = loaded.deployment.spec
    assert (spec.region, spec.ha, spec.database.ha, spec.backup.enabled) == (
        "us-east-1",
        True,
        True,
        True,
    )
    assert loaded.notes == ()


def test_kubernetes_flags() -> None:
    flags = Overrides(
        provider="onprem",
        kubeconfig="~/.kube/config",
        namespace="synthdata-prod",
        storage_class="fast-ssd",
        method="helm",
        values=EXAMPLES / "helm-values-prod.yaml",
    )
    loaded = load(None, flags)
    onprem = loaded.deployment.spec.onprem
    assert (onprem.namespace, onprem.storage_class, onprem.kubeconfig, onprem.method) == (
        "synthdata-prod",
        "fast-ssd",
        "~/.kube/config",
        "helm",
    )
    assert loaded.form == "Helm values"
    assert "kubeconfig" not in str(canonical(loaded.deployment)), "it is about this machine"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (Overrides(provider="gcp"), "--provider says gcp, and f.yaml:3:18 says provider: aws"),
        (
            Overrides(environment="staging"),
            "--environment says staging, and f.yaml:3:36 says environment: production",
        ),
        (
            Overrides(sets=("spec.provider=gcp",)),
            "--set spec.provider says gcp, and f.yaml:3:18 says provider: aws",
        ),
        (
            Overrides(values=EXAMPLES / "helm-values-prod.yaml"),
            "says onprem, and f.yaml:3:18 says provider: aws",
        ),
    ],
)
def test_another_deployment_is_refused_and_both_places_named(flags: Overrides, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(AWS, "f.yaml", flags)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_helm_values_are_for_kubernetes() -> None:
    with pytest.raises(UsageError, match="Helm values are for Kubernetes"):
        load(EXAMPLES / "helm-values-prod.yaml", Overrides(provider="aws"))


def test_what_a_flag_replaces_is_told() -> None:
    loaded = load_text(AWS, "f.yaml", Overrides(enable_ha=True))
    assert loaded.deployment.spec.database.ha
    assert loaded.notes == ("--enable-ha replaces spec.database.ha in f.yaml:3:63",)
    rows = {row.key: row.origin for row in explain(loaded)}
    assert rows["spec.database.ha"] == rows["spec.ha"] == "--enable-ha"


def test_set_reads_values_as_the_file_would() -> None:
    flags = Overrides(
        sets=(
            "spec.compute.cpu=500m",
            "spec.compute.instances=2",
            'spec.database.version="14"',
            "spec.cache.type=redis",
            "spec.backup.enabled=true",
            "metadata.name=other",
        )
    )
    made = load(None, flags).deployment
    assert (str(made.spec.compute.cpu), made.spec.compute.instances) == ("0.5", 2)
    assert made.spec.database.version == "14"
    assert made.spec.cache is not None
    assert made.metadata.name == "other"
    assert made.spec.backup.enabled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spec.compute.cpus=1", "did you mean 'cpu'?"),
        ("compute.cpu=1", "not of the form spec.key=value"),
        ("spec.compute.cpu", "not of the form spec.key=value"),
        ("spec=1", "not of the form spec.key=value"),
        ("spec..cpu=1", "not of the form spec.key=value"),
        ("spec.compute.instances=" + "9" * 30, "too long"),
    ],
)
def test_wrong_sets(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, Overrides(sets=(text,)))
    assert said in str(caught.value)


def test_a_wrong_flag_is_named_in_place_of_a_line() -> None:
    found = problems(
        PORTABLE, Overrides(namespace="Bad Name", sets=("spec.compute.memory=16", "spec.region=1"))
    )
    assert found == [
        "--namespace spec.onprem.namespace: expected lower-case letters, digits and dashes, a "
        "letter first",
        "--set spec.compute.memory spec.compute.memory: a size needs a unit: write 16Gi or 16Mi",
        "--set spec.region spec.region: expected text (put it in quotes: 'spec.region=\"…\"')",
    ]


def test_values_are_laid_over_the_file(tmp_path: Path) -> None:
    values = tmp_path / "v.yaml"
    values.write_text("replicaCount: 5\nredis: {enabled: true}\n", encoding="utf-8")
    text = PORTABLE + "spec: {compute: {instances: 2, cpu: 4}}\n"
    loaded = load_text(text, "f.yaml", Overrides(values=values))
    spec = loaded.deployment.spec
    assert (spec.compute.instances, spec.compute.cpu, spec.provider) == (5, 4, "onprem")
    assert spec.cache is not None
    assert loaded.notes == (f"{values}:1:15 replaces spec.compute.instances in f.yaml:3:29",)


def test_a_wrong_values_file_is_named(tmp_path: Path) -> None:
    values = tmp_path / "v.yaml"
    values.write_text("replicaCount: five\nwrong: 1\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_text(PORTABLE, "f.yaml", Overrides(values=values))
    assert f"{values}:1:15: replicaCount: expected a whole number" in str(caught.value)
    assert f"{values}:2:1: wrong: unknown key" in str(caught.value)


def test_nothing_said_is_a_deployment_of_defaults() -> None:
    made = load(None).deployment
    assert made.metadata.name == "tabular"
    assert made.spec.environment == "development"
    assert canonical(made)["spec"] == {}


@pytest.mark.parametrize(
    "text",
    [
        "database.password: hunter2secret",
        "hunter2secret",
        "hunter2secret==",
        "spec.database: {password: hunter2secret}",
        "password: x=hunter2secret",
        "spec.database.password=hunter2secret",
        "spec.database.password='hunter2secret'",
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_never_said_again(text: str) -> None:
    overrides = Overrides(sets=(text,))
    with pytest.raises(UsageError) as caught:
        load(None, overrides)
    assert "hunter2secret" not in str(caught.value) + repr(overrides)
    assert caught.value.hint


def test_a_reference_to_a_secret_may_be_set() -> None:
    loaded = load(None, Overrides(sets=("spec.database.password=env:DB_PASSWORD",)))
    password = loaded.deployment.spec.database.password
    assert password is not None
    assert password.secret_ref == "env:DB_PASSWORD"


@pytest.mark.parametrize(
    "written",
    [
        "[hunter2secret]",
        "{a: hunter2secret}",
        "{secretRef: hunter2secret}",
        "!!binary hunter2secret",
    ],
)
def test_a_secret_in_the_wrong_shape_in_a_file_is_not_shown(written: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(PORTABLE + f"spec: {{database: {{password: {written}}}}}\n", "f.yaml")
    assert "hunter2secret" not in str(caught.value)


def test_a_flag_given_twice_and_a_flag_over_another_are_told() -> None:
    twice = Overrides(sets=("spec.compute.instances=2", "spec.compute.instances=3"))
    assert load(None, twice).notes == (
        "--set spec.compute.instances is given more than once: the last one counts",
    )
    over = Overrides(region="here", sets=("spec.region=there",))
    assert load(None, over).notes == ("--set spec.region replaces --region",)


def test_overrides_for_a_provider_that_nobody_knows_are_an_error() -> None:
    text = PORTABLE + "spec:\n  overrides: {aws: {x: 1}, awz: {y: 1}}\n"
    known = "known: aws, azure, gcp, onprem, standalone"
    assert problems(text) == [
        f"4:28 spec.overrides.awz: there is no provider 'awz' (did you mean 'aws'? {known})"
    ]
    (flag,) = problems(PORTABLE, Overrides(sets=("spec.overrides.awz.y=1",)))
    assert flag.startswith("--set spec.overrides.awz.y spec.overrides.awz: there is no provider")


def test_what_somebody_else_finds_wrong_is_told_by_line() -> None:
    text = PORTABLE + "spec:\n  overrides:\n    standalone: {port: 1}\n  region: here\n"
    loaded = load_text(text, "f.yaml", Overrides(name="mine"))
    places = {
        "spec.overrides.standalone.port": "f.yaml:5:18",
        "spec.overrides.standalone.port.deeper": "f.yaml:5:18",
        "spec.region": "f.yaml:6:3",
        "metadata.name": "--name",
    }
    for key, place in places.items():
        found = loaded.problem(key, "wrong")
        assert found is not None
        assert (found.place, found.key) == (place, key)
    assert loaded.problem("apiVersions", "wrong") is None

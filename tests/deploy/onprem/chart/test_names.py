"""Any name that a release may have will do, and Python and the chart call things the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabular.deploy.onprem import names
from tabular.deploy.onprem.rendered.rendering import render
from tabular.deploy.target import Target
from tests.deploy.onprem.chart import rules
from tests.deploy.onprem.chart.cases import CASES, NAME, NAMESPACE, merged
from tests.deploy.onprem.chart.rules import Object, called, labels_of, pods

LONGEST = 53  # of a release, by Helm
LONG = "l" + "o" * (LONGEST - 2) + "g"


def _named(name: str, case: str = "whole") -> tuple[Object, ...]:
    told = {
        "secrets": {"existingSecret": names.secret_name(name)},
        "tls": {"existingSecret": names.tls_secret_name(name)},
        "deployment": {"spec": {}},
        "serviceAccount": {"name": NAME},  # as the rules expect
    }
    return render(merged(CASES[case], told), name=name, namespace=NAMESPACE)


@pytest.mark.parametrize("case", CASES)
def test_the_longest_name_keeps_every_rule(case: str) -> None:
    broken = rules.broken(_named(LONG, case))
    assert [what for what in broken if case != "openshift" or "seccomp" not in what] == []


@settings(max_examples=20, deadline=None)
@given(st.from_regex(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?", fullmatch=True))
@example(LONG)
@example("a" * 39)
@example("a" * 40)
@example("a" * 28 + "-" * 11 + "b")
def test_python_calls_the_parts_as_the_chart_does(name: str) -> None:
    found = {called(one) for one in _named(name)}
    parts = {
        *("StatefulSet/postgresql", "StatefulSet/minio", "StatefulSet/prometheus"),
        *("CronJob/backup", "PersistentVolumeClaim/backup", "Service/worker-metrics"),
        *("Deployment/api", "Deployment/worker", "Service/api", "Deployment/redis"),
    }
    for part in parts:
        kind, _, component = part.partition("/")
        assert f"{kind}/{names.part_name(name, component)}" in found
    assert f"ConfigMap/{names.description_name(name)}" in found
    mounted = str([pod["spec"]["volumes"] for _, pod in pods(_named(name))])
    assert f"'{names.secret_name(name)}'" in mounted
    assert f"'{names.tls_secret_name(name)}'" in mounted


def test_names_that_begin_alike_stay_apart() -> None:
    one, other = "a" * 45 + "-one", "a" * 45 + "-two"
    assert names.part_name(one, "postgresql") != names.part_name(other, "postgresql")
    assert names.part_name("demo", "postgresql") == "demo-postgresql"


def test_labels_are_what_python_finds_things_by() -> None:
    for _, pod in pods(_named("demo")):
        assert labels_of(pod)[names.INSTANCE] == "demo"
        assert labels_of(pod)[names.NAME] == names.CHART_NAME
        assert labels_of(pod)[names.COMPONENT]
    for one in _named("demo"):
        assert one["metadata"]["labels"][names.MANAGED_BY]


def test_two_environments_have_two_namespaces() -> None:
    assert names.default_namespace("demo", "prod") == "demo-prod"
    long = names.default_namespace("a" * 60, "prod")
    assert len(long) <= 63
    assert long != names.default_namespace("a" * 60, "dev")
    target = Target(provider="onprem", name="demo", environment="dev", region="")
    assert names.namespace_of(target) == "demo-dev"

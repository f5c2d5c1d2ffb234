"""The rules hold for every way to run the chart, and each of them notices what it is about."""

from __future__ import annotations

import copy
import functools
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabular.deploy.onprem.names import CHART
from tabular.deploy.onprem.rendered.rendering import loaded, objects_of, render
from tabular.errors import EngineError
from tests.deploy.onprem.chart import rules
from tests.deploy.onprem.chart.cases import (
    BUILT_IN,
    CASES,
    NAME,
    NAMESPACE,
    SECRET,
    SERVED,
    merged,
    objects,
    one,
    seed,
)
from tests.deploy.onprem.chart.rules import Object, called, pod_of
from tests.testbed.kube.schemas import VERSIONS, invalid

# Kinds of others, which Kubernetes has no schema of.
CUSTOM = (
    "cert-manager.io/v1 Certificate",
    "cert-manager.io/v1 Issuer",
    "gateway.networking.k8s.io/v1 HTTPRoute",
    "minio.min.io/v2 Tenant",
    "monitoring.coreos.com/v1 PrometheusRule",
    "monitoring.coreos.com/v1 ServiceMonitor",
    "postgresql.cnpg.io/v1 Cluster",
    "route.openshift.io/v1 Route",
)


@functools.cache
def _rendered(name: str, version: str) -> tuple[Object, ...]:
    return objects(CASES[name], version)


@pytest.mark.parametrize("version", ["1.19", "1.30"])
@pytest.mark.parametrize("name", CASES)
def test_every_rule_holds(name: str, version: str) -> None:
    found = _rendered(name, version)
    if name == "openshift":
        assert list(rules.no_fixed_ids(found)) == []
        old = version == "1.19"  # OpenShift 4.6, whose constraints refuse a seccomp profile
        assert list(rules.restricted(found, seccomp=not old)) == []
        assert [what for what in rules.broken(found) if "seccomp" not in what or not old] == []
    else:
        assert rules.broken(found) == []


def test_a_newer_chart_of_a_newer_service_starts_nothing_else_again(tmp_path: Path) -> None:
    """Databases, stores and brokers run on: their pods are told nothing of our versions."""
    newer = tmp_path / "chart"
    shutil.copytree(CHART, newer)
    about = newer / "Chart.yaml"
    told = re.sub(r"(?m)^(version|appVersion): .*$", r'\1: "9.9.9"', about.read_text())
    about.write_text(told)
    values = merged(CASES["whole"], {"commonLabels": {"team": "data"}})
    before = {called(one): pod for one, pod in rules.pods(objects(values))}
    now = render(values, name=NAME, namespace=NAMESPACE, kube_version="1.30", chart=newer)
    changed = {called(one) for one, pod in rules.pods(now) if before[called(one)] != pod}
    assert changed == {
        "Deployment/demo-api",
        "Deployment/demo-worker",
        "Deployment/demo-postgresql-failover",
        "CronJob/demo-backup",
    }
    # What is asked for by those labels of the user's own is there still.
    assert all(pod["metadata"]["labels"]["team"] == "data" for _, pod in rules.pods(now))


_QUICK = (VERSIONS[0], VERSIONS[5], VERSIONS[-1])


@pytest.mark.parametrize(
    "version",
    [v if v in _QUICK else pytest.param(v, marks=pytest.mark.slow) for v in VERSIONS],
)
def test_objects_are_valid_for_the_version_that_they_are_rendered_for(version: str) -> None:
    for name in CASES:
        assert invalid(map(dict, _rendered(name, version)), version, unknown=CUSTOM) == [], name


@pytest.mark.parametrize(
    ("version", "disruption", "autoscaling"),
    [
        ("1.19", "policy/v1beta1", "autoscaling/v2beta2"),
        ("1.21", "policy/v1", "autoscaling/v2beta2"),
        ("1.23", "policy/v1", "autoscaling/v2"),
        ("1.25", "policy/v1", "autoscaling/v2"),
        ("v1.28.4+k3s1", "policy/v1", "autoscaling/v2"),
        ("1.20.2-gke.7", "policy/v1beta1", "autoscaling/v2beta2"),
    ],
)
def test_api_versions_are_those_that_the_server_has(
    version: str, disruption: str, autoscaling: str
) -> None:
    found = objects(merged(CASES["scaled"], SERVED), version)
    versions = {one["kind"]: one["apiVersion"] for one in found}
    assert versions["PodDisruptionBudget"] == disruption
    assert versions["HorizontalPodAutoscaler"] == autoscaling
    assert versions["Ingress"] == "networking.k8s.io/v1"
    assert versions["Deployment"] == "apps/v1"


def _sizes() -> st.SearchStrategy[str]:
    return st.builds("{}{}".format, st.integers(1, 900), st.sampled_from(["Mi", "Gi", "Ti"]))


def _resources() -> st.SearchStrategy[dict[str, Any]]:
    amount = {"cpu": st.sampled_from([1, 0.5, "250m"]), "memory": _sizes()}
    return st.fixed_dictionaries(
        {"requests": st.fixed_dictionaries(amount), "limits": st.fixed_dictionaries(amount)}
    )


def _values() -> st.SearchStrategy[dict[str, Any]]:
    on = st.fixed_dictionaries({"enabled": st.booleans()})
    return st.fixed_dictionaries(
        {},
        optional={
            "openshift": st.booleans(),
            "replicaCount": st.integers(1, 10_000_000),
            "workers": st.fixed_dictionaries(
                {"replicas": st.integers(0, 10_000_000)}, optional={"resources": _resources()}
            ),
            "resources": _resources(),
            "autoscaling": on,
            "redis": on,
            "gpu": on,
            "podDisruptionBudget": on,
            "topologySpread": on,
            "persistence": st.fixed_dictionaries({"enabled": st.booleans(), "size": _sizes()}),
            "ingress": st.just(SERVED["ingress"]),
            "commonLabels": st.dictionaries(
                st.from_regex(r"[a-z]{1,10}", fullmatch=True), st.integers(0, 10**9), max_size=3
            ),
            "settings": st.fixed_dictionaries(
                {}, optional={"max_upload_bytes": st.integers(1024, 10**12)}
            ),
            "networkPolicy": st.fixed_dictionaries(
                {"externalPorts": st.lists(st.integers(1, 65535), max_size=3)}
            ),
        },
    )


_ANY = given(values=_values(), version=st.sampled_from(["1.19", *VERSIONS[::4]]))
_PATIENT = [HealthCheck.too_slow]


@settings(max_examples=8, deadline=None, suppress_health_check=_PATIENT)
@_ANY
def test_every_rule_holds_for_any_values(values: dict[str, Any], version: str) -> None:
    _holds(values, version)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=_PATIENT)
@_ANY
def test_every_rule_holds_for_many_values(values: dict[str, Any], version: str) -> None:
    _holds(values, version)


def _holds(values: dict[str, Any], version: str) -> None:
    found = objects(merged(BUILT_IN, values), version)
    old = bool(values.get("openshift")) and version == "1.19"
    assert [what for what in rules.broken(found) if "seccomp" not in what or not old] == []
    if version in VERSIONS:
        assert invalid(map(dict, found), version) == []


def _first(found: list[Any], kind: str) -> Any:
    return next(one for one in found if one["kind"] == kind)


def _container(found: list[Any]) -> Any:
    pod = pod_of(_first(found, "Deployment"))
    assert pod is not None
    return pod["spec"]["containers"][0]


def _spec(found: list[Any]) -> Any:
    pod = pod_of(_first(found, "Deployment"))
    assert pod is not None
    return pod["spec"]


def _without_policies(found: list[Any]) -> None:
    found[:] = [one for one in found if one["kind"] != "NetworkPolicy"]


FAULTS: dict[str, tuple[str, Callable[[list[Any]], object]]] = {
    "a privileged container": (
        "restricted",
        lambda found: _container(found)["securityContext"].update(privileged=True),
    ),
    "a folder of the host": (
        "restricted",
        lambda found: _spec(found)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    ),
    "a pod that may be root": (
        "restricted",
        lambda found: _spec(found)["securityContext"].pop("runAsNonRoot"),
    ),
    "a pod without a seccomp profile": (
        "restricted",
        lambda found: _spec(found)["securityContext"].pop("seccompProfile"),
    ),
    "a capability": (
        "restricted",
        lambda found: _container(found)["securityContext"]["capabilities"].update(add=["SYS_TIME"]),
    ),
    "a root that can be written": (
        "restricted",
        lambda found: _container(found)["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    "a token": ("tokens", lambda found: _spec(found).pop("automountServiceAccountToken")),
    "service links": ("tokens", lambda found: _spec(found).pop("enableServiceLinks")),
    "no limit of memory": ("resources", lambda found: _container(found)["resources"].pop("limits")),
    "an amount that is a number": (
        "amounts",
        lambda found: _container(found)["resources"]["requests"].update(cpu=4),
    ),
    "no probe": ("probes", lambda found: _container(found).pop("livenessProbe")),
    "a port without a protocol": (
        "ports",
        lambda found: _first(found, "Service")["spec"]["ports"][0].pop("protocol"),
    ),
    "a port that leads nowhere": (
        "ports",
        lambda found: _first(found, "Service")["spec"]["ports"][0].update(targetPort="none"),
    ),
    "a selector of nothing": (
        "selectors",
        lambda found: _first(found, "Service")["spec"]["selector"].update(extra="label"),
    ),
    "no policies": ("policies", _without_policies),
    "a budget without an eviction": (
        "evictable",
        lambda found: _first(found, "PodDisruptionBudget")["spec"].update(maxUnavailable=0),
    ),
    "an object without labels": (
        "labels",
        lambda found: _first(found, "Service")["metadata"].pop("labels"),
    ),
    "a secret that is not mounted": ("mounts", lambda found: _container(found).pop("volumeMounts")),
    "a password in the environment": (
        "secrets",
        lambda found: _container(found)["env"].append({"name": "DB_PASSWORD", "value": "hunter2"}),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_rule_notices_its_fault(fault: str) -> None:
    rule, put = FAULTS[fault]
    found = copy.deepcopy(list(_rendered("small", "1.30")))
    assert list(rules.RULES[rule](found)) == []
    put(found)
    assert list(rules.RULES[rule](found)) != []


def test_a_secret_with_values_is_noticed() -> None:
    by_hand = merged(BUILT_IN, {"secrets": {"existingSecret": ""}})
    assert [what.partition(":")[0] for what in rules.secrets(objects(by_hand))] == [
        f"Secret/{SECRET}"
    ]


def test_the_seeds_file_renders_as_it_is() -> None:
    found = objects(merged(seed(), {"environment": "dev"}))
    assert [what for what in rules.broken(found) if not what.startswith("secrets: Secret/")] == []
    names = {called(one) for one in found}
    assert {
        "Deployment/demo-api",
        "Deployment/demo-worker",
        "StatefulSet/demo-postgresql",
        "StatefulSet/demo-minio",
        "PersistentVolumeClaim/demo-data",
    } <= names
    claim = one(found, "PersistentVolumeClaim", "demo-data")["spec"]
    assert claim["resources"]["requests"] == {"storage": "1Ti"}
    assert claim["storageClassName"] == "fast-ssd"


def test_the_seeds_password_is_refused_but_for_development() -> None:
    with pytest.raises(EngineError, match="adminPassword is one that others would guess"):
        objects(seed())


def test_a_given_password_is_not_for_a_secret_of_others() -> None:
    given_one = {"monitoring": {"grafana": {"adminPassword": "correct horse battery"}}}
    with pytest.raises(EngineError, match="another one is named"):
        objects(merged(BUILT_IN, given_one))


@pytest.mark.parametrize("case", ["small", "openshift"])
def test_the_pod_of_helm_test_keeps_the_rules_too(case: str) -> None:
    files = loaded(CHART).render(CASES[case], name="demo", namespace="data")
    hooks = [o for file, text in files.items() if "/test" in file for o in objects_of(text)]
    assert [called(hook) for hook in hooks] == ["Pod/demo-test"]
    assert hooks[0]["metadata"]["annotations"]["helm.sh/hook"] == "test"
    others = [o for o in _rendered(case, "1.30") if o["kind"] == "NetworkPolicy"]
    assert rules.broken([*hooks, *others]) == []
    assert invalid(hooks, "1.30") == []

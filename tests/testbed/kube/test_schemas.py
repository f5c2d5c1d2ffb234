"""The check of objects by Kubernetes' published schemas finds what a server would refuse."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.testbed.kube.schemas import VERSIONS, invalid

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "protocol": "TCP"}]},
}
MONITOR = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {}}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_valid_object_passes_in_every_version(version: str) -> None:
    assert invalid([SERVICE], version) == []


def test_all_errors_are_told_with_their_place() -> None:
    broken = copy.deepcopy(SERVICE)
    broken["spec"]["ports"][0] |= {"port": "eighty", "portt": 80}
    broken["spec"]["selector"] = ["app"]
    said = invalid([SERVICE, broken], "1.30")
    assert len(said) == 3
    assert any(line.startswith("Service/web spec.ports[0]") and "portt" in line for line in said)
    assert any("spec.ports[0].port" in line and "eighty" in line for line in said)


def test_a_number_that_would_be_written_as_a_fraction_is_no_integer() -> None:
    broken = copy.deepcopy(SERVICE)
    broken["spec"]["ports"][0]["port"] = 80.0
    assert len(invalid([broken], "1.30")) == 1


def test_kinds_that_a_version_lacks_are_errors_unless_they_are_expected() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}
    assert invalid([old], "1.25") == [
        "PodDisruptionBudget/x: Kubernetes 1.25 has no policy/v1beta1 PodDisruptionBudget"
    ]
    assert len(invalid([MONITOR], "1.30")) == 1
    assert invalid([MONITOR], "1.30", unknown=["monitoring.coreos.com/v1 ServiceMonitor"]) == []
    ingress = {"apiVersion": "networking.example.com/v1", "kind": "Ingress", "metadata": {}}
    assert len(invalid([ingress], "1.30")) == 1

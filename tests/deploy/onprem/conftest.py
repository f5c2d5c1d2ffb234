"""Fixtures of tests on a real control plane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.onprem.place import Place
from tests.testbed.kube.cluster import Kube


@pytest.fixture(params=["helm", "manifests"])
def place(request: pytest.FixtureRequest, kube: Kube) -> Iterator[Place]:
    """A namespace of a test's own, not made yet, for each method."""
    made = Place(kube, request.param)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def helm_place(kube: Kube) -> Iterator[Place]:
    """A namespace of a test's own, for Helm alone."""
    made = Place(kube, "helm")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=["helm", "manifests"])
def kube_places(request: pytest.FixtureRequest, kube: Kube) -> Iterator[tuple[Place, Place]]:
    """The same namespace by each of the two methods, either one first."""
    first = Place(kube, request.param)
    second = Place(kube, "manifests" if request.param == "helm" else "helm")
    second.namespace, second.target = first.namespace, first.target
    try:
        yield first, second
    finally:
        first.close()

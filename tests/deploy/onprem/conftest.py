"""Fixtures of tests on a real control plane."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest

from tests.deploy.onprem.place import Place
from tests.testbed.kube.cluster import Kube

METHODS = ("helm", "manifests")


@pytest.hookimpl(tryfirst=True)  # before those with the wrong marks are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the usual run a test takes one of the two methods, chosen by its name.

    The conformance suite and the tests of dead clients take both.
    """
    for item in items:
        if not isinstance(item, pytest.Function) or "test_kills.py" in item.nodeid:
            continue
        method = getattr(item, "callspec", None) and item.callspec.params.get("place")
        if method not in METHODS:
            continue
        name = item.name.replace(method, "").encode()
        if method != METHODS[zlib.crc32(name) % len(METHODS)]:
            item.add_marker(pytest.mark.exhaustive)


@pytest.fixture(params=METHODS)
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


@pytest.fixture(params=METHODS)
def kube_places(request: pytest.FixtureRequest, kube: Kube) -> Iterator[tuple[Place, Place]]:
    """The same namespace by each of the two methods, either one first."""
    first = Place(kube, request.param)
    second = Place(kube, "manifests" if request.param == "helm" else "helm")
    second.namespace, second.target = first.namespace, first.target
    try:
        yield first, second
    finally:
        first.close()

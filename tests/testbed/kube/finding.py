"""Where tests find a Kubernetes: never in the kubeconfig that happens to be there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.testbed import parts
from tests.testbed.kube import build

# Names a kubeconfig whose cluster the tests use: they make and delete namespaces in it.
GIVEN = "TABULAR_TEST_KUBECONFIG"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE_PROGRAMS = ("kubelet", "kube-proxy")


def programs(wanted: tuple[str, ...] = PROGRAMS) -> Path:
    """The folder with these programs: ``KUBEBUILDER_ASSETS``, the cache, or built if CI=true."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in [*([Path(given)] if given else []), build.home()]:
        if all((folder / name).exists() for name in wanted):
            return folder
    if os.environ.get("CI", "").lower() != "true":
        parts.missing(
            f"needs Kubernetes' programs ({', '.join(wanted)}): python -m tests.testbed.kube.build "
            "makes them (or `make test-k8s`), or set KUBEBUILDER_ASSETS"
        )
    try:
        return build.build()
    except build.BuildError as error:
        parts.missing(f"Kubernetes cannot be built here: {error}")

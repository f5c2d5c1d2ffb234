"""A read-only look at what a deploy to a cluster would need, and at what it would find there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tabular.deploy.provider import Check
from tabular.errors import ForbiddenError, PreflightError, TabularError

from .applying.helm.binary import VARIABLE, looked_up
from .cluster.session import Cluster
from .names import OLDEST_KUBE_VERSION
from .preflight.amounts import amount, shown
from .preflight.kinds import OPERATORS, distribution, has_operator, minor
from .preflight.volumes import STORAGE, default_class

_METRICS = "metrics.k8s.io/v1beta1"


def checks(cluster: Cluster) -> Iterator[Check]:
    """A Helm that is named, the cluster, its version, classes, operators; no more if it is away."""
    named = os.environ.get(VARIABLE)
    if named:
        yield _tried("helm", lambda: _helm(named))
    there = _tried("cluster", lambda: f"{cluster.address}: Kubernetes {cluster.git_version}")
    yield there
    if not there.ok:
        return
    old = minor(cluster.version) < minor(OLDEST_KUBE_VERSION)
    yield Check(
        "version",
        not old,
        f"{cluster.version}; {OLDEST_KUBE_VERSION} and later are known",
        "upgrade the cluster, or name another: --context, --kubeconfig",
    )
    yield _tried("distribution", lambda: distribution(cluster))
    yield _tried("namespace", lambda: _namespace(cluster))
    yield _tried("storage classes", lambda: _classes(cluster))
    yield _tried("nodes", lambda: _nodes(cluster))
    yield _tried("ingress classes", lambda: _ingress_classes(cluster))
    yield Check(
        "metrics",
        True,
        "metrics-server answers"
        if cluster.has(_METRICS)
        else "no metrics-server: pods do not follow their load (max_instances)",
    )
    found = [name for name in OPERATORS if has_operator(cluster, name)]
    yield Check("operators", True, f"there: {', '.join(found) or 'none'}; none is needed")


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except ForbiddenError:
        return Check(name, True, "not to be seen with these credentials; a deploy finds out")
    except TabularError as error:
        return Check(name, False, error.message, error.hint or "")


def _helm(named: str) -> str:
    """The program that is used instead of Helm within this one."""
    path, version = looked_up(named)
    return f"{path}: {'.'.join(map(str, version))}"


def _namespace(cluster: Cluster) -> str:
    """Where a deploy may make its things."""
    if cluster.may("create", "v1", "namespaces"):
        return "namespaces may be made"
    namespace = cluster.namespace or cluster.default_namespace
    if not cluster.may("create", "apps/v1", "deployments", namespace):
        raise PreflightError(
            f"these credentials may make neither namespaces nor anything in {namespace}",
            hint="`inferloop-tabular onprem rbac` prints the Role that is needed; --namespace NAME "
            "looks at another namespace",
        )
    return f"{namespace} may be used; namespaces may not be made"


def _classes(cluster: Cluster) -> str:
    classes = cluster.list(STORAGE, "StorageClass")
    names = ", ".join(sorted(one["metadata"]["name"] for one in classes))
    default = default_class(classes)
    if not classes:
        raise PreflightError(
            "the cluster has no storage class",
            hint="install one; on a single node https://github.com/rancher/local-path-provisioner",
        )
    if default is None:
        raise PreflightError(
            f"none is the default one; there: {names}", hint="name one: --storage-class NAME"
        )
    return f"{names}; default: {default['metadata']['name']}"


def _nodes(cluster: Cluster) -> str:
    nodes = cluster.list("v1", "Node")
    if not nodes:
        raise PreflightError("the cluster has no nodes", hint="kubectl get nodes")
    told = [one["status"]["allocatable"] for one in nodes]
    cpu = max(amount(one["cpu"]) for one in told)
    memory = max(amount(one["memory"]) for one in told)
    size = f"{shown('cpu', cpu)} cores, {shown('memory', memory)}"
    return f"{len(nodes)}; the largest gives pods {size}"


def _ingress_classes(cluster: Cluster) -> str:
    found = cluster.list("networking.k8s.io/v1", "IngressClass")
    names = ", ".join(sorted(one["metadata"]["name"] for one in found))
    return names or "none; needed only for networking.domain"

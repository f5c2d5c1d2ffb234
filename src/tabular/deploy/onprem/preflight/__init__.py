"""What a stack needs of its cluster, asked of the cluster before anything is made.

Kubernetes takes nearly everything and finds out later, in an event of a pod that nobody looks at.
Here it is a sentence before the first object is written. What a deployer may not look at is left
out: then the cluster itself is the one who tells.

kinds    version, distribution, operators    volumes  classes, access modes, capacity
rights   what these credentials may          room     quotas, limit ranges, nodes
secrets  those of others that are named   primary  that of PostgreSQL stays
growing  disks of another size            minio    a set keeps its servers
apart    nodes for pods that share none     hosts     the certificate that people see
"""

from __future__ import annotations

from collections.abc import Iterable

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import secret_name, tls_secret_name
from tabular.deploy.onprem.rendered.rendering import Object, render
from tabular.deploy.onprem.secrets.secret_keys import other_secrets, typed
from tabular.deploy.policy import Finding
from tabular.deploy.stack import Stack
from tabular.errors import ForbiddenError, PreflightError

from .apart import require_apart
from .growing import require_growable
from .hosts import told_of_hosts
from .kinds import require_kinds
from .minio import require_same_set
from .primary import require_primary
from .rights import lacking
from .room import require_room
from .volumes import require_volumes

_MANY = 8  # rights that are told one by one


def require(
    cluster: Cluster, stack: Stack, objects: Iterable[Object] | None = None
) -> tuple[Finding, ...]:
    """Refuse a stack that its cluster cannot run; touches nothing.

    Args:
        cluster: where.
        stack: what.
        objects: it as rendered for this cluster; rendered here if None.

    Returns:
        What a user should know though nothing is wrong.

    Raises:
        PreflightError: the namespace, a right, a class, an operator, a secret or room is missing;
            ``where`` is the key of the spec that asks for it.
    """
    name, namespace = stack.target.name, stack.target.region or ""
    made = tuple(
        render(
            stack.template["values"],
            name=name,
            namespace=namespace,
            kube_version=cluster.version,
        )
        if objects is None
        else objects
    )
    found = tuple(require_kinds(cluster, stack.template, made))
    there = _require_namespace(cluster, namespace)
    for space in sorted({namespace, *(one["metadata"]["namespace"] for one in made)}):
        within = [one for one in made if one["metadata"]["namespace"] == space]
        _require_rights(cluster, space, within, home=space == namespace)
    if there:
        _require_secrets(cluster, name, namespace, made)
        found += tuple(told_of_hosts(cluster, namespace, made))
        require_primary(cluster, namespace, made)
        require_same_set(cluster, namespace, name, made)
        require_growable(cluster, namespace, name, made)
    require_volumes(cluster, namespace, made)
    require_room(cluster, namespace, name, made)
    return (*found, *require_apart(cluster, made))


def _require_namespace(cluster: Cluster, namespace: str) -> bool:
    """Whether the namespace is there; one that may be made is made by the apply."""
    try:
        found = cluster.get("v1", "Namespace", namespace)
    except ForbiddenError:
        return True  # who may not look at namespaces may still work in this one
    if found is not None:
        if (found.get("status") or {}).get("phase") == "Terminating":
            raise PreflightError(
                f"the namespace {namespace} is being deleted",
                where="spec.onprem.namespace",
                hint=f"wait until `kubectl get namespace {namespace}` has no answer, or name "
                "another: --namespace",
                code="preflight.namespace",
            )
        return True
    if not cluster.may("create", "v1", "namespaces"):
        raise PreflightError(
            f"there is no namespace {namespace}, and these credentials may not make it",
            where="spec.onprem.namespace",
            hint=f"kubectl create namespace {namespace}, by who may; or name another: --namespace",
            code="preflight.namespace",
        )
    return False


def _require_rights(cluster: Cluster, namespace: str, objects: list[Object], *, home: bool) -> None:
    missing = lacking(cluster, namespace, objects, home=home)
    if missing:
        more = f" and {len(missing) - _MANY} more" if len(missing) > _MANY else ""
        raise PreflightError(
            f"these credentials may not, in {namespace}: {', '.join(missing[:_MANY])}{more}",
            where=cluster.address,
            hint="`inferloop-tabular onprem rbac` with the same flags prints the Role that is "
            "needed; whoever runs the cluster applies it",
            code="preflight.rights",
        )


def _require_secrets(
    cluster: Cluster, name: str, namespace: str, objects: tuple[Object, ...]
) -> None:
    """Secrets that the spec names must be there; pods would wait for them for ever."""
    for other, keys in other_secrets(objects, secret_name(name)).items():
        if other == tls_secret_name(name):
            continue  # the engine makes it
        found = cluster.get("v1", "Secret", other, namespace)
        gone = (
            [key for key in keys if key not in (found.get("data") or {})] if found else list(keys)
        )
        if found is None or gone:
            what = f"no key {', '.join(gone)}" if found else "not there"
            raise PreflightError(
                f"the Secret {other}, which the spec names, is {what}"
                if found is None
                else f"the Secret {other}, which the spec names, has {what}",
                where=f"namespace {namespace}",
                hint=typed(namespace, other, gone, there=found is not None),
                code="preflight.secret",
            )

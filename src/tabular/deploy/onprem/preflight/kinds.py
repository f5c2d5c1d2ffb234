"""Whether the cluster is of the kind that a stack was compiled for: version, distribution, APIs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tabular.deploy.onprem.cluster.session import Cluster
from tabular.deploy.onprem.names import OLDEST_KUBE_VERSION
from tabular.deploy.onprem.rendered.rendering import Object
from tabular.deploy.onprem.secrets.secret_keys import component_of
from tabular.deploy.policy import Finding, Severity
from tabular.errors import ForbiddenError, PreflightError, nearest

OPENSHIFT_API = "route.openshift.io/v1"
# What tells that an operator is there.
OPERATORS: Mapping[str, tuple[str, str]] = {
    "cloudnative-pg": ("postgresql.cnpg.io/v1", "Cluster"),
    "zalando": ("acid.zalan.do/v1", "postgresql"),
    "minio": ("minio.min.io/v2", "Tenant"),
    "prometheus": ("monitoring.coreos.com/v1", "ServiceMonitor"),
    "cert-manager": ("cert-manager.io/v1", "Certificate"),
    "external-secrets": ("external-secrets.io/v1", "ExternalSecret"),
    "velero": ("velero.io/v1", "Schedule"),
}
# What of the chart's own each would run.
_RUNS = {
    "cloudnative-pg": "postgresql",
    "zalando": "postgresql",
    "minio": "minio",
    "prometheus": "prometheus",
}
# Of an operator whose objects came in another version before.
_OLDER = {"external-secrets": (("external-secrets.io/v1beta1", "ExternalSecret"),)}
_CLASSES = "networking.k8s.io/v1"
# The annotation of the chart, and the controllers that read it or the chart's other one.
_RANGE = "nginx.ingress.kubernetes.io/whitelist-source-range"
_LIMITING = (
    "k8s.io/ingress-nginx",
    "haproxy.org/ingress-controller",
    "haproxy-ingress.github.io/controller",
)
# OpenShift 4.19: before, a Route drops the Secret that it names, without a word.
_ROUTE_SECRETS = "1.32"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


def distribution(cluster: Cluster) -> str:
    """``openshift``, ``rancher`` (also k3s and RKE2) or ``kubernetes``."""
    if cluster.has(OPENSHIFT_API):
        return "openshift"
    made_by = cluster.git_version
    if any(sign in made_by for sign in ("+k3s", "+rke2")) or cluster.has("management.cattle.io/v3"):
        return "rancher"
    return "kubernetes"


def has_operator(cluster: Cluster, name: str) -> bool:
    """Whether an operator's kinds are known here."""
    return any(cluster.has(*one) for one in (OPERATORS[name], *_OLDER.get(name, ())))


def minor(version: str) -> tuple[int, int]:
    """A version of Kubernetes as numbers."""
    major, _, rest = version.partition(".")
    return int(major), int("".join(c for c in rest.partition(".")[0] if c.isdecimal()) or 0)


def require_kinds(
    cluster: Cluster, template: Mapping[str, Any], objects: Iterable[Object]
) -> Iterator[Finding]:
    """Refuse a cluster that the stack was not compiled for; tell what is there and unused.

    Raises:
        PreflightError: too old, of another distribution, or without an operator or a kind.
    """
    if minor(cluster.version) < minor(OLDEST_KUBE_VERSION):
        raise PreflightError(
            f"the cluster is Kubernetes {cluster.version}, and {OLDEST_KUBE_VERSION} is the "
            "oldest that the chart knows",
            where=cluster.address,
            hint="upgrade the cluster, or name another: --context, --kubeconfig",
            code="preflight.version",
        )
    _require_distribution(cluster, template.get("distribution"))
    named = template.get("operators") or ()
    for name in named:
        if not has_operator(cluster, name):
            api, kind = OPERATORS[name]
            raise PreflightError(
                f"onprem.operators names {name}, and the cluster knows no {kind} ({api})",
                where="spec.onprem.operators",
                hint=f"install it, or leave {name} out: the chart does without",
                code="preflight.operator",
            )
    made = tuple(objects)
    _require_known(cluster, made)
    _require_certificates(cluster, made)
    yield from _ingress_class(cluster, made)
    yield from _unused(cluster, named, made)


def _require_distribution(cluster: Cluster, wanted: str | None) -> None:
    found = distribution(cluster)
    if (found == "openshift") == (wanted == "openshift"):
        return
    if found == "openshift":
        message = "this cluster is OpenShift, which gives pods their user ids itself"
        hint = "say so: onprem.distribution: openshift, or --set spec.onprem.distribution=openshift"
    else:
        message = "onprem.distribution says openshift, and this cluster has no Routes"
        hint = "is it the right context? Else leave onprem.distribution out"
    raise PreflightError(
        message, where="spec.onprem.distribution", hint=hint, code="preflight.distribution"
    )


def _require_known(cluster: Cluster, objects: tuple[Object, ...]) -> None:
    for api, kind in sorted({(one["apiVersion"], one["kind"]) for one in objects}):
        if not cluster.has(api, kind):
            raise PreflightError(
                f"this cluster ({cluster.version}) knows no {kind} of {api}",
                where=cluster.address,
                hint="install what brings it, or leave out what asks for it; `inferloop-tabular "
                "doctor --provider onprem` shows what is there",
                code="preflight.kind",
            )


def _require_certificates(cluster: Cluster, objects: tuple[Object, ...]) -> None:
    named = any("externalCertificate" in one["spec"]["tls"] for one in _of_kind("Route", objects))
    if named and minor(cluster.version) < minor(_ROUTE_SECRETS):
        raise PreflightError(
            f"a Route reads no Secret before OpenShift 4.19, and this one is of Kubernetes "
            f"{cluster.version}: the host would show the router's own certificate",
            where="spec.networking.certificate",
            hint="leave it out if the router's will do, or name onprem.issuer where cert-manager's "
            "controller for Routes runs",
            code="preflight.route-certificate",
        )


def _of_kind(kind: str, objects: Iterable[Object]) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def _ingress_class(cluster: Cluster, objects: tuple[Object, ...]) -> Iterator[Finding]:
    ingresses = _of_kind("Ingress", objects)
    if not ingresses:
        return
    try:
        there = {one["metadata"]["name"]: one for one in cluster.list(_CLASSES, "IngressClass")}
    except ForbiddenError:
        return
    for one in ingresses:
        named = one["spec"].get("ingressClassName")
        if named and named not in there:
            known = ", ".join(sorted(there)) or "none"
            raise PreflightError(
                f"the cluster has no ingress class {named!r}",
                where="spec.onprem.ingress_class",
                hint=f"{nearest(named, there)}classes of this cluster: {known}",
                code="preflight.ingress-class",
            )
        if not named and not any(_is_default(one) for one in there.values()):
            yield Finding(
                "ingress-class",
                Severity.WARNING,
                "spec.onprem.ingress_class",
                "no ingress class is named, and the cluster has no default one",
                f"onprem.ingress_class: {next(iter(sorted(there)), 'NAME')}",
            )
        used = there.get(named) if named else next(filter(_is_default, there.values()), None)
        _require_limits(one, used)


def _require_limits(ingress: Object, used: Object | None) -> None:
    """Refuse a limit of who may come that the controller would not keep to.

    Raises:
        PreflightError: the class is one whose controller reads no such annotation.
    """
    if _RANGE not in (ingress["metadata"].get("annotations") or {}):
        return
    controller = str(((used or {}).get("spec") or {}).get("controller", "of no class"))
    if not controller.startswith(_LIMITING):
        raise PreflightError(
            f"the ingress controller {controller} does not keep to allowed_cidrs: everybody could "
            "come in",
            where="spec.networking.allowed_cidrs",
            hint="limit it in the controller's own words and leave allowed_cidrs out, or name "
            "another class: onprem.ingress_class",
            code="preflight.allowed-cidrs",
        )


def _is_default(one: Object) -> bool:
    return (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"


def _unused(
    cluster: Cluster, named: Iterable[str], objects: tuple[Object, ...]
) -> Iterator[Finding]:
    """Operators that are there and would run what the chart runs itself."""
    own = {component_of(one) for one in objects if one["kind"] in ("StatefulSet", "Deployment")}
    for name, component in _RUNS.items():
        if name not in named and component in own and has_operator(cluster, name):
            yield Finding(
                "unused-operator",
                Severity.WARNING,
                "spec.onprem.operators",
                f"the cluster has {name}, and {component} runs without it",
                f"onprem.operators: [{name}] makes use of it, before there is data to move",
            )

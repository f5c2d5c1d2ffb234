"""What is let in from outside the cluster, read from the rendered objects.

From these and not from the spec, since values that override it can publish a service too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tabular.deploy.stack import Opening

from .rendering import Object

_WORLD = ("*",)
_TLS = ("443",)
# Annotations by which controllers are told whom to let in.
_LISTS = (
    "nginx.ingress.kubernetes.io/whitelist-source-range",
    "haproxy.router.openshift.io/ip_whitelist",
)


def openings(objects: Iterable[Object]) -> Iterator[Opening]:
    """Openings to outside; what stays within the cluster is none."""
    for one in objects:
        id_ = f"{one['kind']}/{one['metadata']['name']}"
        spec = one.get("spec") or {}
        if one["kind"] == "Service" and spec.get("type") in ("LoadBalancer", "NodePort"):
            peers = tuple(spec.get("loadBalancerSourceRanges") or _WORLD)
            yield Opening(id_, peers, tuple(str(port["port"]) for port in spec["ports"]))
        elif one["kind"] == "Ingress" or one["kind"] == "Route":
            yield Opening(id_, _peers(one), _TLS if spec.get("tls") else ("80",))
        elif one["kind"] == "HTTPRoute":
            yield Opening(id_, _peers(one), _TLS)


def _peers(one: Object) -> tuple[str, ...]:
    annotations = one["metadata"].get("annotations") or {}
    said = [annotations[name] for name in _LISTS if annotations.get(name)]
    return tuple(part for part in said[0].replace(",", " ").split()) if said else _WORLD

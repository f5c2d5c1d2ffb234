"""Who reaches whom: the network policies of a rendering, judged as a cluster's plugin does.

Semantics: a pod that no policy of a direction selects is open in it; one that is selected is shut
but for the union of their rules
(https://kubernetes.io/docs/concepts/services-networking/network-policies/).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabular.deploy.onprem.names import COMPONENT
from tests.deploy.onprem.chart.cases import NAMESPACE
from tests.deploy.onprem.chart.rules import Object, labels_of, pods, selects


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or an address outside.

    Attributes:
        labels: of the pod; None of an address.
        namespace: of the pod.
        namespace_labels: of that namespace.
        address: of what is no pod.
    """

    labels: Mapping[str, str] | None = None
    namespace: str = NAMESPACE
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


def pod(objects: Sequence[Object], component: str) -> End:
    """A pod of a part of the release.

    Raises:
        ValueError: the release has no such part, or two.
    """
    (found,) = {
        tuple(sorted(labels_of(one).items()))
        for _, one in pods(objects)
        if labels_of(one)[COMPONENT] == component
    }
    return End(dict(found), namespace_labels={"kubernetes.io/metadata.name": NAMESPACE})


def stranger(namespace: str, **labels: str) -> End:
    """A pod that is not the release's."""
    return End(labels, namespace, {"kubernetes.io/metadata.name": namespace})


def reaches(
    objects: Sequence[Object], source: End, target: End, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection comes about."""
    found = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    return _open(found, "Egress", source, target, port, protocol) and _open(
        found, "Ingress", target, source, port, protocol
    )


def _open(
    found: Sequence[Mapping[str, Any]], kind: str, own: End, other: End, port: int, protocol: str
) -> bool:
    if own.labels is None or own.namespace != NAMESPACE:
        return True
    held = [s for s in found if selects(s["podSelector"], own.labels) and kind in s["policyTypes"]]
    side, peers = {"Egress": ("egress", "to"), "Ingress": ("ingress", "from")}[kind]
    rules = [rule for spec in held for rule in spec.get(side, ())]
    return not held or any(_admits(rule, peers, other, port, protocol) for rule in rules)


def _admits(rule: Mapping[str, Any], peers: str, other: End, port: int, protocol: str) -> bool:
    if rule.get("ports") and not any(
        one.get("port", port) == port and one.get("protocol", "TCP") == protocol
        for one in rule["ports"]
    ):
        return False
    return not rule.get(peers) or any(_is(peer, other) for peer in rule[peers])


def _is(peer: Mapping[str, Any], other: End) -> bool:
    if "ipBlock" in peer:
        if not other.address:
            return False
        network = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return ipaddress.ip_address(other.address) in network
    if other.labels is None:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != NAMESPACE:
        return False
    return selects(peer.get("podSelector", {}), other.labels)

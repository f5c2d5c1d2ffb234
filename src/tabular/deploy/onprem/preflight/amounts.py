"""Amounts as Kubernetes writes them, and what pods ask for in sum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tabular.deploy.onprem.rendered.rendering import Object
from tabular.deploy.spec.quantities import BINARY

# Source: the API conventions of Kubernetes, "quantity".
_UNITS: Mapping[str, Decimal] = {
    **{unit: Decimal(by) for unit, by in BINARY.items()},
    "Ei": Decimal(2**60),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
}
_WITH_PODS = ("Deployment", "StatefulSet")
Amounts = Mapping[str, Decimal]


def amount(value: object) -> Decimal:
    """A quantity as a number: cores, bytes or pieces.

    Raises:
        ValueError: it is none.
    """
    text = str(value)
    for length in (2, 1):
        unit = text[-length:]
        if unit in _UNITS and len(text) > length:
            try:
                return Decimal(text[:-length]) * _UNITS[unit]
            except InvalidOperation:
                continue
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no quantity") from None


def shown(resource: str, value: Decimal) -> str:
    """An amount as people read it: cores, and bytes in the largest unit that is exact enough."""
    if "memory" in resource or "storage" in resource:
        for unit, by in sorted(BINARY.items(), key=lambda pair: -pair[1]):
            if value >= by:
                return f"{(value / by).quantize(Decimal('0.1')).normalize():f}{unit}"
    return f"{value.normalize():f}"


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of one workload.

    Attributes:
        owner: the workload, e.g. ``StatefulSet/demo-minio``.
        count: how many.
        spec: of each pod.
    """

    owner: str
    count: int
    spec: Mapping[str, Any]

    @property
    def containers(self) -> tuple[Mapping[str, Any], ...]:
        """Containers that run together."""
        return tuple(self.spec["containers"])

    def each(self, kind: str) -> dict[str, Decimal]:
        """What one pod comes to: its containers together, or its largest init container.

        Args:
            kind: ``requests`` or ``limits``.
        """
        found: dict[str, Decimal] = {}
        for one in self.containers:
            for name, value in _amounts(one, kind).items():
                found[name] = found.get(name, Decimal(0)) + value
        for one in self.spec.get("initContainers") or ():
            for name, value in _amounts(one, kind).items():
                found[name] = max(found.get(name, Decimal(0)), value)
        return found


def pods(objects: Iterable[Object]) -> Iterator[Pods]:
    """Workloads that run all the time, with the pods of each."""
    for one in objects:
        if one["kind"] in _WITH_PODS:
            spec = one["spec"]
            count = spec.get("replicas")
            owner = f"{one['kind']}/{one['metadata']['name']}"
            yield Pods(owner, 1 if count is None else int(count), spec["template"]["spec"])


def _amounts(container: Mapping[str, Any], kind: str) -> dict[str, Decimal]:
    """What a container asks for; what has a limit alone asks for that."""
    resources = container.get("resources") or {}
    said = {**(resources.get("limits") or {})} if kind == "requests" else {}
    said |= resources.get(kind) or {}
    return {name: amount(value) for name, value in said.items()}

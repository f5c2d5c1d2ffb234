"""Blocks that the flat and the multi-cloud form share, in the vendors' words, into the model's.

Here a bare number gets the unit that its vendor's documentation gives it: Fargate counts cpu in
1/1024 vCPU and memory in MiB, Azure Container Instances memory in GB (10**9 bytes).
"""

from __future__ import annotations

from decimal import Decimal

from tabular.deploy.spec.quantities import UNITS, format_size
from tabular.deploy.spec.readers.draft import Draft
from tabular.deploy.spec.readers.table import Table, translate
from tabular.deploy.spec.source import Node
from tabular.deploy.spec.walk import Path

FARGATE_UNITS = 1024
SMALLEST_FARGATE_CPU = 256
BARE_MEMORY = {"ecs-fargate": ("Mi", "MiB"), "container-instances": ("G", "GB")}
ENGINES = {"postgres": "postgresql", "sqlserver": "azure-sql"}
STORES = ("s3", "gcs", "blob", "minio")


def _count(node: Node | None) -> int | None:
    """A bare whole number above zero, None for anything else."""
    value = node.value if node is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def compute(draft: Draft, node: Node, key: str, path: Path) -> None:
    """A compute block; bare numbers are read in the units of its ``type``."""
    draft.take(path, node, key)
    entries = node.entries or {}
    kind = str(entries["type"].value) if "type" in entries else ""
    cpu, memory = entries.get("cpu"), entries.get("memory")
    units, amount = _count(cpu), _count(memory)
    if cpu and units and kind == "ecs-fargate" and units >= SMALLEST_FARGATE_CPU:
        cores = Decimal(units) / FARGATE_UNITS
        note = f"{units} Fargate units of 1/1024 vCPU"
        draft.put((*path, "cpu"), str(cores), draft.origin(cpu, f"{key}.cpu", note))
    if memory and amount and kind in BARE_MEMORY:
        unit, word = BARE_MEMORY[kind]
        origin = draft.origin(memory, f"{key}.memory", f"{amount} {word}, the unit of {kind}")
        draft.put((*path, "memory"), format_size(amount * UNITS[unit]), origin)


def storage(draft: Draft, node: Node, key: str, path: Path) -> None:
    """A storage block, with or without the vendor's name around its settings."""
    if node.entries is None:
        draft.take(path, node, key)
        return
    for name, child in node.entries.items():
        if name in STORES and child.entries is not None:
            note = f"the block {name} names the store"
            draft.put((*path, "type"), name, draft.origin(child, f"{key}.{name}", note))
            translate(draft, child, STORE, key=f"{key}.{name}", base=path, rest=True)
    rest = {
        name: child
        for name, child in node.entries.items()
        if name not in STORES or child.entries is None
    }
    translate(
        draft, Node(node.line, node.column, entries=rest), STORE, key=key, base=path, rest=True
    )


def _replication(draft: Draft, node: Node, key: str, path: Path) -> None:
    if node.value == "cross-region":
        note = "a copy in a second region"
        draft.put((*path, "cross_region"), True, draft.origin(node, key, note))
    else:
        draft.take((*path, "replication"), node, key)


def _lifecycle_rules(draft: Draft, node: Node, key: str, path: Path) -> None:
    """A list of single rules becomes one block."""
    if node.items is None:
        draft.problem(node, key, f"expected a list of rules, got {node.kind}")
        return
    for index, rule in enumerate(node.items):
        here = f"{key}[{index}]"
        if rule.entries is None:
            draft.problem(
                rule, here, f"expected a block such as transition_to_ia: 30, got {rule.kind}"
            )
        else:
            translate(draft, rule, {}, key=here, base=path, rest=True)


STORE: Table = {
    "replication": ("", _replication),
    "lifecycle_rules": ("lifecycle", _lifecycle_rules),
}


def _engine(draft: Draft, node: Node, key: str, path: Path) -> None:
    name = ENGINES.get(str(node.value), node.value)
    note = "" if name == node.value else f"{node.value} is {name}"
    if node.raw is None:
        draft.take(path, node, key)
    else:
        draft.put(path, name, draft.origin(node, key, note))


def _multi_az(draft: Draft, node: Node, key: str, path: Path) -> None:
    draft.take(path, node, key, "a standby in another zone")


DATABASE: Table = {"engine": ("type", _engine), "multi_az": ("ha", _multi_az)}


def database(draft: Draft, node: Node, key: str, path: Path) -> None:
    """A database block in the words of RDS."""
    if node.entries is None:
        draft.take(path, node, key)
    else:
        translate(draft, node, DATABASE, key=key, base=path, rest=True)


MONITORING: Table = {"detailed_monitoring": "detailed"}


def monitoring(draft: Draft, node: Node, key: str, path: Path) -> None:
    """A monitoring block; writing one without ``enabled`` asks for monitoring."""
    if not node.entries:
        draft.take(path, node, key)
        return
    translate(draft, node, MONITORING, key=key, base=path, rest=True)
    if "enabled" not in node.entries:
        note = "a monitoring block asks for monitoring"
        draft.put((*path, "enabled"), True, draft.origin(node, key, note))

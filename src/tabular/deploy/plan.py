"""What would change, shown before anything is touched, and tied to what it was seen against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tabular.deploy.cost import CostEstimate
from tabular.deploy.policy.finding import Finding
from tabular.deploy.stack import Resource, Stack, fingerprint


class Action(StrEnum):
    """What happens to one resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    NOOP = "no-op"


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property, before and after; None where it is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource, and why.

    Attributes:
        action: create, update, replace, delete or no-op.
        resource: id of the resource.
        type: the vendor's type.
        properties: what differs, sorted by path; empty for no-op.
        stateful: the resource holds data, so replace and delete lose it.
    """

    action: Action
    resource: str
    type: str
    properties: tuple[PropertyChange, ...] = ()
    stateful: bool = False

    @property
    def loses_data(self) -> bool:
        """True when applying this deletes a data store."""
        return self.stateful and self.action in (Action.REPLACE, Action.DELETE)


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one apply, with what a reader needs to say yes.

    Attributes:
        stack: what will be applied.
        changes: one for each resource of the stack and of the running deployment.
        basis: fingerprint of the running deployment the changes were computed against; an
            engine refuses to apply when it finds another.
        cost: monthly estimate; None where no price list applies (own hardware).
        findings: what the policy rules found, waived ones included.
    """

    stack: Stack
    changes: tuple[Change, ...]
    basis: str
    cost: CostEstimate | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when applying would change nothing."""
        return all(change.action is Action.NOOP for change in self.changes)

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of what would be applied and what it was planned against."""
        return fingerprint({"stack": self.stack.fingerprint, "basis": self.basis})

    def count(self, action: Action) -> int:
        """Number of changes with this action."""
        return sum(change.action is action for change in self.changes)


def diff_properties(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> tuple[PropertyChange, ...]:
    """Leaves that differ between two trees of plain data, sorted by dotted path."""
    found: list[PropertyChange] = []
    for key in sorted({*before, *after}):
        path = f"{prefix}{key}"
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found.extend(diff_properties(old, new, f"{path}."))
        elif old != new or (key in before) != (key in after):
            found.append(PropertyChange(path, old, new))
    return tuple(found)


def diff_resources(running: Iterable[Resource], wanted: Iterable[Resource]) -> tuple[Change, ...]:
    """Changes that lead from the running resources to the wanted ones.

    For engines whose vendor computes no preview of its own. Order: wanted resources in their
    own order, then deletions in reverse order of the running ones.
    """
    before = {resource.id: resource for resource in running}
    changes: list[Change] = []
    for resource in wanted:
        old = before.pop(resource.id, None)
        if old is None:
            changes.append(_change(Action.CREATE, resource, {}, resource.properties))
            continue
        properties = diff_properties(old.properties, resource.properties)
        touched = {change.path.split(".")[0] for change in properties}
        if old.type != resource.type or touched & resource.replace_on:
            action = Action.REPLACE
        else:
            action = Action.UPDATE if properties else Action.NOOP
        # Whichever of the two holds data: a store replaced by something else is lost as well.
        stateful = old.stateful or resource.stateful
        changes.append(Change(action, resource.id, resource.type, properties, stateful))
    changes.extend(
        _change(Action.DELETE, resource, resource.properties, {})
        for resource in reversed(before.values())
    )
    return tuple(changes)


def _change(
    action: Action, resource: Resource, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Change:
    properties = diff_properties(before, after)
    return Change(action, resource.id, resource.type, properties, resource.stateful)

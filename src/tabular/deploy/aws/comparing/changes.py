"""What a change set says, as the changes of a plan.

CloudFormation knows which change replaces a resource; what changed is read from the two templates,
which are clearer than its list of targets. Where it says "conditional" because something else may
be replaced, that something is in the same change set: whether it is decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tabular.deploy.aws.words.document import index
from tabular.deploy.plan import Action, Change, PropertyChange, diff_properties
from tabular.deploy.stack import Resource

_ACTIONS = {"Add": Action.CREATE, "Remove": Action.DELETE, "Modify": Action.UPDATE,
            "Import": Action.CREATE, "Dynamic": Action.UPDATE}  # fmt: skip


def all_new(resources: Iterable[Resource]) -> tuple[Change, ...]:
    """A first deploy: everything is created."""
    return tuple(
        Change(Action.CREATE, one.id, one.type, diff_properties({}, one.properties), one.stateful)
        for one in resources
    )


def nothing_new(resources: Iterable[Resource]) -> tuple[Change, ...]:
    """The same release again."""
    return tuple(Change(Action.NOOP, one.id, one.type, (), one.stateful) for one in resources)


def planned(
    running: Mapping[str, Any], wanted: Iterable[Resource], said: Iterable[Mapping[str, Any]]
) -> tuple[Change, ...]:
    """The changes of an update.

    Args:
        running: template that runs.
        wanted: resources of the new one, in order.
        said: ``ResourceChange`` of a change set, one for each resource that it touches.

    Returns:
        One for each wanted resource in its order, then those that go.
    """
    before = {one.id: one for one in index(running)}
    touched = {one["LogicalResourceId"]: one for one in said}
    replaced = _replaced(touched, before)
    changes = [
        _change(one.id, before.get(one.id), one, touched.get(one.id), replaced) for one in wanted
    ]
    there = {change.resource for change in changes}
    changes += [
        _change(name, before.get(name), None, one, replaced)
        for name, one in touched.items()
        if name not in there
    ]
    return tuple(changes)


def _change(
    name: str,
    old: Resource | None,
    new: Resource | None,
    said: Mapping[str, Any] | None,
    replaced: frozenset[str],
) -> Change:
    one = new or old
    type_ = one.type if one else str((said or {}).get("ResourceType", ""))
    stateful = any(resource is not None and resource.stateful for resource in (old, new))
    if said is None:
        return Change(Action.NOOP, name, type_, (), stateful)
    action = Action.REPLACE if name in replaced else _ACTIONS[said["Action"]]
    properties = diff_properties(old.properties if old else {}, new.properties if new else {})
    return Change(action, name, type_, properties or _targets(said), stateful)


def _targets(said: Mapping[str, Any]) -> tuple[PropertyChange, ...]:
    """What the change set itself says differs, where the templates are alike."""
    found: dict[str, PropertyChange] = {}
    for detail in said.get("Details", ()):
        target = detail.get("Target", {})
        name = str(target.get("Name") or target.get("Attribute"))
        before, after = _read(target.get("BeforeValue")), _read(target.get("AfterValue"))
        # What hangs on something that changes is listed too, mostly to come out the same.
        for change in diff_properties({name: before}, {name: after}):
            found[change.path] = change
    return tuple(found[path] for path in sorted(found))


def _read(value: Any) -> Any:
    """A block as such, which CloudFormation writes as JSON."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _replaced(
    touched: Mapping[str, Mapping[str, Any]], before: Mapping[str, Resource]
) -> frozenset[str]:
    """Resources that are replaced: for certain, or because one they hang on is."""
    found = {
        name
        for name, one in touched.items()
        if one.get("Replacement") == "True" or _may_of_itself(one, before.get(name))
    }
    while True:
        more = {
            name
            for name, one in touched.items()
            if name not in found
            and one.get("Replacement") == "Conditional"
            and any(cause in found for cause in _causes(one))
        }
        if not more:
            return frozenset(found)
        found |= more


def _may_of_itself(said: Mapping[str, Any], old: Resource | None) -> bool:
    """A data store of which AWS says that its own change may replace it: then it counts as so."""
    return (
        said.get("Replacement") == "Conditional"
        and old is not None
        and old.stateful
        and any(
            detail.get("Evaluation") == "Static"
            and detail.get("Target", {}).get("RequiresRecreation") in ("Always", "Conditionally")
            for detail in said.get("Details", ())
        )
    )


def _causes(said: Mapping[str, Any]) -> list[str]:
    """Resources whose attributes bring a change about."""
    return [
        str(detail["CausingEntity"]).partition(".")[0]
        for detail in said.get("Details", ())
        if detail.get("CausingEntity")
        and detail.get("Target", {}).get("RequiresRecreation", "Never") != "Never"
    ]

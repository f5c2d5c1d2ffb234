"""Before and after of a change set: what ``IncludePropertyValues`` adds to its description.

Shapes: API reference, ResourceChange (BeforeContext, AfterContext) and ResourceTargetDefinition
(Path, BeforeValue, AfterValue, AttributeChangeType).
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any
from xml.sax.saxutils import escape

from kit import Properties
from ministack.services import cloudformation
from ministack.services.cloudformation import engine, handlers

LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"
HIDDEN = "****"


def install() -> None:
    """Wrap the two actions."""
    actions = handlers._ACTION_HANDLERS
    create, describe = actions["CreateChangeSet"], actions["DescribeChangeSet"]

    def created(params: dict[str, Any]) -> tuple[int, Any, Any]:
        answer: tuple[int, Any, Any] = create(params)
        found = re.search(r"<Id>([^<]+)</Id>", _text(answer))
        if answer[0] == 200 and found:
            _keep_contexts(cloudformation._change_sets[found[1]])
        return answer

    def described(params: dict[str, Any]) -> tuple[int, Any, Any]:
        answer: tuple[int, Any, Any] = describe(params)
        wanted = cloudformation._p(params, "IncludePropertyValues", "false").lower() == "true"
        found = re.search(r"<ChangeSetId>([^<]+)</ChangeSetId>", _text(answer))
        if answer[0] != 200 or not wanted or found is None:
            return answer
        text = _with_values(_text(answer), cloudformation._change_sets[found[1]])
        return answer[0], answer[1], text.encode()

    actions.update(CreateChangeSet=created, DescribeChangeSet=described)


def _text(answer: tuple[int, Any, Any]) -> str:
    body = answer[2]
    return body.decode() if isinstance(body, bytes) else str(body)


def _keep_contexts(change_set: Properties) -> None:
    stack = cloudformation._stacks[change_set["StackName"]]
    before = stack if change_set["ChangeSetType"] == "UPDATE" else {}
    made = stack.get("_resources", {})
    change_set["_contexts"] = {
        change["ResourceChange"]["LogicalResourceId"]: (
            _context(change["ResourceChange"]["LogicalResourceId"], before, made, stack),
            _context(change["ResourceChange"]["LogicalResourceId"], change_set, made, stack),
        )
        for change in change_set["Changes"]
    }


def _context(
    logical_id: str, source: Properties, made: Properties, stack: Properties
) -> Properties | None:
    """The resolved definition of a resource in a stack or change set; None when it has none."""
    template = source.get("_template") or {}
    definition = template.get("Resources", {}).get(logical_id)
    if definition is None:
        return None
    params = {
        name: {**value, "Value": HIDDEN} if value.get("NoEcho") else value
        for name, value in source.get("_resolved_params", {}).items()
    }
    conditions = engine._evaluate_conditions(template, source.get("_resolved_params", {}))
    unknown = set(template.get("Resources", {})) - set(made)
    kept = ("Properties", "Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy",
            "UpdateReplacePolicy")  # fmt: skip
    wanted = {
        key: _known(copy.deepcopy(definition[key]), unknown) for key in kept if key in definition
    }
    resolved: Properties = engine._resolve_refs(
        wanted, made, params, conditions, template.get("Mappings", {}),
        stack["StackName"], stack["StackId"],
    )  # fmt: skip
    return resolved


def _known(value: Any, unknown: set[str]) -> Any:
    """A value in which every function that needs a resource not made yet is named as such."""
    if isinstance(value, list):
        return [_known(inner, unknown) for inner in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")):
        needed = {name for name, _ in engine._intrinsic_references(value)}
        return LATER if needed & unknown else value
    return {key: _known(inner, unknown) for key, inner in value.items()}


def _with_values(text: str, change_set: Properties) -> str:
    """Put the contexts behind each change and the values into each of its details."""
    pieces = re.split(r"(?=<member><Type>Resource</Type>)", text)
    for number, change in enumerate(change_set["Changes"], 1):
        logical_id = change["ResourceChange"]["LogicalResourceId"]
        before, after = change_set["_contexts"][logical_id]
        details = iter(change["ResourceChange"].get("Details", []))

        def target(
            _: re.Match[str], before: Any = before, after: Any = after, details: Any = details
        ) -> str:
            return _target_values(next(details)["Target"], before, after) + "</Target>"

        piece = re.sub(r"</Target>", target, pieces[number])
        tail = "".join(
            f"<{name}>{escape(json.dumps(context))}</{name}>"
            for name, context in (("BeforeContext", before), ("AfterContext", after))
            if context is not None
        )
        pieces[number] = piece.replace("</ResourceChange>", f"{tail}</ResourceChange>", 1)
    return "".join(pieces)


def _target_values(target: Properties, before: Any, after: Any) -> str:
    path = [target["Attribute"], *filter(None, [target.get("Name")])]
    values = {"BeforeValue": _at(before, path), "AfterValue": _at(after, path)}
    kinds = {(True, False): "Remove", (False, True): "Add", (True, True): "Modify"}
    kind = kinds.get((values["BeforeValue"] is not None, values["AfterValue"] is not None))
    parts = {"Path": "/" + "/".join(path), **values, "AttributeChangeType": kind}
    return "".join(
        f"<{name}>{escape(value if isinstance(value, str) else json.dumps(value))}</{name}>"
        for name, value in parts.items()
        if value is not None
    )


def _at(context: Any, path: list[str]) -> Any:
    for key in path:
        context = context.get(key) if isinstance(context, dict) else None
    return context

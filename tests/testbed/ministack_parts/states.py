"""What CloudFormation refuses or counts as a change, and the emulator does not.

Updatable states and obsolete change sets: user guide, "Understand stack creation events" and
"Execute a change set". Outputs alone are a change, metadata alone is none: user guide, "Outputs"
and "Metadata".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kit import Properties
from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, handlers, helpers
from ministack.services.cloudformation.helpers import _error

Answer = tuple[int, Any, Any]
Action = Callable[[dict[str, Any]], Answer]

UPDATABLE = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    # Left so by DisableRollback: the next update goes on from there.
    "CREATE_FAILED",
    "UPDATE_FAILED",
}
NO_CHANGES = "The submitted information didn't contain changes."


def install() -> None:
    """Wrap the actions."""
    actions = handlers._ACTION_HANDLERS
    actions["CreateChangeSet"] = _created(actions["CreateChangeSet"])
    actions["DescribeChangeSet"] = _described(actions["DescribeChangeSet"])
    actions["ExecuteChangeSet"] = _executed(actions["ExecuteChangeSet"])
    _refuse_foreign_parameters()
    _read_bucket_urls()


def _stack_of(params: dict[str, Any]) -> Properties | None:
    stack: Properties | None = handlers._resolve_stack(cloudformation._p(params, "StackName"))
    return stack


def _not_updatable(stack: Properties) -> Answer:
    where, status = stack["StackId"], stack["StackStatus"]
    answer: Answer = _error(
        "ValidationError", f"Stack:{where} is in {status} state and can not be updated."
    )
    return answer


def _created(create: Action) -> Action:
    def created(params: dict[str, Any]) -> Answer:
        stack = _stack_of(params)
        kind = cloudformation._p(params, "ChangeSetType", "UPDATE")
        # One that is gone or only under review is refused by the emulator in its own words.
        judged = {*UPDATABLE, "DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}
        if kind == "UPDATE" and stack and stack["StackStatus"] not in judged:
            return _not_updatable(stack)
        if kind == "CREATE" and stack and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            refused: Answer = _error(
                "ValidationError",
                f"Stack [{stack['StackName']}] already exists and cannot be created again with "
                f"the changeSet [{cloudformation._p(params, 'ChangeSetName')}].",
            )
            return refused
        under_review = bool(stack) and stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        answer = create(params)
        found = re.search(r"<Id>([^<]+)</Id>", _text(answer))
        if answer[0] == 200 and found:
            change_set = cloudformation._change_sets[found[1]]
            _finish(change_set)
            if stack and under_review:
                return _in_same_stack(answer, change_set, stack["StackId"])
        return answer

    return created


def _in_same_stack(answer: Answer, change_set: Properties, stack_id: str) -> Answer:
    """A second first change set belongs to the stack under review; the emulator makes another."""
    made = change_set["StackId"]
    if made == stack_id:
        return answer  # an import, for which it makes none
    change_set["StackId"] = stack_id
    cloudformation._stacks[change_set["StackName"]]["StackId"] = stack_id
    cloudformation._stack_events.pop(made)
    return answer[0], answer[1], _text(answer).replace(made, stack_id).encode()


def _finish(change_set: Properties) -> None:
    stack = cloudformation._stacks[change_set["StackName"]]
    change_set["_made_against"] = stack["LastUpdatedTime"]
    hidden = {name for name, value in change_set["_resolved_params"].items() if value["NoEcho"]}
    for parameter in change_set["Parameters"]:
        if parameter["ParameterKey"] in hidden:
            parameter["ParameterValue"] = "****"
    old, new = stack.get("_template") or {}, change_set["_template"]
    if change_set["StatusReason"].startswith(NO_CHANGES) and _outputs(old) != _outputs(new):
        change_set.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")


def _outputs(template: Properties) -> Any:
    return template.get("Outputs") or {}


def _mark_obsolete(params: dict[str, Any]) -> None:
    """A change set whose stack has changed since cannot be executed any more."""
    names = (cloudformation._p(params, key) for key in ("ChangeSetName", "StackName"))
    _, change_set = changesets._find_change_set(*names)
    if change_set and change_set["ExecutionStatus"] == "AVAILABLE":
        stack = cloudformation._stacks.get(change_set["StackName"]) or {}
        if stack.get("LastUpdatedTime") != change_set["_made_against"]:
            change_set["ExecutionStatus"] = "OBSOLETE"


def _described(describe: Action) -> Action:
    def described(params: dict[str, Any]) -> Answer:
        _mark_obsolete(params)
        return describe(params)

    return described


def _executed(execute: Action) -> Action:
    def executed(params: dict[str, Any]) -> Answer:
        _mark_obsolete(params)
        names = (cloudformation._p(params, key) for key in ("ChangeSetName", "StackName"))
        _, change_set = changesets._find_change_set(*names)
        stack = cloudformation._stacks.get(change_set["StackName"]) if change_set else None
        if stack and change_set["ExecutionStatus"] == "AVAILABLE":
            ready = {*UPDATABLE, "REVIEW_IN_PROGRESS"}
            if stack["StackStatus"] not in ready:
                return _not_updatable(stack)
        return execute(params)

    return executed


def _text(answer: Answer) -> str:
    body = answer[2]
    return body.decode() if isinstance(body, bytes) else str(body)


def _refuse_foreign_parameters() -> None:
    for module in (handlers, changesets):
        module._resolve_parameters = _checked(module._resolve_parameters)


def _checked(resolve: Callable[..., Properties]) -> Callable[..., Properties]:
    def checked(template: Properties, provided: list[Properties], *rest: Any) -> Properties:
        known = template.get("Parameters") or {}
        foreign = [entry["Key"] for entry in provided if entry["Key"] not in known]
        if foreign:
            raise ValueError(f"Parameters: [{', '.join(foreign)}] do not exist in the template")
        return resolve(template, provided, *rest)

    return checked


def _read_bucket_urls() -> None:
    """A template's URL may name its bucket in the host; the emulator looks in the path only."""
    original = helpers._resolve_document

    def resolve(params: dict[str, Any], body: str, url: str, label: str) -> Any:
        given = cloudformation._p(params, url) or ""
        host = re.match(r"https://([a-z0-9.-]+)\.s3[.-][a-z0-9.-]*amazonaws\.com/(.+)", given)
        if host:
            params = {**params, url: [f"https://s3.amazonaws.com/{host[1]}/{host[2]}"]}
        return original(params, body, url, label)

    helpers._resolve_document = resolve

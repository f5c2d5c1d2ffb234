"""What a state of CloudFormation means for whoever wants to go on: fit, busy, or to be mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from tabular.deploy.aws.account.stacks import STUCK, Found
from tabular.deploy.aws.applying.follow import Heard
from tabular.errors import ApplyError, BusyError, ConflictError

_WAYS_OUT: Mapping[str, str] = {
    "UPDATE_ROLLBACK_FAILED": "mend what the reason names, then `aws cloudformation "
    "continue-update-rollback --stack-name {name}` (a resource that is gone for good: "
    "--resources-to-skip ID), wait for UPDATE_ROLLBACK_COMPLETE, and run the command again",
    "DELETE_FAILED": "mend what the reason names, and run `inferloop-tabular destroy "
    "--delete-data` again; it goes on",
    "UPDATE_FAILED": "it was kept for looking at it: `aws cloudformation rollback-stack "
    "--retain-except-on-create --stack-name {name}`, wait, and deploy again; or destroy it",
    # AWS continues the undoing of updates alone, says the reference of ContinueUpdateRollback.
    "IMPORT_ROLLBACK_FAILED": "somebody's import into the stack failed, and so did taking it back: "
    "mend what the reason names and ask AWS's support to go on; or, where `aws cloudformation "
    "get-template --stack-name {name}` has DeletionPolicy Retain of every resource that is to "
    "stay, delete the stack, deploy and import again",
}


def require_plannable(found: Found | None) -> None:
    """Refuse a stack in whose state nothing can be planned.

    Raises:
        BusyError: an operation runs.
        ConflictError: an operation ended in a state that a person has to leave.
    """
    if found is None:
        return
    if found.busy:
        raise BusyError(
            f"the stack is {found.status}",
            where=found.id,
            hint="wait for it (`inferloop-tabular status` shows it; `deploy` follows an apply), "
            "then run the command again",
        )
    if found.status in STUCK:
        refuse_stuck(found)
    if found.deleting:
        raise ConflictError(
            "a destroy with its data was begun here, and some of it may be gone",
            where=found.id,
            hint="`inferloop-tabular destroy --delete-data` again goes on; then deploy anew",
            code="conflict.deleting",
        )


def refuse_stuck(found: Found) -> NoReturn:
    """Say how to leave a state that a person has to leave.

    Raises:
        ConflictError: always.
    """
    raise ConflictError(
        f"the stack is {found.status}: {found.reason or 'no reason is given'}",
        where=found.id,
        hint=_WAYS_OUT[found.status].format(name=found.name),
        code="conflict.stack",
    )


def require_applied(stack_id: str, heard: Heard) -> None:
    """Say truthfully what an apply came to.

    Raises:
        ApplyError: it failed, with the cause; or it left something behind.
    """
    if heard.well:
        require_nothing_left(stack_id, heard, "what was planned is there and serves")
        return
    name = stack_id.split("/")[1]
    outcome = "undone" if heard.undone else f"left as {heard.status}"
    way_out = "`inferloop-tabular status` shows what is there; deploy again, or destroy"
    raise ApplyError(
        f"the apply failed and was {outcome}: {heard.reason or 'CloudFormation gives no reason'}",
        rolled_back=heard.undone,
        where=stack_id,
        hint="mend that, and deploy again"
        if heard.undone
        else _WAYS_OUT.get(heard.status, way_out).format(name=name),
    )


def require_nothing_left(stack_id: str, heard: Heard, done: str) -> None:
    """Tell of what an update could not delete: it ends well all the same, and forgets it.

    Raises:
        ApplyError: something is in no stack any more.
    """
    if heard.undeleted:
        left = "; ".join(
            f"{name} ({physical}): {why or 'no reason is given'}"
            for name, (physical, why) in sorted(heard.undeleted.items())
        )
        raise ApplyError(
            f"{done}, but not all that was to go could be deleted, and no stack knows it any "
            f"more: {left}",
            rolled_back=False,
            where=stack_id,
            hint="delete it by hand once nothing uses it; the deployment itself is fine",
            code="engine.left-behind",
        )


def require_imported(stack_id: str, heard: Heard) -> None:
    """Say truthfully what an import came to.

    Raises:
        ApplyError: it failed, with the cause. An import changes nothing of what it adopts.
    """
    if not heard.well:
        outcome = "taken back" if heard.undone else f"left as {heard.status}"
        way_out = "`inferloop-tabular status` shows what is there"
        raise ApplyError(
            f"the import failed and was {outcome}: "
            f"{heard.reason or 'CloudFormation gives no reason'}; what was to be imported is as "
            "it was",
            rolled_back=heard.undone,
            where=stack_id,
            hint="mend that, and import again"
            if heard.undone
            else _WAYS_OUT.get(heard.status, way_out).format(name=stack_id.split("/")[1]),
        )


def settling_undone(stack_id: str, resource: str, heard: Heard) -> str:
    """Why what an imported resource is could not be put into the template, which was undone.

    Raises:
        ApplyError: it was not undone.
    """
    cause = heard.reason or "CloudFormation gives no reason"
    if not heard.undone:
        way_out = "`inferloop-tabular status` shows what is there"
        raise ApplyError(
            f"its template could not be made true, and the stack is left as {heard.status}: "
            f"{cause}",
            rolled_back=False,
            where=stack_id,
            hint=_WAYS_OUT.get(heard.status, way_out).format(name=stack_id.split("/")[1]),
        )
    return f"of {resource} ({cause})"


def require_settled(stack_id: str, undone: Sequence[str]) -> None:
    """Tell of what was undone.

    Args:
        stack_id: ARN of the stack.
        undone: as :func:`settling_undone` says it.

    Raises:
        ApplyError: something was.
    """
    if undone:
        raise ApplyError(
            f"an update was undone {', '.join(undone)}; by that CloudFormation may have made it "
            "what the spec says",
            rolled_back=False,
            where=stack_id,
            hint="`inferloop-tabular drift` tells where it differs; mend what the reason names, "
            "and run the same import again",
        )


def destroy_failed(stack_id: str, heard: Heard) -> ApplyError:
    """A destroy failed; what it came to."""
    rest = "everything is as it was" if heard.undone else f"and the stack is {heard.status}"
    return ApplyError(
        f"the destroy failed, {rest}: {heard.reason or 'CloudFormation gives no reason'}",
        rolled_back=heard.undone,
        where=stack_id,
        hint="mend that, and run `inferloop-tabular destroy` again; it goes on",
    )

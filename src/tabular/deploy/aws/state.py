"""What CloudFormation says of a stack, in the words of every provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tabular.deploy.aws.stacks import STUCK, Found
from tabular.deploy.provider import ResourceStatus, State, Status


def status_of(found: Found, resources: Iterable[Mapping[str, Any]]) -> Status:
    """The state of a deployment.

    Args:
        found: its stack.
        resources: ``StackResourceSummary`` of each of its resources.
    """
    return Status(
        target=found.target,
        state=_state(found),
        release=found.release,
        updated=found.updated,
        spec=found.described.get("spec", {}),
        resources=tuple(
            ResourceStatus(
                one["LogicalResourceId"],
                one["ResourceType"],
                one["ResourceStatus"],
                one.get("ResourceStatusReason", "") or one.get("PhysicalResourceId", ""),
            )
            for one in resources
        ),
        outputs=dict(found.outputs),
        detail=_detail(found),
    )


def _state(found: Found) -> State:
    if found.busy:
        return State.APPLYING
    if found.unborn:
        return State.FAILED
    if found.status in STUCK:
        return State.DEGRADED
    return State.RETAINED if found.retained else State.READY


def _detail(found: Found) -> str:
    if _state(found) in (State.READY, State.RETAINED) and not found.reason:
        return ""
    return f"{found.status}: {found.reason}" if found.reason else found.status

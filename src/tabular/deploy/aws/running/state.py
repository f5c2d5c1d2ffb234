"""What CloudFormation and the services say of a deployment, in the words of every provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabular.deploy.aws.account.stacks import STUCK, Found
from tabular.deploy.aws.running.answers import Finding
from tabular.deploy.provider import ResourceStatus, State, Status


def status_of(
    found: Found, resources: Iterable[Mapping[str, Any]], findings: Sequence[Finding] = ()
) -> Status:
    """The state of a deployment.

    Args:
        found: its stack.
        resources: ``StackResourceSummary`` of each of its resources.
        findings: what the services say of them.
    """
    return Status(
        target=found.target,
        state=_state(found, findings),
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
        detail=_detail(found, findings),
    )


def _state(found: Found, findings: Sequence[Finding]) -> State:
    if found.busy:
        return State.APPLYING
    if found.unborn:
        return State.FAILED
    if found.status in STUCK or not all(finding.well for finding in findings):
        return State.DEGRADED
    return State.RETAINED if found.retained else State.READY


def _detail(found: Found, findings: Sequence[Finding]) -> str:
    plain = _state(found, ()) in (State.READY, State.RETAINED)
    if plain and not found.reason:
        of_stack = ""
    else:
        of_stack = f"{found.status}: {found.reason}" if found.reason else found.status
    return ". ".join([*filter(None, [of_stack]), *map(str, findings)])

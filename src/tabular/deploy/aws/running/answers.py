"""What the answers of AWS's services mean for whoever uses the platform.

Plain functions of what an API answered, so that what only a real account shows (tasks that die, a
database without room) can be tried with answers in the shape of AWS's own models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Answer = Mapping[str, Any]

# Statuses in which a database serves. Source: the user guide of Amazon RDS, "Viewing DB instance
# status"; those where it is restarted, repaired or out of room are left out.
_SERVING_DATABASE = frozenset(
    {"available", "backing-up", "configuring-enhanced-monitoring",
     "configuring-iam-database-auth", "configuring-log-exports", "modifying",
     "resetting-master-credentials", "storage-config-upgrade", "storage-initialization",
     "storage-optimization"}
)  # fmt: skip
# Source: the API reference of Amazon ElastiCache, ReplicationGroup.Status.
_SERVING_CACHE = frozenset({"available", "modifying", "snapshotting"})
# Source: the developer guide of Amazon ECS, "Service event messages".
_STEADY = "has reached a steady state"
_TROUBLE = "unable to"  # "… consistently start tasks", "… place a task", "… assume the role"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said of one resource.

    Attributes:
        resource: its logical id.
        words: what is the matter.
        well: whether the platform serves as it should all the same.
    """

    resource: str
    words: str
    well: bool

    def __str__(self) -> str:
        return f"{self.resource}: {self.words}"


def needed(desired: int, least: Any) -> int:
    """How many have to run: what is over the least is growth, which takes its minutes.

    Args:
        desired: what scaling or a schedule asks for now.
        least: what the template says, as it stands there; None where it says nothing.
    """
    said = str(least)
    return min(desired, int(said)) if said.isdecimal() else desired


def absent(id_: str, found: Sequence[Answer]) -> Iterator[Finding]:
    """A service answered, and knows nothing of the resource."""
    if not found:
        yield Finding(id_, "is gone", well=False)


def of_service(id_: str, service: Answer, least: Any) -> Iterator[Finding]:
    """A service of ECS.

    Args:
        id_: its logical id.
        service: one of ``services`` of DescribeServices.
        least: how many tasks there are at least, as the template says.
    """
    desired, runs = service["desiredCount"], service["runningCount"]
    trouble = _trouble(service.get("events", ()))
    last = trouble or _last(service.get("events", ()))
    failed = [one for one in service.get("deployments", ()) if one.get("rolloutState") == "FAILED"]
    if failed:
        last = failed[0].get("rolloutStateReason", "") or last
    words = f"{runs} of {desired} tasks run" + (f"; last: {last}" if last else "")
    if runs < needed(desired, least) or trouble or failed:
        yield Finding(id_, words, well=False)
    elif runs < desired:
        yield Finding(id_, f"{runs} of {desired} tasks run, more are starting", well=True)


def _trouble(events: Sequence[Answer]) -> str:
    """What the service complains of since it was steady, newest first; "" if of nothing."""
    for event in events:
        if _STEADY in event["message"]:
            break
        if _TROUBLE in event["message"]:
            return _said(event)
    return ""


def _last(events: Sequence[Answer]) -> str:
    return _said(events[0]) if events and _STEADY not in events[0]["message"] else ""


def _said(event: Answer) -> str:
    """The words of an event without "(service NAME)" before them."""
    message: str = event["message"]
    return message.partition(") ")[2] if message.startswith("(service ") else message


def of_group(id_: str, group: Answer) -> Iterator[Finding]:
    """A group of Auto Scaling.

    Args:
        id_: its logical id.
        group: one of ``AutoScalingGroups`` of DescribeAutoScalingGroups.
    """
    desired = group["DesiredCapacity"]
    serve = sum(
        one["LifecycleState"] == "InService" and one["HealthStatus"] == "Healthy"
        for one in group["Instances"]
    )
    words = f"{serve} of {desired} instances are in service"
    if serve < needed(desired, group["MinSize"]):
        yield Finding(id_, words, well=False)
    elif serve < desired:
        yield Finding(id_, f"{words}, more are starting", well=True)


def after_activity(finding: Finding, activities: Sequence[Answer]) -> Finding:
    """The finding with what the group did last, as it says itself."""
    if not activities:
        return finding
    last = activities[0]
    said = last.get("StatusMessage") or last.get("Description") or last["StatusCode"]
    return replace(finding, words=f"{finding.words}; last: {said}")


def of_targets(id_: str, targets: Sequence[Answer], needed: int) -> Iterator[Finding]:
    """Where the load balancer sends requests.

    Args:
        id_: logical id of the target group.
        targets: ``TargetHealthDescriptions`` of DescribeTargetHealth.
        needed: how many have to be healthy.
    """
    healthy = [one for one in targets if one["TargetHealth"]["State"] == "healthy"]
    if len(healthy) >= needed:
        return
    words = f"{len(healthy)} of {needed} targets are healthy"
    reasons = {_reason(one["TargetHealth"]) for one in targets if one not in healthy}
    yield Finding(id_, "; ".join([words, *sorted(reasons)]), well=False)


def _reason(health: Answer) -> str:
    return f"{health['State']}: {health.get('Description') or health.get('Reason', '')}".rstrip(
        ": "
    )


def of_database(id_: str, instance: Answer) -> Iterator[Finding]:
    """An instance of RDS: one of ``DBInstances`` of DescribeDBInstances."""
    if instance["DBInstanceStatus"] not in _SERVING_DATABASE:
        yield Finding(id_, f"the database is {instance['DBInstanceStatus']}", well=False)


def of_cache(id_: str, group: Answer) -> Iterator[Finding]:
    """A group of ElastiCache: one of ``ReplicationGroups`` of DescribeReplicationGroups."""
    if group["Status"] not in _SERVING_CACHE:
        yield Finding(id_, f"the cache is {group['Status']}", well=False)


def of_function(id_: str, configuration: Answer) -> Iterator[Finding]:
    """A function of Lambda: the answer of GetFunctionConfiguration."""
    # Inactive: AWS put it aside because nobody called it; the next call brings it back.
    state = configuration.get("State", "Active")
    if state not in ("Active", "Inactive"):
        reason = configuration.get("StateReason", "")
        yield Finding(id_, f"the function is {state}: {reason}".rstrip(": "), well=False)
    elif configuration.get("LastUpdateStatus") == "Failed":
        reason = configuration.get("LastUpdateStatusReason", "")
        yield Finding(id_, f"its last update failed: {reason}".rstrip(": "), well=False)


def of_batch(id_: str, found: Answer) -> Iterator[Finding]:
    """A compute environment or job queue of Batch, as its Describe call has it."""
    if (found["state"], found["status"]) not in (("ENABLED", "VALID"), ("ENABLED", "UPDATING")):
        words = f"{found['state']}, {found['status']}: {found.get('statusReason', '')}"
        yield Finding(id_, words.rstrip(": "), well=False)

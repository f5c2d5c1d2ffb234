"""Instances that groups start, and the targets that load balancers find healthy.

The emulator counts the tasks of a service as running, but starts no instance for a group that
CloudFormation makes, and registers no target without a container. Here both follow what runs: a
task that is stopped, or a group that shrinks, takes its target along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kit import Properties
from ministack.services import alb, autoscaling, ecs
from repairs import wrap

_published: dict[str, list[str]] = {}


def install() -> None:
    """Wrap the type and the question."""
    wrap("AWS::AutoScaling::AutoScalingGroup", after=_start)
    describe = alb._ACTION_MAP["DescribeTargetHealth"]

    def described(parameters: dict[str, Any]) -> Any:
        target_group = alb._p(parameters, "TargetGroupArn")
        targets = [*_tasks(target_group), *_instances(target_group)]
        alb.set_targets_for_group(target_group, targets, _published.get(target_group, ()))
        _published[target_group] = [name for name, _ in targets]
        return describe(parameters)

    alb._ACTION_MAP["DescribeTargetHealth"] = described


def _start(name: str, old: Properties, new: Properties) -> None:
    autoscaling._reconcile_instances(autoscaling._asgs[name])


def _tasks(target_group: str) -> Iterator[tuple[str, int]]:
    for service in ecs._services.values():
        for balancer in service.get("loadBalancers") or ():
            if balancer.get("targetGroupArn") == target_group:
                group = f"service:{service['serviceName']}"
                running = [
                    task
                    for task in ecs._tasks.values()
                    if (task.get("group"), task.get("lastStatus")) == (group, "RUNNING")
                ]
                for number, _ in enumerate(running, start=1):
                    yield f"10.0.0.{number}", balancer["containerPort"]


def _instances(target_group: str) -> Iterator[tuple[str, int]]:
    for group in autoscaling._asgs.values():
        if target_group in group.get("TargetGroupARNs", ()):
            for instance in group["Instances"]:
                yield instance["InstanceId"], alb._tgs[target_group].get("Port", 80)

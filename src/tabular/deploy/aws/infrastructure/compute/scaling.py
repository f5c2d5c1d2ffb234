"""When instances are added and removed: target tracking, and the clock.

Both kinds of Auto Scaling that AWS has are given the same targets in their own words.
"""

from __future__ import annotations

from collections.abc import Mapping

from tabular.deploy.aws.infrastructure.compute import metrics, schedules
from tabular.deploy.aws.infrastructure.wanted import Capacity, Wanted
from tabular.deploy.aws.words.document import Document, Part, ref, resource, sub


def of_services(wanted: Wanted) -> Part:
    """Targets and policies for the services of ECS whose number may change."""
    found: Part = {}
    if is_scaled(wanted, "Api"):
        found["ApiScalingTarget"] = _target("Api", wanted.api, schedules.of_target(wanted))
    if wanted.api.scales:
        for name, (target, metric) in _api_of_service(wanted).items():
            found[f"Api{name}Scaling"] = _service_policy(wanted, f"Api{name}", target, metric)
    if is_scaled(wanted, "Worker"):
        found["WorkerScalingTarget"] = _target("Worker", wanted.workers, [])
        found["WorkerBacklogScaling"] = _service_policy(
            wanted, "WorkerBacklog", metrics.BACKLOG, _customized(metrics.backlog_of_tasks())
        )
    return found


def of_groups(wanted: Wanted) -> Part:
    """Policies and scheduled actions for the groups of instances whose number may change."""
    found = schedules.of_group(wanted)
    if wanted.api.scales:
        for name, (target, metric) in _api_of_group(wanted).items():
            found[f"Api{name}Scaling"] = _group_policy(wanted, "ApiGroup", target, metric)
    if workers_scale(wanted):
        found["WorkerBacklogScaling"] = _group_policy(
            wanted, "WorkerGroup", metrics.BACKLOG, _customized(metrics.backlog_of_instances())
        )
    return found


def is_scaled(wanted: Wanted, prefix: str) -> bool:
    """Whether the number of a service's tasks changes by itself: by load, or by the clock.

    Args:
        wanted: what is deployed.
        prefix: ``Api`` or ``Worker``.
    """
    if prefix == "Worker":
        return workers_scale(wanted)
    return wanted.api.scales or bool(wanted.spec.compute.schedules)


def workers_scale(wanted: Wanted) -> bool:
    """Whether the number of workers follows the queue; none are started where none are wanted."""
    return wanted.workers.scales and wanted.workers.minimum > 0


def _api_of_service(wanted: Wanted) -> Mapping[str, tuple[float, Document]]:
    said = wanted.spec.compute.autoscaling
    found = {"Cpu": (float(said.cpu_target), _predefined("ECSServiceAverageCPUUtilization"))}
    if said.memory_target is not None:
        memory = _predefined("ECSServiceAverageMemoryUtilization")
        found["Memory"] = (float(said.memory_target), memory)
    return {**found, **_api_by_requests(wanted)}


def _api_of_group(wanted: Wanted) -> Mapping[str, tuple[float, Document]]:
    said = wanted.spec.compute.autoscaling
    found = {"Cpu": (float(said.cpu_target), _predefined("ASGAverageCPUUtilization"))}
    if said.memory_target is not None:
        found["Memory"] = (float(said.memory_target), _customized(metrics.memory("ApiGroup")))
    return {**found, **_api_by_requests(wanted)}


def _api_by_requests(wanted: Wanted) -> Mapping[str, tuple[float, Document]]:
    requests = wanted.spec.compute.autoscaling.concurrency
    if requests is None:
        return {}
    return {"Requests": (float(requests), _customized(metrics.concurrency()))}


def _predefined(name: str) -> Document:
    return {"PredefinedMetricSpecification": {"PredefinedMetricType": name}}


def _customized(queries: list[Document]) -> Document:
    return {"CustomizedMetricSpecification": {"Metrics": queries}}


def _target(prefix: str, capacity: Capacity, actions: list[Document]) -> Document:
    # Application Auto Scaling acts by its service-linked role, which it makes by itself.
    return resource(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        {
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": sub(f"service/${{Cluster}}/${{{prefix}Service.Name}}"),
            "MinCapacity": capacity.minimum,
            "MaxCapacity": capacity.maximum,
            "ScheduledActions": actions or None,
        },
    )


def _service_policy(wanted: Wanted, name: str, target: float, metric: Document) -> Document:
    cooldown = _cooldown(wanted)
    waits = {"ScaleInCooldown": cooldown, "ScaleOutCooldown": cooldown} if cooldown else {}
    prefix = "Worker" if name.startswith("Worker") else "Api"
    return resource(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        {
            # Required, and unique only within the target.
            "PolicyName": name,
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": ref(f"{prefix}ScalingTarget"),
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": target, **metric, **waits},
        },
    )


def _group_policy(wanted: Wanted, group: str, target: float, metric: Document) -> Document:
    # Target tracking of groups knows no cooldown: it leaves the group alone while instances warm.
    return resource(
        "AWS::AutoScaling::ScalingPolicy",
        {
            "AutoScalingGroupName": ref(group),
            "PolicyType": "TargetTrackingScaling",
            "EstimatedInstanceWarmup": _cooldown(wanted),
            "TargetTrackingConfiguration": {"TargetValue": target, **metric},
        },
    )


def _cooldown(wanted: Wanted) -> int | None:
    cooldown = wanted.spec.compute.autoscaling.cooldown
    return None if cooldown is None else int(cooldown.total_seconds())

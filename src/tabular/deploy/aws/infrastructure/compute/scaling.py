"""When instances are added and removed: target tracking of ECS services."""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.document import Document, Part, ref, resource, sub
from tabular.deploy.aws.wanted import Capacity, Wanted


def of_services(wanted: Wanted) -> Part:
    """Targets and policies for the services of ECS whose number may change."""
    found: Part = {}
    if wanted.api.scales:
        found["ApiScalingTarget"] = _target("Api", wanted.api)
        found["ApiCpuScaling"] = _policy(
            "Api",
            wanted,
            wanted.spec.compute.autoscaling.cpu_target,
            {"PredefinedMetricSpecification": _predefined("ECSServiceAverageCPUUtilization")},
        )
    return found


def _predefined(name: str) -> Document:
    return {"PredefinedMetricType": name}


def _target(prefix: str, capacity: Capacity) -> Document:
    return resource(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        {
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": sub(f"service/${{Cluster}}/${{{prefix}Service.Name}}"),
            "MinCapacity": capacity.minimum,
            "MaxCapacity": capacity.maximum,
        },
    )


def _policy(prefix: str, wanted: Wanted, target: float, metric: Document) -> Document:
    cooldown = wanted.spec.compute.autoscaling.cooldown
    seconds: dict[str, Any] = {}
    if cooldown is not None:
        whole = int(cooldown.total_seconds())
        seconds = {"ScaleInCooldown": whole, "ScaleOutCooldown": whole}
    return resource(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        {
            "PolicyName": "target",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": ref(f"{prefix}ScalingTarget"),
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": target,
                **metric,
                **seconds,
            },
        },
    )

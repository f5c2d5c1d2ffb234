"""Scaling of services and groups: targets, policies and schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Item, Piece, Place, settled
from tabular.deploy.aws.export.terraform.rules import Kind, Rules, block, body, tags, unsaid
from tabular.deploy.export.hcl import Attribute, Expression, identifier

_NAMED: Rules = {"Name": "name", "Value": "value"}
_METRIC: Rules = {
    "Id": "id",
    "Label": "label",
    "Expression": "expression",
    "ReturnData": "return_data",
    "MetricStat": block(
        "metric_stat",
        {
            "Stat": "stat",
            "Unit": "unit",
            "Metric": block(
                "metric",
                {
                    "Namespace": "namespace",
                    "MetricName": "metric_name",
                    "Dimensions": block("dimensions", _NAMED),
                },
            ),
        },
    ),
}
_TRACKING: Rules = {
    "TargetValue": "target_value",
    "DisableScaleIn": "disable_scale_in",
    "ScaleInCooldown": "scale_in_cooldown",
    "ScaleOutCooldown": "scale_out_cooldown",
    "PredefinedMetricSpecification": block(
        "predefined_metric_specification",
        {"PredefinedMetricType": "predefined_metric_type", "ResourceLabel": "resource_label"},
    ),
    "CustomizedMetricSpecification": block(
        "customized_metric_specification", {"Metrics": block("metrics", _METRIC)}
    ),
}
_OF_TARGET = ("service_namespace", "resource_id", "scalable_dimension")
_ACTION: Rules = {
    "ScheduledActionName": "name",
    "Schedule": "schedule",
    "Timezone": "timezone",
    "ScalableTargetAction": block(
        "scalable_target_action", {"MinCapacity": "min_capacity", "MaxCapacity": "max_capacity"}
    ),
}


def _scheduled(place: Place, value: Any) -> Iterator[Piece]:
    """Made anew over one that runs: Application Auto Scaling takes the same name as an update."""
    for number, one in enumerate(place.listed(value)):
        own = [Attribute(name, place.itself(name)) for name in _OF_TARGET]
        items = settled([*own, *body(_ACTION, one, place.within(str(number)))])
        name = identifier(place.text_of(one, "ScheduledActionName")).replace("-", "_")
        label = f"{place.label}_{name}"
        yield Piece("aws_appautoscaling_scheduled_action", label, items)


def _target(place: Place, value: Any) -> Iterator[Item]:
    """The three words by which a target is known."""
    target = place.value(value)
    if not isinstance(target, Expression):
        place.refuse("a target that is not of this template")
    address = target.text.rpartition(".")[0]
    for name in _OF_TARGET:
        yield Attribute(name, Expression(f"{address}.{name}"))


def _running_target(place: Place) -> str:
    """CloudFormation's RESOURCE|DIMENSION|NAMESPACE."""
    resource, dimension, namespace = place.adopted.split("|")
    return f"{namespace}/{resource}/{dimension}"


def _running_policy(place: Place) -> str:
    """Of the target's id and the policy's name."""
    resource, dimension, namespace = place.running(place.properties["ScalingTargetId"]).split("|")
    return f"{namespace}/{resource}/{dimension}/{place.properties['PolicyName']}"


def _policy_name(place: Place) -> str:
    """At the end of the policy's ARN."""
    return place.adopted.rpartition("policyName/")[2]


def _running_group_policy(place: Place) -> str:
    group = place.running(place.properties["AutoScalingGroupName"])
    return f"{group}/{_policy_name(place)}"


def _running_schedule(place: Place) -> str:
    return f"{place.running(place.properties['AutoScalingGroupName'])}/{place.adopted}"


KINDS: Mapping[str, Kind] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Kind(
        "aws_appautoscaling_target",
        {
            "ServiceNamespace": "service_namespace",
            "ResourceId": "resource_id",
            "ScalableDimension": "scalable_dimension",
            "MinCapacity": "min_capacity",
            "MaxCapacity": "max_capacity",
            "Tags": tags,
            "ScheduledActions": unsaid,
        },
        beside={"ScheduledActions": _scheduled},
        running=_running_target,
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Kind(
        "aws_appautoscaling_policy",
        {
            "PolicyName": "name",
            "PolicyType": "policy_type",
            "ScalingTargetId": _target,
            "TargetTrackingScalingPolicyConfiguration": block(
                "target_tracking_scaling_policy_configuration", _TRACKING
            ),
        },
        running=_running_policy,
    ),
    "AWS::AutoScaling::ScalingPolicy": Kind(
        "aws_autoscaling_policy",
        {
            "AutoScalingGroupName": "autoscaling_group_name",
            "PolicyType": "policy_type",
            "EstimatedInstanceWarmup": "estimated_instance_warmup",
            "TargetTrackingConfiguration": block("target_tracking_configuration", _TRACKING),
        },
        named="name",
        running=_running_group_policy,
        name_of=_policy_name,
    ),
    "AWS::AutoScaling::ScheduledAction": Kind(
        "aws_autoscaling_schedule",
        {
            "AutoScalingGroupName": "autoscaling_group_name",
            "Recurrence": "recurrence",
            "TimeZone": "time_zone",
            "MinSize": "min_size",
            "MaxSize": "max_size",
            "DesiredCapacity": "desired_capacity",
        },
        named="scheduled_action_name",
        running=_running_schedule,
    ),
}

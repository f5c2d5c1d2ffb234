"""Compute on instances: launch templates and groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Ignored, Item, Piece, Place, settled
from tabular.deploy.aws.export.terraform.rules import (
    Kind,
    Rules,
    block,
    body,
    inline,
    number,
    pairs,
    single,
    unsaid,
)
from tabular.deploy.export.hcl import Attribute, Block

_VERSION: Rules = {"LaunchTemplateId": "launch_template_id", "Version": "version"}
_HOOK: Rules = {
    "LifecycleHookName": "name",
    "LifecycleTransition": "lifecycle_transition",
    "HeartbeatTimeout": "heartbeat_timeout",
    "DefaultResult": "default_result",
}
_DATA: Rules = {
    "ImageId": "image_id",
    "InstanceType": "instance_type",
    "EbsOptimized": "ebs_optimized",
    "UserData": "user_data",
    "IamInstanceProfile": block("iam_instance_profile", {"Arn": "arn", "Name": "name"}),
    "NetworkInterfaces": block(
        "network_interfaces",
        {
            "DeviceIndex": "device_index",
            "AssociatePublicIpAddress": "associate_public_ip_address",
            "Groups": "security_groups",
        },
    ),
    "MetadataOptions": block(
        "metadata_options",
        {
            "HttpEndpoint": "http_endpoint",
            "HttpTokens": "http_tokens",
            "HttpPutResponseHopLimit": "http_put_response_hop_limit",
        },
    ),
    "BlockDeviceMappings": block(
        "block_device_mappings",
        {
            "DeviceName": "device_name",
            "Ebs": block(
                "ebs",
                {
                    "VolumeType": "volume_type",
                    "VolumeSize": "volume_size",
                    "Iops": "iops",
                    "Throughput": "throughput",
                    "Encrypted": "encrypted",
                    "KmsKeyId": "kms_key_id",
                    "DeleteOnTermination": "delete_on_termination",
                },
            ),
        },
    ),
    "Monitoring": block("monitoring", {"Enabled": "enabled"}),
    "TagSpecifications": block(
        "tag_specifications", {"ResourceType": "resource_type", "Tags": pairs("tags", "Key")}
    ),
}
_DISTRIBUTION: Rules = {
    "OnDemandBaseCapacity": "on_demand_base_capacity",
    "OnDemandPercentageAboveBaseCapacity": "on_demand_percentage_above_base_capacity",
    "SpotAllocationStrategy": "spot_allocation_strategy",
    "SpotMaxPrice": "spot_max_price",
}
_REFRESH: Rules = {
    "Strategy": "strategy",
    "Preferences": block(
        "preferences",
        {
            "MinHealthyPercentage": "min_healthy_percentage",
            "MaxHealthyPercentage": "max_healthy_percentage",
            "InstanceWarmup": "instance_warmup",
            "SkipMatching": "skip_matching",
        },
    ),
}


def _hooks(place: Place, value: Any) -> Iterator[Item]:
    """Part of a group that is made, since its first instances need them already."""
    if not place.adopted:
        yield from block("initial_lifecycle_hook", _HOOK)(place, value)


def _hooks_beside(place: Place, value: Any) -> Iterator[Piece]:
    """Of a group that runs, whose hooks the provider reads in no other way."""
    if not place.adopted:
        return
    for entry in place.listed(value):
        items = body(_HOOK, entry, place)
        group = Attribute("autoscaling_group_name", place.itself("name"))
        name = entry["LifecycleHookName"]
        label = f"{place.label}_{name.replace('-', '_')}"
        running = f"{place.adopted}/{name}"
        yield Piece("aws_autoscaling_lifecycle_hook", label, settled([group, *items]), running)


def _tags(place: Place, value: Any) -> Iterator[Item]:
    for key, said, handed_on in sorted(place.named(value, "Key", "Value", "PropagateAtLaunch")):
        items = {"key": key, "value": said, "propagate_at_launch": handed_on}
        yield Block("tag", (), tuple(Attribute(k, place.value(v)) for k, v in items.items()))


def _keep_size(place: Place, value: Any) -> Iterator[Item]:
    """What scaling and schedules have done since stays as it is."""
    if value:
        yield Ignored("desired_capacity")


def _patience(place: Place, value: Any) -> Iterator[Item]:
    """``PT15M``, which Terraform writes as ``15m``; it waits for all that are desired anyway."""
    yield Attribute("wait_for_capacity_timeout", value.removeprefix("PT").lower())


KINDS: Mapping[str, Kind] = {
    "AWS::EC2::LaunchTemplate": Kind(
        "aws_launch_template",
        {"LaunchTemplateData": inline(_DATA)},
        attributes={"LatestVersionNumber": "latest_version"},
    ),
    "AWS::AutoScaling::AutoScalingGroup": Kind(
        "aws_autoscaling_group",
        {
            "MinSize": number("min_size"),
            "MaxSize": number("max_size"),
            "DesiredCapacity": number("desired_capacity"),
            "VPCZoneIdentifier": "vpc_zone_identifier",
            "TargetGroupARNs": "target_group_arns",
            "HealthCheckType": "health_check_type",
            "HealthCheckGracePeriod": "health_check_grace_period",
            "DefaultInstanceWarmup": "default_instance_warmup",
            "CapacityRebalance": "capacity_rebalance",
            "MetricsCollection": single(
                inline({"Granularity": "metrics_granularity", "Metrics": "enabled_metrics"})
            ),
            "CreationPolicy": inline(
                {"ResourceSignal": inline({"Count": unsaid, "Timeout": _patience})}
            ),
            "LaunchTemplate": block(
                "launch_template", {"LaunchTemplateId": "id", "Version": "version"}
            ),
            "MixedInstancesPolicy": block(
                "mixed_instances_policy",
                {
                    "InstancesDistribution": block("instances_distribution", _DISTRIBUTION),
                    "LaunchTemplate": block(
                        "launch_template",
                        {
                            "LaunchTemplateSpecification": block(
                                "launch_template_specification", _VERSION
                            ),
                            "Overrides": block("override", {"InstanceType": "instance_type"}),
                        },
                    ),
                },
            ),
            "LifecycleHookSpecificationList": _hooks,
            "UpdatePolicy": inline(
                {
                    "AutoScalingInstanceRefresh": block("instance_refresh", _REFRESH),
                    "AutoScalingScheduledAction": inline(
                        {"IgnoreUnmodifiedGroupSizeProperties": _keep_size}
                    ),
                }
            ),
            "Tags": _tags,
        },
        beside={"LifecycleHookSpecificationList": _hooks_beside},
        ref="name",
        named="name",
        served=True,
    ),
}

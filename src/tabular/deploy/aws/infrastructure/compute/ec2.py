"""Instances: a launch template and an Auto Scaling group each for the API and the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tabular.deploy.aws.infrastructure.compute import bootstrap, scaling, schedules
from tabular.deploy.aws.infrastructure.networking import way_out
from tabular.deploy.aws.infrastructure.wanted import Capacity, Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub
from tabular.deploy.stack import Reduction

GIB = 2**30
SMALLEST_DISK = 30  # GiB: the system, Docker, the image, and room for the files of a task
# Where AWS keeps the id of the newest image of a kind.
_IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_GPU_IMAGE = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
# What else is taken of spot, if we chose the type: the more kinds, the rarer are interruptions.
# Families that have the same sizes with the same cores and memory.
_ALIKE = {
    "c6i": ("c6a", "c5a"),
    "m6i": ("m6a", "m5", "m5a"),
    "r6i": ("r6a", "r5", "r5a"),
    "t3": ("t3a",),
}
_METRICS = ("GroupDesiredCapacity", "GroupInServiceInstances", "GroupMaxSize", "GroupMinSize")
_WARM = 120  # seconds that a new instance is left out of the averages


def resources(wanted: Wanted) -> Part:
    """Templates, groups and what scales them."""
    return {
        "ApiLaunchTemplate": _template(wanted, "Api"),
        "ApiGroup": _group(
            wanted,
            "Api",
            wanted.api,
            TargetGroupARNs=[ref("TargetGroup")],
            HealthCheckType="ELB",
        ),
        "WorkerLaunchTemplate": _template(wanted, "Worker"),
        "WorkerGroup": _group(wanted, "Worker", wanted.workers, HealthCheckType="EC2"),
        **scaling.of_groups(wanted),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Nothing of its own."""
    yield from schedules.reductions(wanted)


def disk_size(wanted: Wanted) -> int:
    """GiB of an instance's disk."""
    return max(SMALLEST_DISK, -(-(wanted.spec.compute.disk or 0) // GIB))


def hardened(wanted: Wanted) -> Document:
    """What every launch template says: metadata by version 2 and no further than the instance
    itself, and an encrypted disk."""
    return {
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        },
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": _disk(wanted)}],
    }


def _template(wanted: Wanted, prefix: str) -> Document:
    program = prefix.lower()
    gpu = wanted.spec.compute.gpu == "required"
    return resource(
        "AWS::EC2::LaunchTemplate",
        {
            "LaunchTemplateData": {
                **hardened(wanted),
                "ImageId": f"{{{{resolve:ssm:{_GPU_IMAGE if gpu else _IMAGE}}}}}",
                "InstanceType": wanted.instance_type,
                "IamInstanceProfile": {"Arn": att("InstanceProfile", "Arn")},
                "NetworkInterfaces": [
                    {
                        "DeviceIndex": 0,
                        "AssociatePublicIpAddress": False,
                        "Groups": [att("ServiceSecurityGroup", "GroupId")],
                    }
                ],
                "Monitoring": {"Enabled": wanted.spec.monitoring.detailed},
                "TagSpecifications": [_tags(wanted, "volume", program)],
                "UserData": bootstrap.user_data(wanted, program, f"{prefix}Group"),
            }
        },
    )


def _disk(wanted: Wanted) -> Document:
    return {
        "VolumeType": "gp3",
        "VolumeSize": disk_size(wanted),
        "Encrypted": True,
        "KmsKeyId": wanted.key_arn,
        "DeleteOnTermination": True,
    }


def _tags(wanted: Wanted, kind: str, program: str) -> Document:
    """A group hands its tags to instances, not to their disks."""
    found = {**wanted.tags, "Name": f"{wanted.target.name}-{program}"}
    tags = [{"Key": key, "Value": value} for key, value in sorted(found.items())]
    return {"ResourceType": kind, "Tags": tags}


def _group(wanted: Wanted, prefix: str, capacity: Capacity, **more: Any) -> Document:
    name = {"Key": "Name", "Value": f"{wanted.target.name}-{prefix.lower()}"}
    return resource(
        "AWS::AutoScaling::AutoScalingGroup",
        {
            **_machines(wanted, f"{prefix}LaunchTemplate"),
            "MinSize": str(capacity.minimum),
            "MaxSize": str(capacity.maximum),
            "DesiredCapacity": str(capacity.desired),
            "VPCZoneIdentifier": wanted.private_subnets,
            "HealthCheckGracePeriod": 60,
            "DefaultInstanceWarmup": _WARM,
            "LifecycleHookSpecificationList": [
                {
                    "LifecycleHookName": bootstrap.HOOK,
                    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                    "HeartbeatTimeout": bootstrap.PATIENCE,
                    "DefaultResult": "ABANDON",
                }
            ],
            "MetricsCollection": [{"Granularity": "1Minute", "Metrics": list(_METRICS)}],
            "Tags": [{**name, "PropagateAtLaunch": True}],
            **more,
        },
        depends_on=[*way_out(wanted), *(["Listener"] if prefix == "Api" else [])],
        UpdatePolicy=_update(),
        **_creation(capacity),
    )


def _update() -> Document:
    """Replaced one after the other, each by one that has said it is ready; the number is kept.

    Of the two ways that CloudFormation has, an instance refresh is the one that starts the new
    instance before it ends the old one even where the group is as large as it may be; a rolling
    update would go below.
    """
    return {
        "AutoScalingInstanceRefresh": {
            "Strategy": "Rolling",
            "Preferences": {
                "MinHealthyPercentage": 100,
                "MaxHealthyPercentage": 110,
                "InstanceWarmup": _WARM,
                "SkipMatching": True,
            },
        },
        # What scaling and schedules have done since stays as it is.
        "AutoScalingScheduledAction": {"IgnoreUnmodifiedGroupSizeProperties": True},
    }


def _creation(capacity: Capacity) -> Document:
    if not capacity.desired:
        return {}
    timeout = f"PT{bootstrap.PATIENCE // 60}M"
    return {"CreationPolicy": {"ResourceSignal": {"Count": capacity.desired, "Timeout": timeout}}}


def _machines(wanted: Wanted, template: str) -> Document:
    version = {
        "LaunchTemplateId": ref(template),
        "Version": sub(f"${{{template}.LatestVersionNumber}}"),
    }
    spot = wanted.spec.compute.spot
    if spot is None:
        return {"LaunchTemplate": version}
    return {
        # Before a machine is taken away, another one is started.
        "CapacityRebalance": True,
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": version,
                "Overrides": [{"InstanceType": one} for one in types(wanted)],
            },
            "InstancesDistribution": {
                "OnDemandBaseCapacity": spot.on_demand_base,
                "OnDemandPercentageAboveBaseCapacity": 100 - spot.share,
                "SpotAllocationStrategy": "price-capacity-optimized",
                **({"SpotMaxPrice": spot.max_price} if spot.max_price else {}),
            },
        },
    }


def types(wanted: Wanted) -> list[str]:
    """The instance type, and those like it unless the spec names one."""
    chosen = wanted.instance_type
    if wanted.spec.compute.instance_type is not None:
        return [chosen]
    family, _, size = chosen.partition(".")
    return [chosen, *(f"{one}.{size}" for one in _ALIKE.get(family, ()))]

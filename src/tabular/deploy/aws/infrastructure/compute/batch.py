"""AWS Batch: a queue for large generations in parts, on Fargate or on instances.

Each index of an array job draws some parts, and a job after it joins them; see
``tabular.worker.partition``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tabular.deploy.aws.infrastructure.compute import container, ec2, fargate
from tabular.deploy.aws.infrastructure.networking import way_out
from tabular.deploy.aws.infrastructure.service import USER
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words import sizes
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError

COMMAND = ("python", "-m", "tabular.worker.partition", "Ref::step", "Ref::order")
ATTEMPTS = 3
TIMEOUT = 21_600  # seconds of one attempt, as the service's own jobs have
# The exit code of what another attempt cannot help; a reclaimed spot machine has another one.
FINAL = 2
_FIXED = ("instances", "min_instances", "autoscaling")


def resources(wanted: Wanted) -> Part:
    """Where jobs run, the queue before it, and what a job is."""
    found = {
        "ComputeEnvironment": _environment(wanted),
        "JobQueue": resource(
            "AWS::Batch::JobQueue",
            {
                "Priority": 1,
                "ComputeEnvironmentOrder": [
                    {"Order": 1, "ComputeEnvironment": ref("ComputeEnvironment")}
                ],
            },
        ),
        "JobDefinition": _definition(wanted),
    }
    if wanted.on_instances:
        found["JobLaunchTemplate"] = resource(
            "AWS::EC2::LaunchTemplate", {"LaunchTemplateData": ec2.hardened(wanted)}
        )
    return found


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Batch starts machines while there are jobs, all of them of one kind."""
    compute = wanted.spec.compute
    for name in _FIXED:
        if name in compute.model_fields_set:
            value = getattr(compute, name)
            yield Reduction(
                f"spec.compute.{name}",
                "as it is said" if name == "autoscaling" else str(value),
                f"none without jobs, up to {wanted.workers.maximum}",
                "Batch counts the jobs that wait; workers and max_instances limit it",
            )
    spot = compute.spot
    if spot is not None and spot.share and (spot.share < 100 or spot.on_demand_base):
        yield Reduction(
            "spec.compute.spot",
            f"{spot.share} % above {spot.on_demand_base}",
            "100 %",
            "a queue of Batch takes one kind of machine until there are no more of it",
        )


def _spot(wanted: Wanted) -> bool:
    spot = wanted.spec.compute.spot
    if spot is not None and spot.max_price is not None:
        raise UnsupportedError(
            "Batch knows no highest price in dollars",
            where="spec.compute.spot.max_price",
            hint="leave it out; a spot machine never costs more than an ordinary one",
        )
    return spot is not None and spot.share > 0


def _size(wanted: Wanted) -> tuple[str, int, int]:
    """Cores of a job as Batch writes them, rounded up to whole ones, and MiB."""
    if wanted.on_instances:
        cores = -(-wanted.workers.cpu // sizes.CORE)
        return str(cores), cores, wanted.workers.memory
    compute = wanted.spec.compute
    units, mib = sizes.fargate(compute.cpu, compute.memory)
    return f"{units / sizes.CORE:g}", -(-units // sizes.CORE), mib


def _environment(wanted: Wanted) -> Document:
    spot = _spot(wanted)
    more = _instances(wanted, spot=spot) if wanted.on_instances else {}
    return resource(
        "AWS::Batch::ComputeEnvironment",
        {
            "Type": "MANAGED",
            "ComputeResources": {
                "Type": "FARGATE_SPOT" if spot else "FARGATE",
                "MaxvCpus": wanted.workers.maximum * _size(wanted)[1],
                "Subnets": wanted.private_subnets,
                "SecurityGroupIds": [att("ServiceSecurityGroup", "GroupId")],
                **more,
            },
            # Changed in place where Batch can. It can only without a role of ours.
            "ReplaceComputeEnvironment": False,
        },
        depends_on=way_out(wanted),
    )


def _instances(wanted: Wanted, *, spot: bool) -> Document:
    strategy = "SPOT_PRICE_CAPACITY_OPTIMIZED" if spot else "BEST_FIT_PROGRESSIVE"
    return {
        "Type": "SPOT" if spot else "EC2",
        "AllocationStrategy": strategy,
        "MinvCpus": 0,
        "InstanceTypes": [wanted.instance_type],
        "InstanceRole": att("InstanceProfile", "Arn"),
        "LaunchTemplate": {
            "LaunchTemplateId": ref("JobLaunchTemplate"),
            "Version": sub("${JobLaunchTemplate.LatestVersionNumber}"),
        },
        "Tags": wanted.tags,
        "UpdateToLatestImageVersion": True,
    }


def _definition(wanted: Wanted) -> Document:
    instances = wanted.on_instances
    return resource(
        "AWS::Batch::JobDefinition",
        {
            "Type": "container",
            "PlatformCapabilities": ["EC2" if instances else "FARGATE"],
            "PropagateTags": True,
            "Parameters": {"step": "draw", "order": ""},
            "ContainerProperties": {
                **_container(wanted),
                **({} if instances else _of_fargate(wanted)),
            },
            # Whatever no entry matches is tried again.
            "RetryStrategy": {
                "Attempts": ATTEMPTS,
                "EvaluateOnExit": [{"OnExitCode": str(FINAL), "Action": "EXIT"}],
            },
            "Timeout": {"AttemptDurationSeconds": TIMEOUT},
        },
    )


def _container(wanted: Wanted) -> dict[str, Any]:
    cores, _, memory = _size(wanted)
    found = container.settings(wanted, "job")
    return {
        "Image": wanted.image,
        "Command": list(COMMAND),
        "User": USER,
        "Environment": [{"Name": name, "Value": value} for name, value in found.items()],
        "ExecutionRoleArn": att("ExecutionRole", "Arn"),
        "JobRoleArn": att("JobRole", "Arn"),
        "ResourceRequirements": [
            {"Type": "VCPU", "Value": cores},
            {"Type": "MEMORY", "Value": str(memory)},
        ],
        "LinuxParameters": {"InitProcessEnabled": True},
        # The files of a task go where the container's own are: of volumes, jobs on Fargate have
        # only those of EFS.
        "ReadonlyRootFilesystem": False,
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": container.log_group("job"),
                "awslogs-region": ref("AWS::Region"),
                "awslogs-stream-prefix": "job",
            },
        },
    }


def _of_fargate(wanted: Wanted) -> dict[str, Any]:
    disk = fargate.disk(wanted)
    return {
        "FargatePlatformConfiguration": {"PlatformVersion": "LATEST"},
        "NetworkConfiguration": {"AssignPublicIp": "DISABLED"},
        "RuntimePlatform": {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX"},
        **({"EphemeralStorage": disk} if disk else {}),
    }

"""ECS on Fargate: a cluster, and a service each for the API and the workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.aws.infrastructure.compute import (
    collector,
    container,
    scaling,
    schedules,
)
from tabular.deploy.aws.infrastructure.networking import way_out
from tabular.deploy.aws.infrastructure.service import PORT, USER
from tabular.deploy.aws.infrastructure.wanted import Capacity, Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource
from tabular.deploy.spec.model.compute import Spot
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError

GIB = 2**30
# GiB that a task may ask for; 20 are there unasked. Source: the developer guide of Amazon ECS,
# "Fargate task ephemeral storage".
SMALLEST_DISK, LARGEST_DISK = 21, 200
_VOLUME = "scratch"
_PROVIDERS = ["FARGATE", "FARGATE_SPOT"]


def resources(wanted: Wanted) -> Part:
    """Cluster, tasks, services and what scales them."""
    return {
        "Cluster": _cluster(wanted),
        "ApiTask": _task(wanted, "api"),
        "ApiService": _api_service(wanted),
        "WorkerTask": _task(wanted, "worker"),
        "WorkerService": _service(wanted, "Worker", wanted.workers),
        **scaling.of_services(wanted),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Schedules set bounds, and scaling begins at the least."""
    yield from schedules.reductions(wanted)
    if scaling.is_scaled(wanted, "Api") and wanted.api.desired > wanted.api.minimum:
        yield Reduction(
            "spec.compute.instances",
            str(wanted.api.desired),
            f"{wanted.api.minimum} to start with",
            "a service of ECS whose number is scaled begins at min_instances, and grows with "
            "its load",
        )


def _cluster(wanted: Wanted) -> Document:
    insights = "enabled" if wanted.spec.monitoring.enabled else "disabled"
    return resource(
        "AWS::ECS::Cluster",
        {
            # Only where they are needed: the first cluster of an account is refused with them,
            # since ECS makes its own role with that cluster and cannot take it on at once.
            "CapacityProviders": _PROVIDERS if wanted.spec.compute.spot else None,
            "ClusterSettings": [{"Name": "containerInsights", "Value": insights}],
        },
    )


def _task(wanted: Wanted, program: str) -> Document:
    capacity = wanted.workers if program == "worker" else wanted.api
    return resource(
        "AWS::ECS::TaskDefinition",
        {
            "RequiresCompatibilities": ["FARGATE"],
            "NetworkMode": "awsvpc",
            "RuntimePlatform": {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX"},
            "Cpu": str(capacity.cpu),
            "Memory": str(capacity.memory),
            "EphemeralStorage": disk(wanted),
            "ExecutionRoleArn": att("ExecutionRole", "Arn"),
            "TaskRoleArn": att("WorkerRole" if program == "worker" else "ApiRole", "Arn"),
            "Volumes": [{"Name": _VOLUME}],
            "ContainerDefinitions": list(_containers(wanted, program)),
        },
    )


def disk(wanted: Wanted) -> Document | None:
    """The disk of a task; None for the 20 GiB that each one has.

    Raises:
        UnsupportedError: none has so much.
    """
    gib = -(-(wanted.spec.compute.disk or 0) // GIB)
    if gib > LARGEST_DISK:
        raise UnsupportedError(
            f"a task of Fargate has up to {LARGEST_DISK} GiB of disk, not {gib}",
            where="spec.compute.disk",
            hint=f"disk: {LARGEST_DISK}Gi, or type: ec2",
        )
    return {"SizeInGiB": gib} if gib >= SMALLEST_DISK else None


def _containers(wanted: Wanted, program: str) -> Iterator[Document]:
    if collector.runs(wanted):
        yield _collector(program)
    if program == "worker":
        yield _container(wanted, "worker", Essential=True, HealthCheck=_health("worker"))
        return
    # Each task migrates first. Migrations lock the database, so it does not matter how many
    # tasks start at once, and an API never meets a schema older than itself.
    yield _container(wanted, "migrate", Essential=False)
    yield _container(
        wanted,
        "api",
        Essential=True,
        DependsOn=[{"ContainerName": "migrate", "Condition": "SUCCESS"}],
        PortMappings=[{"ContainerPort": PORT, "Protocol": "tcp"}],
        HealthCheck=_health("api"),
    )


def _container(wanted: Wanted, program: str, **more: Any) -> Document:
    found = container.settings(wanted, program)
    return {
        "Name": program,
        "Image": wanted.image,
        "Command": list(container.COMMANDS[program]),
        "User": USER,
        "ReadonlyRootFilesystem": True,
        "LinuxParameters": {"InitProcessEnabled": True, "Capabilities": {"Drop": ["ALL"]}},
        # A folder on the task's disk: tables can be larger than the memory that a tmpfs takes.
        # It has the owner and the mode that the image's VOLUME says.
        "MountPoints": [{"SourceVolume": _VOLUME, "ContainerPath": container.SCRATCH}],
        "Environment": _variables(found),
        "StopTimeout": container.STOP,
        "LogConfiguration": _log(program, program),
        **more,
    }


def _collector(program: str) -> Document:
    # Without it there are no traces, and everything else goes on.
    return {
        "Name": collector.NAME,
        "Image": collector.IMAGE,
        "Essential": False,
        "ReadonlyRootFilesystem": True,
        "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
        "Environment": _variables(collector.settings()),
        "LogConfiguration": _log(program, collector.NAME),
    }


def _variables(found: Mapping[str, Any]) -> list[Document]:
    return [{"Name": name, "Value": value} for name, value in found.items()]


def _log(program: str, prefix: str) -> Document:
    return {
        "LogDriver": "awslogs",
        "Options": {
            "awslogs-group": container.log_group(program),
            "awslogs-region": ref("AWS::Region"),
            "awslogs-stream-prefix": prefix,
            # A program never waits for its log.
            "mode": "non-blocking",
            "max-buffer-size": "25m",
        },
    }


def _health(program: str) -> Document:
    return {
        "Command": ["CMD", *container.alive(program)],
        "Interval": 10,
        "Timeout": 5,
        "Retries": 3,
        "StartPeriod": 60,
    }


def _api_service(wanted: Wanted) -> Document:
    balanced = {
        "LoadBalancers": [
            {
                "ContainerName": "api",
                "ContainerPort": PORT,
                "TargetGroupArn": ref("TargetGroup"),
            }
        ],
        "HealthCheckGracePeriodSeconds": 60,
    }
    # ECS takes a target group only once a listener sends to it.
    return _service(wanted, "Api", wanted.api, balanced, depends_on=["Listener"])


def _service(
    wanted: Wanted,
    prefix: str,
    capacity: Capacity,
    more: Mapping[str, Any] | None = None,
    depends_on: Sequence[str] = (),
) -> Document:
    return resource(
        "AWS::ECS::Service",
        {
            "Cluster": ref("Cluster"),
            "TaskDefinition": ref(f"{prefix}Task"),
            # Every update of a service sets this number again, so where scaling or a schedule
            # changes it, it is left to them: they begin at the least as soon as they are made.
            "DesiredCount": None if scaling.is_scaled(wanted, prefix) else capacity.desired,
            **_capacity(wanted),
            "PlatformVersion": "LATEST",
            "DeploymentConfiguration": {
                "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
                "MinimumHealthyPercent": 100,
                "MaximumPercent": 200,
            },
            "AvailabilityZoneRebalancing": "ENABLED",
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "AssignPublicIp": "DISABLED",
                    "SecurityGroups": [att("ServiceSecurityGroup", "GroupId")],
                    "Subnets": wanted.private_subnets,
                }
            },
            "EnableECSManagedTags": True,
            "PropagateTags": "SERVICE",
            **(more or {}),
        },
        depends_on=[*depends_on, *way_out(wanted)],
    )


def _capacity(wanted: Wanted) -> Document:
    """Ordinary tasks, or by the shares that the spec says."""
    spot = wanted.spec.compute.spot
    if spot is None:
        return {"LaunchType": "FARGATE"}
    return {"CapacityProviderStrategy": list(_strategy(spot))}


def _strategy(spot: Spot) -> Iterator[Document]:
    """Which share of the tasks is spot, above those that never are."""
    if spot.max_price is not None:
        raise UnsupportedError(
            "Fargate Spot has one price, which nobody bids for",
            where="spec.compute.spot.max_price",
            hint="leave it out, or use type: ec2",
        )
    if spot.on_demand_base or spot.share < 100:
        base, weight = spot.on_demand_base, 100 - spot.share
        yield {"CapacityProvider": "FARGATE", "Base": base, "Weight": weight}
    if spot.share:
        yield {"CapacityProvider": "FARGATE_SPOT", "Base": 0, "Weight": spot.share}

"""Compute that runs containers for us: ECS, Lambda and Batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Ignored, Item, Piece, Place
from tabular.deploy.aws.export.terraform.rules import (
    Kind,
    Names,
    Rules,
    block,
    by,
    flag,
    inline,
    mapping,
    only,
    renamed_json,
    tags,
    unsaid,
)
from tabular.deploy.export.hcl import Attribute

_PAIR: Names = {"Name": "name", "Value": "value"}
_LOG: Names = {"LogDriver": "logDriver", "Options": "options"}
_LINUX: Names = {
    "InitProcessEnabled": "initProcessEnabled",
    "Capabilities": ("capabilities", {"Add": "add", "Drop": "drop"}),
}
_CONTAINER: Names = {
    "Name": "name",
    "Image": "image",
    "Essential": "essential",
    "Command": "command",
    "User": "user",
    "Environment": ("environment", _PAIR),
    "Secrets": ("secrets", {"Name": "name", "ValueFrom": "valueFrom"}),
    "DependsOn": ("dependsOn", {"ContainerName": "containerName", "Condition": "condition"}),
    "PortMappings": (
        "portMappings",
        {"ContainerPort": "containerPort", "HostPort": "hostPort", "Protocol": "protocol"},
    ),
    "HealthCheck": (
        "healthCheck",
        {
            "Command": "command",
            "Interval": "interval",
            "Timeout": "timeout",
            "Retries": "retries",
            "StartPeriod": "startPeriod",
        },
    ),
    "Cpu": "cpu",
    "Memory": "memory",
    "MemoryReservation": "memoryReservation",
    "ReadonlyRootFilesystem": "readonlyRootFilesystem",
    "MountPoints": (
        "mountPoints",
        {"SourceVolume": "sourceVolume", "ContainerPath": "containerPath", "ReadOnly": "readOnly"},
    ),
    "LinuxParameters": ("linuxParameters", _LINUX),
    "LogConfiguration": ("logConfiguration", _LOG),
    "StopTimeout": "stopTimeout",
}
_JOB: Names = {
    "Image": "image",
    "Command": "command",
    "User": "user",
    "Environment": ("environment", _PAIR),
    "ResourceRequirements": ("resourceRequirements", {"Type": "type", "Value": "value"}),
    "ExecutionRoleArn": "executionRoleArn",
    "JobRoleArn": "jobRoleArn",
    "LinuxParameters": ("linuxParameters", {"InitProcessEnabled": "initProcessEnabled"}),
    "ReadonlyRootFilesystem": "readonlyRootFilesystem",
    "EphemeralStorage": ("ephemeralStorage", {"SizeInGiB": "sizeInGiB"}),
    "FargatePlatformConfiguration": (
        "fargatePlatformConfiguration",
        {"PlatformVersion": "platformVersion"},
    ),
    "NetworkConfiguration": ("networkConfiguration", {"AssignPublicIp": "assignPublicIp"}),
    "RuntimePlatform": (
        "runtimePlatform",
        {"CpuArchitecture": "cpuArchitecture", "OperatingSystemFamily": "operatingSystemFamily"},
    ),
    "LogConfiguration": ("logConfiguration", _LOG),
}
_STRATEGY: Rules = {"CapacityProvider": "capacity_provider", "Base": "base", "Weight": "weight"}
_YES = {"ENABLED": True, "DISABLED": False}
_PLATFORM = block(
    "runtime_platform",
    {
        "CpuArchitecture": "cpu_architecture",
        "OperatingSystemFamily": "operating_system_family",
    },
)


def last_part(place: Place) -> str:
    """Behind the last slash of an ARN."""
    return place.adopted.rpartition("/")[2]


def _without_revision(place: Place) -> str:
    return last_part(place).partition(":")[0]


def _service(place: Place) -> str:
    """CLUSTER/SERVICE, of the service's ARN."""
    return place.adopted.partition(":service/")[2]


def _providers(place: Place, value: Any) -> Iterator[Piece]:
    items = (
        Attribute("cluster_name", place.itself("name")),
        Attribute("capacity_providers", place.value(value)),
    )
    yield Piece("aws_ecs_cluster_capacity_providers", place.label, items, place.adopted or None)


def _cluster(place: Place, value: Any) -> Iterator[Item]:
    """The cluster, which the provider remembers by its ARN; and a number, where none is said.

    CloudFormation is told no number of tasks where it is scaled, and starts with one. The provider
    would take none for nought, and go back to it each time.
    """
    yield from by("cluster", "Arn")(place, value)
    if place.scaled:
        if "DesiredCount" not in place.properties:
            yield Attribute("desired_count", 1)
        yield Ignored("desired_count")


def _qualifier(place: Place, value: Any) -> Iterator[Item]:
    """What is not said is the newest version."""
    if value != "$LATEST":
        yield Attribute("qualifier", place.value(value))


KINDS: Mapping[str, Kind] = {
    "AWS::ECS::Cluster": Kind(
        "aws_ecs_cluster",
        {
            "CapacityProviders": unsaid,
            "Tags": tags,
            "ClusterSettings": block("setting", {"Name": "name", "Value": "value"}),
        },
        beside={"CapacityProviders": _providers},
        ref="name",
        attributes={"Arn": "arn"},
        named="name",
    ),
    "AWS::ECS::TaskDefinition": Kind(
        "aws_ecs_task_definition",
        {
            "RequiresCompatibilities": "requires_compatibilities",
            "NetworkMode": "network_mode",
            "Cpu": "cpu",
            "Memory": "memory",
            "ExecutionRoleArn": "execution_role_arn",
            "TaskRoleArn": "task_role_arn",
            "ContainerDefinitions": renamed_json("container_definitions", _CONTAINER),
            "Tags": tags,
            "RuntimePlatform": _PLATFORM,
            "EphemeralStorage": block("ephemeral_storage", {"SizeInGiB": "size_in_gib"}),
            "Volumes": block("volume", {"Name": "name"}),
        },
        ref="arn",
        named="family",
        name_of=_without_revision,
    ),
    "AWS::ECS::Service": Kind(
        "aws_ecs_service",
        {
            "Cluster": _cluster,
            "TaskDefinition": "task_definition",
            "DesiredCount": "desired_count",
            "LaunchType": "launch_type",
            "PlatformVersion": "platform_version",
            "HealthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
            "AvailabilityZoneRebalancing": "availability_zone_rebalancing",
            "EnableECSManagedTags": "enable_ecs_managed_tags",
            "EnableExecuteCommand": "enable_execute_command",
            "PropagateTags": "propagate_tags",
            "Tags": tags,
            "DeploymentConfiguration": inline(
                {
                    "MinimumHealthyPercent": "deployment_minimum_healthy_percent",
                    "MaximumPercent": "deployment_maximum_percent",
                    "DeploymentCircuitBreaker": block(
                        "deployment_circuit_breaker", {"Enable": "enable", "Rollback": "rollback"}
                    ),
                }
            ),
            "CapacityProviderStrategy": block("capacity_provider_strategy", _STRATEGY),
            "NetworkConfiguration": inline(
                {
                    "AwsvpcConfiguration": block(
                        "network_configuration",
                        {
                            "Subnets": "subnets",
                            "SecurityGroups": "security_groups",
                            "AssignPublicIp": flag("assign_public_ip", _YES),
                        },
                    )
                }
            ),
            "LoadBalancers": block(
                "load_balancer",
                {
                    "TargetGroupArn": "target_group_arn",
                    "ContainerName": "container_name",
                    "ContainerPort": "container_port",
                },
            ),
        },
        ref="id",
        attributes={"Name": "name", "ServiceArn": "id"},
        named="name",
        served=True,
        running=_service,
        name_of=last_part,
    ),
    "AWS::Lambda::Function": Kind(
        "aws_lambda_function",
        {
            "Description": "description",
            "PackageType": "package_type",
            "Code": inline({"ImageUri": "image_uri"}),
            "Role": "role",
            "Architectures": "architectures",
            "MemorySize": "memory_size",
            "Timeout": "timeout",
            "ReservedConcurrentExecutions": "reserved_concurrent_executions",
            "Tags": tags,
            "ImageConfig": block("image_config", {"Command": "command"}),
            "Environment": block("environment", {"Variables": mapping("variables")}),
            "EphemeralStorage": block("ephemeral_storage", {"Size": "size"}),
            "LoggingConfig": block(
                "logging_config", {"LogFormat": "log_format", "LogGroup": "log_group"}
            ),
        },
        ref="function_name",
        attributes={"Arn": "arn"},
        named="function_name",
        served=True,
        short=True,
    ),
    "AWS::Lambda::Permission": Kind(
        "aws_lambda_permission",
        {
            "FunctionName": "function_name",
            "Action": "action",
            "Principal": "principal",
            "SourceArn": "source_arn",
            "SourceAccount": "source_account",
        },
        running=lambda place: f"{place.running(place.properties['FunctionName'])}/{place.adopted}",
    ),
    "AWS::Lambda::EventInvokeConfig": Kind(
        "aws_lambda_function_event_invoke_config",
        {
            "FunctionName": "function_name",
            "Qualifier": _qualifier,
            "MaximumRetryAttempts": "maximum_retry_attempts",
            "MaximumEventAgeInSeconds": "maximum_event_age_in_seconds",
        },
        running=lambda place: place.running(place.properties["FunctionName"]),
    ),
    "AWS::Batch::ComputeEnvironment": Kind(
        "aws_batch_compute_environment",
        {
            "Type": "type",
            "State": "state",
            # Terraform changes in place what Batch can, without being told.
            "ReplaceComputeEnvironment": only(False),
            "Tags": tags,
            "ComputeResources": block(
                "compute_resources",
                {
                    "Type": "type",
                    "AllocationStrategy": "allocation_strategy",
                    "MinvCpus": "min_vcpus",
                    "MaxvCpus": "max_vcpus",
                    "InstanceTypes": "instance_type",
                    "InstanceRole": "instance_role",
                    "BidPercentage": "bid_percentage",
                    "Subnets": "subnets",
                    "SecurityGroupIds": "security_group_ids",
                    "Tags": tags,
                    # It is about updates of images, which the provider asks of Batch by itself.
                    "UpdateToLatestImageVersion": only(True),
                    "LaunchTemplate": block(
                        "launch_template",
                        {"LaunchTemplateId": "launch_template_id", "Version": "version"},
                    ),
                },
            ),
        },
        ref="arn",
        running=last_part,
        named="name",
        ahead=True,
        served=True,
        name_of=last_part,
    ),
    "AWS::Batch::JobQueue": Kind(
        "aws_batch_job_queue",
        {
            "Priority": "priority",
            "Tags": tags,
            "ComputeEnvironmentOrder": block(
                "compute_environment_order",
                {"Order": "order", "ComputeEnvironment": "compute_environment"},
            ),
        },
        ref="arn",
        attributes={"JobQueueArn": "arn"},
        named="name",
        constant=(Attribute("state", "ENABLED"),),
        name_of=last_part,
    ),
    "AWS::Batch::JobDefinition": Kind(
        "aws_batch_job_definition",
        {
            "Type": "type",
            "PlatformCapabilities": "platform_capabilities",
            "PropagateTags": "propagate_tags",
            "Parameters": mapping("parameters"),
            "ContainerProperties": renamed_json("container_properties", _JOB),
            "Tags": tags,
            "RetryStrategy": block(
                "retry_strategy",
                {
                    "Attempts": "attempts",
                    "EvaluateOnExit": block(
                        "evaluate_on_exit",
                        {
                            "Action": "action",
                            "OnExitCode": "on_exit_code",
                            "OnReason": "on_reason",
                            "OnStatusReason": "on_status_reason",
                        },
                    ),
                },
            ),
            "Timeout": block("timeout", {"AttemptDurationSeconds": "attempt_duration_seconds"}),
        },
        ref="arn",
        named="name",
        name_of=_without_revision,
    ),
}

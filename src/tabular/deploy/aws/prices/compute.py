"""Prices of what computes: instances, tasks on Fargate, functions, Batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tabular.deploy.aws.prices.bill import (
    HOURS,
    Bill,
    NoPriceError,
    addresses,
    counted,
    number,
    part,
    text,
    whole,
)
from tabular.deploy.cost import LineItem
from tabular.deploy.stack import Resource

# What gp3 has without paying for it. Source: Amazon EBS user guide, "General Purpose SSD volumes".
_FREE_IOPS, _FREE_MIBPS = 3000, 125
# What a task of Fargate has of disk without paying. Source: Amazon ECS developer guide.
_FREE_DISK = 20
# Metrics that detailed monitoring of an instance adds. Source: Amazon EC2 user guide.
_DETAILED_METRICS = 7
_CORE = Decimal(1024)


@dataclass(frozen=True, slots=True)
class Machines:
    """The instances of a group.

    Attributes:
        type: instance type.
        ordinary: how many are bought on demand.
        spot: how many are spot.
        template: ``LaunchTemplateData``.
    """

    type: str
    ordinary: int
    spot: int
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of a service on Fargate.

    Attributes:
        ordinary: how many run on ``FARGATE``.
        spot: how many run on ``FARGATE_SPOT``.
        vcpu: of each.
        gb: GiB of memory of each.
        disk: GiB of disk of each.
    """

    ordinary: int
    spot: int
    vcpu: Decimal
    gb: Decimal
    disk: Decimal


def machines(resource: Resource, bill: Bill) -> Machines:
    """What an Auto Scaling group starts with.

    Raises:
        NoPriceError: type or number is only known when it is deployed.
    """
    own = resource.properties
    mixed = part(own, "MixedInstancesPolicy")
    named = part(mixed, "LaunchTemplate", "LaunchTemplateSpecification") or part(
        own, "LaunchTemplate"
    )
    template = bill.referred(named.get("LaunchTemplateId"))
    if template is None:
        raise NoPriceError("its launch template is not part of this deployment")
    data = part(template.properties, "LaunchTemplateData")
    types = [one for one in part(mixed, "LaunchTemplate").get("Overrides", ()) if one]
    chosen = text(types[0] if types else data, "InstanceType")
    key = "DesiredCapacity" if "DesiredCapacity" in own else "MinSize"
    count = int(number(own, key))
    spread = part(mixed, "InstancesDistribution")
    base = min(count, int(number(spread, "OnDemandBaseCapacity", 0)))
    percent = number(spread, "OnDemandPercentageAboveBaseCapacity", 100)
    # A part of an instance is rounded up in favour of ordinary ones, as EC2 Auto Scaling does.
    ordinary = base + math.ceil((count - base) * percent / 100)
    return Machines(chosen, ordinary, count - ordinary, data)


def auto_scaling_group(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Instances that run from the start, their disks and their metrics."""
    found = machines(resource, bill)
    count = found.ordinary + found.spot
    if found.ordinary:
        yield bill.item(
            resource, found.ordinary * HOURS, f"{found.ordinary} x {found.type} x {HOURS} h",
            "ec2", found.type,
        )  # fmt: skip
    if found.spot:
        yield bill.item(
            resource, found.spot * HOURS, f"{found.spot} x {found.type} as spot x {HOURS} h",
            "ec2", found.type, share=bill.rate("typical", "spot_ec2"),
        )  # fmt: skip
    for mapping in found.template.get("BlockDeviceMappings", ()):
        if count and "Ebs" in mapping:
            yield from volumes(resource, mapping["Ebs"], count, bill)
    if count and part(found.template, "Monitoring").get("Enabled"):
        yield bill.item(
            resource, count * _DETAILED_METRICS,
            f"detailed monitoring: {count} x {_DETAILED_METRICS} metrics", "cloudwatch", "metric",
        )  # fmt: skip
    if count and any(
        one.get("AssociatePublicIpAddress") for one in found.template.get("NetworkInterfaces", ())
    ):
        yield addresses(resource, count, bill)


def volumes(
    resource: Resource, disk: Mapping[str, Any], count: int, bill: Bill
) -> Iterator[LineItem]:
    """Disks of one kind.

    Args:
        resource: whose disks they are.
        disk: ``VolumeType``, ``VolumeSize``, ``Iops``, ``Throughput``.
        count: how many.
        bill: where they are.
    """
    kind = disk.get("VolumeType", "gp2")
    if kind != "gp3":
        raise NoPriceError(f"only disks of type gp3 have a price here, not {kind}")
    size = number(disk, "VolumeSize")
    yield bill.item(
        resource, count * size, f"{counted(count, 'disk')} of {whole(size)} GB gp3", "ebs", "gp3_gb"
    )
    for key, free, name, words in (
        ("Iops", _FREE_IOPS, "gp3_iops", "IOPS"),
        ("Throughput", _FREE_MIBPS, "gp3_mibps", "MiB/s"),
    ):
        more = number(disk, key, free) - free
        if more > 0:
            basis = f"{counted(count, 'disk')} x {whole(more)} {words} above {free}"
            yield bill.item(resource, count * more, basis, "ebs", name)


def volume(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A disk of its own."""
    own = {**resource.properties, "VolumeSize": resource.properties.get("Size")}
    return volumes(resource, own, 1, bill)


def tasks(resource: Resource, bill: Bill) -> Tasks | None:
    """The tasks that a service starts with on Fargate; None if it runs on instances.

    Raises:
        NoPriceError: number or size is only known when it is deployed.
    """
    own = resource.properties
    task = bill.referred(own.get("TaskDefinition"))
    if task is None:
        raise NoPriceError("its task definition is not part of this deployment")
    strategy = own.get("CapacityProviderStrategy") or [{"CapacityProvider": "FARGATE"}]
    providers = {text(one, "CapacityProvider") for one in strategy}
    if own.get("LaunchType") == "EC2" or not providers <= {"FARGATE", "FARGATE_SPOT"}:
        return None
    arm = part(task.properties, "RuntimePlatform").get("CpuArchitecture") == "ARM64"
    if arm:
        raise NoPriceError("only tasks of x86-64 have a price here")
    count = _count(resource, bill)
    spot = _spot(strategy, count)
    disk = number(part(task.properties, "EphemeralStorage"), "SizeInGiB", _FREE_DISK)
    vcpu = number(task.properties, "Cpu") / _CORE
    return Tasks(count - spot, spot, vcpu, number(task.properties, "Memory") / _CORE, disk)


def _count(resource: Resource, bill: Bill) -> int:
    """How many tasks a service starts with: what it says, or the least that scaling goes to."""
    own = resource.properties
    if "DesiredCount" not in own:
        for target in bill.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
            if f"${{{resource.id}.Name}}" in str(target.properties.get("ResourceId")):
                return int(number(target.properties, "MinCapacity"))
    return int(number(own, "DesiredCount", 1))


def _spot(strategy: Sequence[Mapping[str, Any]], count: int) -> int:
    """How many tasks run on Fargate Spot: first the bases, then by weight."""
    base = {True: 0, False: 0}
    weight = {True: 0, False: 0}
    for one in strategy:
        spot = one["CapacityProvider"] == "FARGATE_SPOT"
        base[spot] += int(number(one, "Base", 0))
        weight[spot] += int(number(one, "Weight", 1 if len(strategy) == 1 else 0))
    ordinary = min(count, base[False])
    spots = min(count - ordinary, base[True])
    rest = count - ordinary - spots
    total = weight[True] + weight[False]
    return spots + (rest * weight[True] // total if total else 0)


def service(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Tasks that run from the start: vCPU, memory, disk above the free one, addresses."""
    found = tasks(resource, bill)
    if found is None:
        return
    for count, spot in ((found.ordinary, False), (found.spot, True)):
        if not count:
            continue
        share = bill.rate("typical", "spot_fargate") if spot else None
        of = f"{counted(count, 'task')}{' on Fargate Spot' if spot else ''} x"
        for each, unit, name in ((found.vcpu, "vCPU", "vcpu"), (found.gb, "GB", "gb")):
            basis = f"{of} {whole(each)} {unit} x {HOURS} h"
            yield bill.item(resource, count * each * HOURS, basis, "fargate", name, share=share)
    count = found.ordinary + found.spot
    if count and found.disk > _FREE_DISK:
        more = found.disk - _FREE_DISK
        above = f"{whole(more)} GB of disk above {_FREE_DISK}"
        basis = f"{counted(count, 'task')} x {above} x {HOURS} h"
        yield bill.item(resource, count * more * HOURS, basis, "fargate", "disk_gb")
    if count and _collects_traces(resource, bill):
        traces = bill.usage.traces_millions
        basis = f"assumed: {whole(traces)} million traces to X-Ray"
        yield bill.item(resource, traces, basis, "xray", "trace_million")
    network = part(resource.properties, "NetworkConfiguration", "AwsvpcConfiguration")
    if count and network.get("AssignPublicIp") == "ENABLED":
        yield addresses(resource, count, bill)


def _collects_traces(resource: Resource, bill: Bill) -> bool:
    """Whether a collector of AWS runs beside the program, which sends traces to X-Ray."""
    task = bill.referred(resource.properties.get("TaskDefinition"))
    containers = task.properties.get("ContainerDefinitions", ()) if task else ()
    return any("aws-otel-collector" in str(one.get("Image")) for one in containers)


def cluster(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Nothing, unless Container Insights makes metrics.

    Counted as the pricing page of CloudWatch does in its example for ECS: 8 for the cluster, 11
    for each service and 6 for each task definition.
    """
    settings = resource.properties.get("ClusterSettings", ())
    if not any(
        one.get("Name") == "containerInsights" and one.get("Value") in ("enabled", "enhanced")
        for one in settings
    ):
        return
    services = sum(1 for _ in bill.of_type("AWS::ECS::Service"))
    definitions = sum(1 for _ in bill.of_type("AWS::ECS::TaskDefinition"))
    count = 8 + 11 * services + 6 * definitions
    yield bill.item(
        resource, count, f"Container Insights: about {count} metrics", "cloudwatch", "metric"
    )


def function(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Calls and time of a function, both assumed."""
    own, usage = resource.properties, bill.usage
    calls = usage.function_millions
    yield bill.item(
        resource, calls, f"assumed: {whole(calls)} million calls", "lambda", "request_million"
    )
    memory = number(own, "MemorySize", 128) / _CORE
    arm = "arm64" in own.get("Architectures", ())
    seconds = calls * 1_000_000 * usage.function_seconds
    basis = (
        f"assumed: {whole(calls)} million calls x {whole(usage.function_seconds)} s "
        f"x {whole(memory)} GB"
    )
    name = "arm_gb_second" if arm else "gb_second"
    yield bill.item(resource, seconds * memory, basis, "lambda", name)


def compute_environment(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """What a compute environment of Batch keeps running, and the jobs that are assumed."""
    own = part(resource.properties, "ComputeResources")
    kind = text(own, "Type")
    assumed = bill.usage.batch_vcpu_hours
    if kind.startswith("FARGATE"):
        share = bill.rate("typical", "spot_fargate") if kind == "FARGATE_SPOT" else None
        vcpu, memory = _job(bill)
        basis = f"nothing at rest; assumed: {whole(assumed)} vCPU hours of jobs"
        yield bill.item(resource, assumed, basis, "fargate", "vcpu", share=share)
        gb = assumed * memory / vcpu
        basis = f"nothing at rest; assumed: {whole(gb)} GB hours of jobs"
        yield bill.item(resource, gb, basis, "fargate", "gb", share=share)
        return
    share = bill.rate("typical", "spot_ec2") if kind == "SPOT" else None
    types = own.get("InstanceTypes") or ["optimal"]
    if not isinstance(types[0], str):
        raise NoPriceError("its InstanceTypes are only known when it is deployed")
    vcpus = vcpus_of(types[0])
    if vcpus is None:
        raise NoPriceError(f"{types[0]} is no single instance type")
    always = number(own, "MinvCpus", 0) * HOURS
    rest = f"{whole(always / HOURS)} vCPU at rest" if always else "nothing at rest"
    basis = f"{types[0]}: {rest}; assumed: {whole(assumed)} vCPU hours of jobs, of {vcpus} at once"
    yield bill.item(resource, (always + assumed) / vcpus, basis, "ec2", types[0], share=share)


def _job(bill: Bill) -> tuple[Decimal, Decimal]:
    """vCPU and GiB of the first job definition of the stack."""
    for definition in bill.of_type("AWS::Batch::JobDefinition"):
        needs = {
            one["Type"]: number(one, "Value")
            for one in part(definition.properties, "ContainerProperties").get(
                "ResourceRequirements", ()
            )
        }
        if {"VCPU", "MEMORY"} <= needs.keys():
            return needs["VCPU"], needs["MEMORY"] / _CORE
    raise NoPriceError("no job definition says how much memory its jobs take")


def vcpus_of(instance_type: str) -> int | None:
    """Virtual cores of an instance type, by its size; None if it is no single type."""
    family, _, size = instance_type.partition(".")
    if size == "medium" and not family.startswith("t"):
        return 1
    if size in ("nano", "micro", "small", "medium", "large"):
        return 2
    times = size.removesuffix("xlarge")
    if times == size or not (times == "" or times.isdigit()):
        return None
    return 4 * int(times or 1)

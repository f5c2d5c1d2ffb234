"""What the resources of a template take of each quota.

Read from the template and not from the spec, so that an override counts as it will be made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tabular.deploy.aws.preflight.quotas import known
from tabular.deploy.aws.preflight.quotas.known import Quota
from tabular.errors import UsageError

Documents = Mapping[str, Mapping[str, Any]]
Key = tuple[Quota, str]

_CORE = 1024  # units of CPU of a task of ECS
_ONE: Mapping[str, Quota] = {
    "AWS::EC2::VPC": known.VPCS,
    "AWS::EC2::EIP": known.ADDRESSES,
    "AWS::EC2::SecurityGroup": known.SECURITY_GROUPS,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": known.BALANCERS,
    "AWS::RDS::DBInstance": known.DATABASES,
}


@dataclass(frozen=True, slots=True)
class Need:
    """What is taken of a quota.

    Attributes:
        at_once: as soon as it is made.
        at_most: when it has grown as far as it may by itself.
    """

    at_once: float
    at_most: float

    def beyond(self, other: Need) -> Need:
        """What is added to what there is already; nothing where it becomes less.

        That may have grown by itself, and then it is in use already: at once only what is more
        than it could have grown to.
        """
        sure = max(0, self.at_once - other.at_most)
        likely = max(self.at_once - other.at_once, self.at_most - other.at_most)
        return Need(sure, max(sure, likely))

    def with_(self, other: Need) -> Need:
        """Both together."""
        return Need(self.at_once + other.at_once, self.at_most + other.at_most)


NOTHING = Need(0, 0)


def added(
    wanted: Documents,
    there: Documents,
    replaced: Iterable[str],
    vcpus: Mapping[str, int],
) -> dict[Key, Need]:
    """What an apply takes beside what is there.

    Args:
        wanted: resources of the template, by id.
        there: resources that exist already.
        replaced: ids of those that are made anew: the old ones go only afterwards.
        vcpus: of instance types.

    Returns:
        By quota and zone, "" for quotas of a region; those of which nothing is taken are left out,
        and so is what is :func:`unreadable`.
    """
    sums: dict[Key, Need] = {}
    anew = frozenset(replaced)
    before = {id_: _read(id_, there, vcpus) for id_ in there if id_ not in anew}
    for id_ in wanted:
        now, then = _read(id_, wanted, vcpus), before.get(id_, {})
        if isinstance(now, UsageError):
            continue
        for key, need in now.items():
            if isinstance(then, UsageError):  # so nothing is sure to be more
                more = Need(0, need.at_most)
            else:
                more = need.beyond(then.get(key, NOTHING))
            sums[key] = sums.get(key, NOTHING).with_(more)
    return {key: need for key, need in sums.items() if need.at_most}


def unreadable(documents: Documents) -> Iterator[tuple[str, UsageError]]:
    """Ids of resources of which nobody can say what they take, and why."""
    vcpus = dict.fromkeys(instance_types(documents), 1)
    for id_ in documents:
        found = _read(id_, documents, vcpus)
        if isinstance(found, UsageError):
            yield id_, found


def unknown_types(documents: Documents) -> list[str]:
    """Instance types and families, of Batch too, whose quota is not known to us; sorted."""
    of_batch = {
        str(type_)
        for one in documents.values()
        if one["Type"] == "AWS::Batch::ComputeEnvironment"
        for type_ in one["Properties"]["ComputeResources"].get("InstanceTypes", ())
    }
    named = instance_types(documents) | of_batch
    return sorted(one for one in named if known.of_instances(one, spot=False) is None)


def instance_types(documents: Documents) -> frozenset[str]:
    """Instance types that the resources may start."""
    return frozenset(
        type_ for one in documents.values() for type_ in _types(one, documents) if type_
    )


def _read(id_: str, documents: Documents, vcpus: Mapping[str, int]) -> dict[Key, Need] | UsageError:
    """What one resource takes, or why nobody can say that."""
    try:
        return dict(_of(id_, documents, vcpus))
    except UsageError as error:
        return error


def _of(id_: str, documents: Documents, vcpus: Mapping[str, int]) -> Iterator[tuple[Key, Need]]:
    """What one resource takes."""
    one = documents[id_]
    type_, properties = one["Type"], one.get("Properties", {})
    if type_ in _ONE and properties.get("Type", "application") == "application":
        yield (_ONE[type_], ""), Need(1, 1)
    if type_ == "AWS::EC2::NatGateway":
        yield (known.NAT_GATEWAYS, _zone(properties, documents)), Need(1, 1)
    elif type_ == "AWS::EC2::VPCEndpoint" and properties.get("VpcEndpointType") == "Gateway":
        yield (known.GATEWAY_ENDPOINTS, ""), Need(1, 1)
    elif type_ == "AWS::RDS::DBInstance":
        yield (known.DATABASE_DISKS, ""), _disk(properties, documents)
    elif type_ == "AWS::Lambda::Function":
        reserved = _number(properties, "ReservedConcurrentExecutions", 0)
        yield (known.LAMBDA, ""), Need(reserved, reserved)
    elif type_ == "AWS::ECS::Service":
        yield from _service(id_, properties, documents)
    elif type_ == "AWS::AutoScaling::AutoScalingGroup":
        yield from _group(one, documents, vcpus)
    elif type_ == "AWS::Batch::ComputeEnvironment":
        yield from _batch(properties["ComputeResources"])


def _zone(properties: Mapping[str, Any], documents: Documents) -> str:
    """Where a NAT gateway stands: a zone's name, or its number as ``Fn::GetAZs`` counts them."""
    subnet = documents.get(_referred(properties.get("SubnetId")), {})
    said = subnet.get("Properties", {}).get("AvailabilityZone")
    if isinstance(said, Mapping) and "Fn::Select" in said:
        return str(said["Fn::Select"][0])
    return str(said)


def _disk(properties: Mapping[str, Any], documents: Documents) -> Need:
    source = documents.get(_referred(properties.get("SourceDBInstanceIdentifier")))
    if source is not None:
        return _disk(source["Properties"], documents)  # a copy is as large as its source
    size = _number(properties, "AllocatedStorage", 0)
    return Need(size, max(size, _number(properties, "MaxAllocatedStorage", size)))


def _service(
    id_: str, properties: Mapping[str, Any], documents: Documents
) -> Iterator[tuple[Key, Need]]:
    """Tasks of Fargate; those that a rolling update starts besides give their place back."""
    task = documents[_referred(properties["TaskDefinition"])]["Properties"]
    cores = _number(task, "Cpu", _CORE) / _CORE
    least, most = _tasks(id_, properties, documents)
    strategy = properties.get("CapacityProviderStrategy") or [
        {"CapacityProvider": properties["LaunchType"], "Weight": 1}
    ]
    for provider, quota in (("FARGATE", known.FARGATE), ("FARGATE_SPOT", known.FARGATE_SPOT)):
        need = Need(
            cores * _placed(least, strategy, provider), cores * _placed(most, strategy, provider)
        )
        if need.at_most:
            yield (quota, ""), need


def _tasks(id_: str, properties: Mapping[str, Any], documents: Documents) -> tuple[int, int]:
    """How many tasks a service begins with, and how many it may grow to."""
    for one in documents.values():
        if one["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget":
            target = one["Properties"]
            if f"${{{id_}.Name}}" in str(target["ResourceId"]):
                least = int(_number(target, "MinCapacity", 0))
                most = int(_number(target, "MaxCapacity", least))
                return max(least, int(_number(properties, "DesiredCount", least))), most
    said = int(_number(properties, "DesiredCount", 1))
    return said, said


def _placed(tasks: int, strategy: Iterable[Mapping[str, Any]], provider: str) -> int:
    """How many of the tasks go to a provider: the bases first, the rest by weight, rounded up."""
    parts = list(strategy)
    rest = max(0, tasks - sum(int(_number(one, "Base", 0)) for one in parts))
    weights = sum(int(_number(one, "Weight", 0)) for one in parts)
    return sum(
        min(tasks, int(_number(one, "Base", 0)))
        + (math.ceil(rest * int(_number(one, "Weight", 0)) / weights) if weights else 0)
        for one in parts
        if one["CapacityProvider"] == provider
    )


def _group(
    one: Mapping[str, Any], documents: Documents, vcpus: Mapping[str, int]
) -> Iterator[tuple[Key, Need]]:
    """Instances of a group. Where several types may be taken, the largest of them counts."""
    properties = one["Properties"]
    types = _types(one, documents)
    cores = max((vcpus[type_] for type_ in types if type_ in vcpus), default=None)
    if cores is None:
        return
    desired = int(_number(properties, "DesiredCapacity", _number(properties, "MinSize", 0)))
    counts = (desired, max(desired, int(_number(properties, "MaxSize", desired))))
    shares = properties.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
    base = int(_number(shares, "OnDemandBaseCapacity", 0))
    percent = int(_number(shares, "OnDemandPercentageAboveBaseCapacity", 100))
    ordinary = [
        min(count, base) + math.ceil(max(0, count - base) * percent / 100) for count in counts
    ]
    for spot, (least, most) in (
        (False, ordinary),
        (True, [count - some for count, some in zip(counts, ordinary, strict=True)]),
    ):
        quota = known.of_instances(types[0], spot=spot)
        if quota is not None and most:
            yield (quota, ""), Need(cores * least, cores * most)


def _types(one: Mapping[str, Any], documents: Documents) -> list[str]:
    """Instance types of a group, the first one first."""
    if one["Type"] != "AWS::AutoScaling::AutoScalingGroup":
        return []
    properties = one["Properties"]
    mixed = properties.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    named = [str(each["InstanceType"]) for each in mixed.get("Overrides", ())]
    if named:
        return named
    template = mixed.get("LaunchTemplateSpecification") or properties.get("LaunchTemplate", {})
    document = documents.get(_referred(template.get("LaunchTemplateId")), {})
    data = document.get("Properties", {}).get("LaunchTemplateData", {})
    return [str(data["InstanceType"])] if "InstanceType" in data else []


def _batch(resources: Mapping[str, Any]) -> Iterator[tuple[Key, Need]]:
    """Nothing runs before there are jobs."""
    kind, most = str(resources["Type"]), _number(resources, "MaxvCpus", 0)
    spot = kind in ("SPOT", "FARGATE_SPOT")
    if kind.startswith("FARGATE"):
        quota: Quota | None = known.FARGATE_SPOT if spot else known.FARGATE
    else:
        quota = known.of_instances(str(resources["InstanceTypes"][0]), spot=spot)
    if quota is not None:
        yield (quota, ""), Need(_number(resources, "MinvCpus", 0), most)


def _number(properties: Mapping[str, Any], name: str, default: float) -> float:
    """A property that counts something.

    Raises:
        UsageError: an override made a function of CloudFormation of it, or put a unit to it.
    """
    value = properties.get(name, default)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name} is {value}, and quotas are asked for a number",
            where="spec.overrides.aws",
            hint="write the number itself, without a unit",
        ) from None


def _referred(value: Any) -> str:
    """The resource that a property refers to; "" where it is none of the template."""
    return str(value["Ref"]) if isinstance(value, Mapping) and "Ref" in value else ""

"""Resources of CloudFormation written in a test, and what the price book says of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tabular.deploy.aws.prices import AwsPrices, Usage
from tabular.deploy.cost import LineItem, Unpriced
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.target import Target

# Nothing is assumed, so that an amount is what the thing itself costs.
IDLE = Usage(
    transfer_gb=Decimal(0),
    balancer_units=Decimal(0),
    nat_gb=Decimal(0),
    endpoint_gb=Decimal(0),
    storage_writes=0,
    storage_reads=0,
    key_requests=0,
    secret_requests=0,
    firewall_millions=Decimal(0),
    dns_millions=Decimal(0),
)
PRIVATE_SUBNETS = [{"Ref": "PrivateSubnet1"}, {"Ref": "PrivateSubnet2"}]


def resource(id_: str, type_: str, **properties: Any) -> Resource:
    """A resource of the type ``AWS::type_``."""
    return Resource(id_, f"AWS::{type_}", properties)


def stack(*resources: Resource, region: str = "us-east-1", size: str | None = None) -> Stack:
    """A stack in a region, with the size of storage its spec plans for."""
    storage = {} if size is None else {"size": size}
    return Stack(
        Target("aws", "shop", "production", region),
        template={},
        resources=resources,
        spec={"spec": {"storage": storage}},
    )


def items(
    *resources: Resource, usage: Usage = IDLE, prices: AwsPrices | None = None, **place: Any
) -> list[LineItem]:
    """Line items of the first resource, the others being what it refers to."""
    book = prices or AwsPrices(usage=usage)
    found = book.price(resources[0], stack(*resources, **place))
    assert not isinstance(found, Unpriced), found
    return list(found)


def monthly(*resources: Resource, usage: Usage = IDLE, **place: Any) -> Decimal:
    """What the first resource costs a month, in cents."""
    total = sum((one.amount for one in items(*resources, usage=usage, **place)), Decimal(0))
    return total.quantize(Decimal("0.01"))


def reason(*resources: Resource, **place: Any) -> str:
    """Why the first resource has no price."""
    found = AwsPrices().price(resources[0], stack(*resources, **place))
    assert isinstance(found, Unpriced), list(found)
    assert found.resource == resources[0].id
    return found.reason


def task(cpu: int, memory: int, **more: Any) -> Resource:
    """A task definition of Fargate."""
    return resource("Task", "ECS::TaskDefinition", Cpu=str(cpu), Memory=str(memory), **more)


def service(count: int, **more: Any) -> Resource:
    """A service that runs the task."""
    return resource(
        "Service", "ECS::Service", DesiredCount=count, TaskDefinition={"Ref": "Task"}, **more
    )


def database(size: str, gb: int = 20, engine: str = "postgres", **more: Any) -> Resource:
    """A database instance with a disk of gp3."""
    return resource(
        "Database", "RDS::DBInstance", DBInstanceClass=size, Engine=engine,
        AllocatedStorage=str(gb), StorageType="gp3", **more,
    )  # fmt: skip


def launch_template(type_: str | dict[str, Any], **more: Any) -> Resource:
    """A launch template."""
    return resource(
        "Template", "EC2::LaunchTemplate", LaunchTemplateData={"InstanceType": type_, **more}
    )


def group(count: int, **more: Any) -> Resource:
    """An Auto Scaling group of the launch template."""
    template = {} if "MixedInstancesPolicy" in more else {"LaunchTemplate": TEMPLATE}
    return resource(
        "Group", "AutoScaling::AutoScalingGroup", MinSize=str(count), MaxSize="10", **template,
        **more,
    )  # fmt: skip


TEMPLATE = {"LaunchTemplateId": {"Ref": "Template"}, "Version": "1"}

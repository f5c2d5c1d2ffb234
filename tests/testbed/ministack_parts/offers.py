"""What a region sells, where the emulator answers nothing or too little of it."""

from __future__ import annotations

from typing import Any

from kit import Made, Properties
from ministack.core.responses import get_region
from ministack.services import ec2, rds
from ministack.services.cloudformation import provisioners

Query = dict[str, list[str]]

INSTANCE_TYPES = (
    "t3.micro", "t3.small", "t3.medium", "t3.large", "m5.large", "m5.xlarge", "m5.2xlarge",
    "m6i.large", "m6i.xlarge", "m6i.2xlarge", "m6i.4xlarge", "c6i.large", "c6i.xlarge",
    "c6i.2xlarge", "r6i.large", "r6i.xlarge", "r6i.2xlarge", "g4dn.xlarge", "g4dn.2xlarge",
)  # fmt: skip
CLASSES = (
    "db.t4g.micro", "db.t4g.small", "db.t4g.medium", "db.t4g.large", "db.t3.medium", "db.m5.large",
    "db.m6g.large", "db.m7g.large", "db.m7g.xlarge", "db.r5.large", "db.r5.xlarge",
    "db.r6g.large", "db.r6g.xlarge",
)  # fmt: skip
VERSIONS = {
    "postgres": ("13.20", "14.17", "14.19", "15.12", "16.8", "17.4", "17.6", "18.1"),
    "mysql": ("8.0.41", "8.0.43", "8.4.4", "8.4.6"),
}


def install() -> None:
    """Put the answers in the place of the emulator's."""
    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = _instance_types
    rds._ACTION_MAP["DescribeOrderableDBInstanceOptions"] = _databases
    _subnets_tell_their_addresses()


def _instance_types(asked: Query) -> Any:
    region = get_region()
    items = "".join(
        f"<item><instanceType>{name}</instanceType><locationType>region</locationType>"
        f"<location>{region}</location></item>"
        for name in INSTANCE_TYPES
    )
    return ec2._xml(
        200,
        "DescribeInstanceTypeOfferingsResponse",
        f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>",
    )


def _databases(asked: Query) -> Any:
    engine = (asked.get("Engine") or ["postgres"])[0]
    class_ = (asked.get("DBInstanceClass") or [""])[0]
    options = "".join(
        f"<OrderableDBInstanceOption><Engine>{engine}</Engine>"
        f"<EngineVersion>{version}</EngineVersion><DBInstanceClass>{name}</DBInstanceClass>"
        "<MultiAZCapable>true</MultiAZCapable><Vpc>true</Vpc></OrderableDBInstanceOption>"
        for name in CLASSES
        if class_ in ("", name)
        for version in VERSIONS.get(engine, ())
    )
    return rds._xml(
        200,
        "DescribeOrderableDBInstanceOptionsResponse",
        "<DescribeOrderableDBInstanceOptionsResult><OrderableDBInstanceOptions>"
        f"{options}</OrderableDBInstanceOptions></DescribeOrderableDBInstanceOptionsResult>",
    )


def _subnets_tell_their_addresses() -> None:
    """``CidrBlock`` is an attribute of a subnet too."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::EC2::Subnet"]
    create, update = handler["create"], handler["update"]

    def with_addresses(made: Made) -> Made:
        return made[0], {**made[1], "CidrBlock": ec2._subnets[made[0]]["CidrBlock"]}

    def created(logical_id: str, props: Properties, stack: str) -> Made:
        return with_addresses(create(logical_id, props, stack))

    def updated(*given: Any) -> Made:
        return with_addresses(update(*given))

    handler.update(create=created, update=updated)

"""The quotas that a deployment can run into, by the codes that Service Quotas knows them by.

Names and codes are those of the AWS General Reference ("Service endpoints and quotas", the pages of
Amazon VPC, Amazon EC2, Elastic Load Balancing, Amazon RDS, AWS Fargate and AWS Lambda) and of the
VPC user guide ("Amazon VPC quotas"), as of November 2026. A code is the same in every region. What
one deployment cannot come near (thousands of secrets, keys, log groups, queues) is not asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of an account in a region.

    Attributes:
        service: Service Quotas' word for the service.
        code: of the quota, such as ``L-F678F1CE``.
        name: as the console shows it.
    """

    service: str
    code: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.service} {self.code})"


VPCS = Quota("vpc", "L-F678F1CE", "VPCs per Region")
NAT_GATEWAYS = Quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone")
SECURITY_GROUPS = Quota("vpc", "L-E79EC296", "VPC security groups per Region")
GATEWAY_ENDPOINTS = Quota("vpc", "L-1B52E74A", "Gateway VPC endpoints per Region")
ADDRESSES = Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs")
BALANCERS = Quota("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region")
DATABASES = Quota("rds", "L-7B6409FD", "DB instances")
DATABASE_DISKS = Quota("rds", "L-7ADDB58A", "Total storage for all DB instances, in GB")
FARGATE = Quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count")
FARGATE_SPOT = Quota("fargate", "L-36FBB829", "Fargate Spot vCPU resource count")
LAMBDA = Quota("lambda", "L-B99A9384", "Concurrent executions")

_STANDARD = "Standard (A, C, D, H, I, M, R, T, Z)"
# Families that share a quota, in vCPUs: those that run, and those of spot.
_FAMILIES: dict[str, tuple[str, str, str]] = {
    "a c d h i m r t z": (_STANDARD, "L-1216C47A", "L-34B43A08"),
    "g gr vt": ("G and VT", "L-DB2E81BA", "L-3819A6DF"),
    "p": ("P", "L-417A185B", "L-7212CCBC"),
    "inf": ("Inf", "L-1945791B", "L-B5D1601B"),
    "f": ("F", "L-74FC7D96", "L-88CF9481"),
    "x": ("X", "L-7295265B", "L-E3A00192"),
}
_LETTERS = re.compile(r"[a-z]+")
# Instance types whose letters are more than those of their quota: im4gn, is4gen.
_ALIASES = {"im": "i", "is": "i"}


def of_instances(type_: str, *, spot: bool) -> Quota | None:
    """The quota that counts the vCPUs of an instance type; None where none is known to us.

    Args:
        type_: such as ``m6i.large``.
        spot: taken at the price of spot.
    """
    found = _LETTERS.match(type_)
    letters = "" if found is None else _ALIASES.get(found[0], found[0])
    for family, (name, running, spare) in _FAMILIES.items():
        if letters in family.split():
            if spot:
                return Quota("ec2", spare, f"All {name} Spot Instance Requests, in vCPUs")
            return Quota("ec2", running, f"Running On-Demand {name} instances, in vCPUs")
    return None

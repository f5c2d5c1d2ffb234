"""The VPC: subnets over the zones, ways out, and a record of who talked to whom.

Where a subnet lies depends on its number alone, never on how many there are, so another zone can
be added to a running deployment without moving what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from tabular.deploy.aws.infrastructure.log_groups import log_group
from tabular.deploy.aws.infrastructure.security.iam import OWN_ACCOUNT, role
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, allow, att, ref, resource, zone
from tabular.errors import UsageError

DEFAULT_CIDR = "10.40.0.0/16"
WHERE = "spec.networking.cidr"
# Amazon VPC user guide, "VPC CIDR blocks": /16 to /28, and these blocks are refused.
_LARGEST = 16
_REFUSED = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")))
_ZONES_BITS = 4  # 16 parts: eight for private subnets, eight for public ones
_WRITING = (
    "logs:CreateLogStream",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
)
_SMALLEST_SUBNET = 27  # a load balancer takes none that is smaller


def vpc(wanted: Wanted) -> Part:
    """Everything of a VPC of our own."""
    part: Part = {
        "Vpc": resource(
            "AWS::EC2::VPC",
            {
                "CidrBlock": cidr(wanted),
                "EnableDnsSupport": True,
                "EnableDnsHostnames": True,
            },
            base=_base(wanted),
        ),
        "InternetGateway": resource("AWS::EC2::InternetGateway", {}),
        "VpcGatewayAttachment": resource(
            "AWS::EC2::VPCGatewayAttachment",
            {"VpcId": ref("Vpc"), "InternetGatewayId": ref("InternetGateway")},
        ),
        **_subnets(wanted),
        **_public_routes(wanted),
        **_private_routes(wanted),
        **dict(_nat(wanted)),
    }
    return part | _flow_log(wanted) if wanted.spec.networking.flow_logs else part


def cidr(wanted: Wanted) -> str:
    """The addresses of the VPC.

    Raises:
        UsageError: they are no addresses that a VPC may have.
    """
    said = wanted.spec.networking.cidr or DEFAULT_CIDR
    found = ip_network(said)
    if not isinstance(found, IPv4Network):
        raise UsageError(f"{said} is IPv6", where=WHERE, hint=f"such as {DEFAULT_CIDR}")
    if found.prefixlen < _LARGEST:
        raise UsageError(
            f"a VPC has at most the addresses of a /{_LARGEST}, and {said} has more",
            where=WHERE,
            hint=f"such as {found.network_address}/{_LARGEST}",
        )
    if any(found.overlaps(one) for one in _REFUSED):
        raise UsageError(
            f"AWS makes no VPC with {said}", where=WHERE, hint=f"such as {DEFAULT_CIDR}"
        )
    return said


def subnet_cidrs(wanted: Wanted) -> tuple[list[str], list[str]]:
    """The addresses of the private and of the public subnets, by zone.

    Raises:
        UsageError: there is not enough room for so many zones.
    """
    whole = IPv4Network(cidr(wanted))
    size = min(whole.prefixlen + _ZONES_BITS, _SMALLEST_SUBNET)
    half = 2 ** max(0, size - whole.prefixlen) // 2
    if half < wanted.zones:
        raise UsageError(
            f"{whole} has no room for subnets in {wanted.zones} zones",
            where=WHERE if wanted.spec.networking.cidr else "spec.compute.availability_zones",
            hint=_larger(wanted.zones),
        )
    parts = [str(one) for one in whole.subnets(new_prefix=size)]
    return parts[: wanted.zones], parts[half : half + wanted.zones]


def _larger(zones: int) -> str:
    bits = (2 * zones - 1).bit_length()
    if bits > _ZONES_BITS:
        return f"{2**_ZONES_BITS // 2} zones or fewer; no region of AWS has more"
    return f"a /{_SMALLEST_SUBNET - bits} or larger, such as {DEFAULT_CIDR}"


def _base(wanted: Wanted) -> bool:
    """Whether a database stands in it, which outlives a destroy."""
    return wanted.database_engine is not None


def _subnets(wanted: Wanted) -> Part:
    private, public = subnet_cidrs(wanted)
    part: Part = {}
    for number in wanted.zone_numbers:
        part[f"PublicSubnet{number}"] = _subnet(number, public[number - 1], base=False)
        part[f"PrivateSubnet{number}"] = _subnet(number, private[number - 1], base=_base(wanted))
    return part


def _subnet(number: int, addresses: str, *, base: bool) -> Document:
    return resource(
        "AWS::EC2::Subnet",
        {
            "VpcId": ref("Vpc"),
            "CidrBlock": addresses,
            "AvailabilityZone": zone(number - 1),
            "MapPublicIpOnLaunch": False,
        },
        base=base,
    )


def _public_routes(wanted: Wanted) -> Part:
    part: Part = {
        "PublicRouteTable": resource("AWS::EC2::RouteTable", {"VpcId": ref("Vpc")}),
        "PublicRoute": resource(
            "AWS::EC2::Route",
            {
                "RouteTableId": ref("PublicRouteTable"),
                "DestinationCidrBlock": "0.0.0.0/0",
                "GatewayId": ref("InternetGateway"),
            },
            depends_on=["VpcGatewayAttachment"],
        ),
    }
    for number in wanted.zone_numbers:
        part[f"PublicSubnetRoutes{number}"] = _routed(f"PublicSubnet{number}", "PublicRouteTable")
    return part


def _private_routes(wanted: Wanted) -> Part:
    part: Part = {}
    for number in wanted.zone_numbers:
        table = f"PrivateRouteTable{number}"
        part[table] = resource("AWS::EC2::RouteTable", {"VpcId": ref("Vpc")})
        part[f"PrivateSubnetRoutes{number}"] = _routed(f"PrivateSubnet{number}", table)
        if wanted.nat != "none":
            gateway = number if wanted.nat == "per-zone" else 1
            part[f"PrivateRoute{number}"] = resource(
                "AWS::EC2::Route",
                {
                    "RouteTableId": ref(table),
                    "DestinationCidrBlock": "0.0.0.0/0",
                    "NatGatewayId": ref(f"NatGateway{gateway}"),
                },
            )
    return part


def _routed(subnet: str, table: str) -> Document:
    return resource(
        "AWS::EC2::SubnetRouteTableAssociation",
        {"SubnetId": ref(subnet), "RouteTableId": ref(table)},
    )


def nat_numbers(wanted: Wanted) -> range:
    """Of the NAT gateways, from 1; none where there are none or the VPC is not ours."""
    if not wanted.own_network or wanted.nat == "none":
        return range(1, 1)
    return wanted.zone_numbers if wanted.nat == "per-zone" else range(1, 2)


def _nat(wanted: Wanted) -> Iterator[tuple[str, Document]]:
    for number in nat_numbers(wanted):
        yield (
            f"NatAddress{number}",
            resource("AWS::EC2::EIP", {"Domain": "vpc"}, depends_on=["VpcGatewayAttachment"]),
        )
        yield (
            f"NatGateway{number}",
            resource(
                "AWS::EC2::NatGateway",
                {
                    "SubnetId": ref(f"PublicSubnet{number}"),
                    "AllocationId": att(f"NatAddress{number}", "AllocationId"),
                },
                # Without it the gateway itself has no way out and fails.
                depends_on=["PublicRoute"],
            ),
        )


def _flow_log(wanted: Wanted) -> Part:
    return {
        "FlowLogGroup": log_group(wanted),
        "FlowLogRole": role(
            wanted,
            "vpc-flow-logs.amazonaws.com",
            allow(_WRITING, att("FlowLogGroup", "Arn")),
            condition=OWN_ACCOUNT,
        ),
        "FlowLog": resource(
            "AWS::EC2::FlowLog",
            {
                "ResourceType": "VPC",
                "ResourceId": ref("Vpc"),
                "TrafficType": "ALL",
                "LogDestinationType": "cloud-watch-logs",
                "LogGroupName": ref("FlowLogGroup"),
                "DeliverLogsPermissionArn": att("FlowLogRole", "Arn"),
                # The same whatever else is asked: a change would make it anew, and AWS takes no
                # second flow log to the same place beside the first.
                "MaxAggregationInterval": 600,
            },
        ),
    }

"""Security groups, which name each other as peers and open nothing else.

Rules between two groups are resources of their own: two groups that name each other could not
be made otherwise, and the database's group is kept when all others go.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from tabular.deploy.aws.infrastructure.networking.vpc import cidr
from tabular.deploy.aws.infrastructure.service import PORT
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, ref, resource
from tabular.errors import UsageError

HTTPS, HTTP = 443, 80
REDIS = 6379
EVERYWHERE = "0.0.0.0/0"
DATABASE_PORTS = {"postgres": 5432, "mysql": 3306}
# A group without a single rule for what goes out is given one that allows everything, so those
# that start no connection have a rule that leads nowhere.
_NOWHERE = {"IpProtocol": "-1", "CidrIp": "127.0.0.1/32", "Description": "Nowhere."}


def groups(wanted: Wanted) -> Part:
    """The security groups of this deployment."""
    part: Part = {"ServiceSecurityGroup": _service(wanted)}
    if wanted.served:
        part |= _load_balancer(wanted)
    if wanted.database_engine is not None:
        part["DatabaseSecurityGroup"] = _group(
            wanted, "The database; lets in the service.", [_NOWHERE], base=True
        )
        part |= _way("Database", DATABASE_PORTS[wanted.database_engine])
    if wanted.cache_engine is not None:
        part["CacheSecurityGroup"] = _group(wanted, "The cache; lets in the service.", [_NOWHERE])
        part |= _way("Cache", REDIS)
    return part


def endpoint_group(wanted: Wanted) -> Document:
    """The group of the endpoints of AWS's services in the VPC."""
    ingress = [
        {
            **_tcp(HTTPS),
            "SourceSecurityGroupId": ref("ServiceSecurityGroup"),
            "Description": "The service.",
        }
    ]
    return _group(
        wanted, "Endpoints of AWS in the VPC; let in the service.", [_NOWHERE], ingress=ingress
    )


def listener_port(wanted: Wanted) -> int:
    """At which the load balancer listens."""
    return HTTPS if wanted.published else HTTP


def sources(wanted: Wanted) -> list[str]:
    """CIDR blocks from which the load balancer may be reached.

    Raises:
        UsageError: they cannot be known, or let in the whole world without TLS.
    """
    networking = wanted.spec.networking
    where = "spec.networking.allowed_cidrs"
    for said in networking.allowed_cidrs:
        found = ip_network(said)
        if found.version != 4:
            raise UsageError(
                f"the load balancer has IPv4 addresses only, and {said} is IPv6",
                where=where,
                hint="name the IPv4 addresses, such as 192.0.2.0/24",
            )
        if found.prefixlen == 0 and not wanted.published:
            raise UsageError(
                "without TLS the service is not opened to the whole world",
                where=where,
                hint="set networking.domain or networking.certificate, or name fewer addresses",
            )
    if networking.allowed_cidrs:
        return sorted(networking.allowed_cidrs)
    if wanted.published:
        return [EVERYWHERE]
    if wanted.own_network:
        return [cidr(wanted)]
    raise UsageError(
        "who may reach the service is not known: the addresses of an existing network are not "
        "in the spec",
        where=where,
        hint="allowed_cidrs: [10.0.0.0/16], the addresses of your network",
    )


def _load_balancer(wanted: Wanted) -> Part:
    port = listener_port(wanted)
    ingress = [
        {**_tcp(port), "CidrIp": block, "Description": "Users."} for block in sources(wanted)
    ]
    egress = [
        {
            **_tcp(PORT),
            "DestinationSecurityGroupId": ref("ServiceSecurityGroup"),
            "Description": "The service.",
        }
    ]
    return {
        "LoadBalancerSecurityGroup": _group(
            wanted, "The load balancer; lets in users.", egress, ingress=ingress
        ),
        "ServiceFromLoadBalancer": _ingress("Service", "LoadBalancer", PORT),
    }


def _service(wanted: Wanted) -> Document:
    egress = [{**_tcp(HTTPS), "CidrIp": EVERYWHERE, "Description": "AWS, and others by TLS."}]
    port = _collector_port(wanted)
    if port is not None and port != HTTPS:
        egress.append(
            {**_tcp(port), "CidrIp": EVERYWHERE, "Description": "The OpenTelemetry collector."}
        )
    if wanted.spec.database.type == "external":
        # At which port it listens stands in a secret, which is not read here.
        egress.append(
            {
                "IpProtocol": "tcp",
                "FromPort": 1024,
                "ToPort": 65_535,
                "CidrIp": EVERYWHERE,
                "Description": "The database, which is elsewhere.",
            }
        )
    return _group(wanted, "The service and its workers; lets in the load balancer.", egress)


def _collector_port(wanted: Wanted) -> int | None:
    endpoint = wanted.spec.monitoring.otlp_endpoint
    if endpoint is None:
        return None
    _, colon, port = endpoint.partition("/")[0].rpartition(":")
    if not colon:
        return HTTP
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(
            f"{port!r} is no port", where="spec.monitoring.otlp_endpoint", hint="such as :4318"
        )
    return int(port)


def _group(
    wanted: Wanted,
    description: str,
    egress: list[Any],
    *,
    ingress: list[Any] | None = None,
    base: bool = False,
) -> Document:
    return resource(
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": description,
            "VpcId": wanted.vpc,
            "SecurityGroupIngress": ingress,
            "SecurityGroupEgress": egress,
        },
        base=base,
    )


def _way(to: str, port: int) -> Part:
    """From the service to one of its stores, and nowhere else."""
    return {
        f"{to}FromService": _ingress(to, "Service", port),
        f"ServiceTo{to}": resource(
            "AWS::EC2::SecurityGroupEgress",
            {
                "GroupId": ref("ServiceSecurityGroup"),
                "DestinationSecurityGroupId": ref(f"{to}SecurityGroup"),
                "Description": f"The {to.lower()}.",
                **_tcp(port),
            },
        ),
    }


def _ingress(group: str, source: str, port: int) -> Document:
    words = "The load balancer." if source == "LoadBalancer" else "The service."
    return resource(
        "AWS::EC2::SecurityGroupIngress",
        {
            "GroupId": ref(f"{group}SecurityGroup"),
            "SourceSecurityGroupId": ref(f"{source}SecurityGroup"),
            "Description": words,
            **_tcp(port),
        },
    )


def _tcp(port: int) -> Document:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}

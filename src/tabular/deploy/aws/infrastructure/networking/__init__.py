"""How the service is reached and what it may reach: VPC, security groups, load balancer.

vpc             subnets, ways out, flow logs        endpoints   AWS's services within the VPC
groups          who may talk to whom                waf         the firewall in front
load_balancer   listener, certificate, name         refusals    what cannot be had
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.networking.endpoints import endpoints, interfaces
from tabular.deploy.aws.infrastructure.networking.groups import groups
from tabular.deploy.aws.infrastructure.networking.load_balancer import (
    checks_health,
    keeps_name,
    load_balancer,
)
from tabular.deploy.aws.infrastructure.networking.refusals import require_possible
from tabular.deploy.aws.infrastructure.networking.vpc import nat_numbers, vpc
from tabular.deploy.aws.infrastructure.networking.waf import waf
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Part, att, ref, sub
from tabular.deploy.stack import Reduction

__all__ = ["outputs", "reductions", "resources", "way_out"]


def resources(wanted: Wanted) -> Part:
    """The network and what stands at its edge.

    Raises:
        UsageError, UnsupportedError: it cannot be had; nothing is dropped silently.
    """
    require_possible(wanted)
    if not wanted.networked:
        return {}
    part: Part = {}
    if wanted.own_network:
        part |= vpc(wanted) | endpoints(wanted)
    part |= groups(wanted)
    if wanted.served:
        part |= load_balancer(wanted)
        if wanted.spec.networking.waf:
            part |= waf()
    return part


def way_out(wanted: Wanted) -> list[str]:
    """Logical ids that must be there before anything in a private subnet gets its image.

    No property refers to them, so whatever starts there has to depend on them by name.
    """
    if not wanted.own_network:
        return []
    routes = [f"PrivateSubnetRoutes{number}" for number in wanted.zone_numbers]
    if wanted.nat == "none":
        return sorted([*routes, "S3Endpoint", *interfaces(wanted)])
    return sorted([*routes, *(f"PrivateRoute{number}" for number in wanted.zone_numbers)])


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What is given only in part."""
    networking = wanted.spec.networking
    if wanted.served and not wanted.published:
        yield Reduction(
            "spec.networking.domain",
            "an address of the service",
            "an internal load balancer, by HTTP within the network",
            "TLS needs a name and a certificate; to publish it set networking.domain with "
            "networking.certificate, or with overrides.aws.hosted_zone_id",
        )
    if wanted.ha and networking.nat == "single":
        yield Reduction(
            "spec.networking.nat",
            "ha",
            "one way out for all zones",
            "when the zone of the only NAT gateway is lost, so is the way out of all; use per-zone",
        )
    said = networking.flow_logs and "flow_logs" in networking.model_fields_set
    if said and not wanted.own_network:
        yield Reduction(
            "spec.networking.flow_logs",
            "true",
            "none",
            "only of a network that is made here is it recorded who talked to whom",
        )
    yield from _names(wanted)


def _names(wanted: Wanted) -> Iterator[Reduction]:
    dns = wanted.spec.networking.dns
    if dns is None or not wanted.served:
        return
    if not keeps_name(wanted):
        yield Reduction(
            "spec.networking.dns.provider",
            dns.provider,
            "no record; the output dnsTarget says where the name has to point",
            "only names in Route 53 are kept by this deployment",
        )
    elif "ttl" in dns.model_fields_set:
        yield Reduction(
            "spec.networking.dns.ttl",
            str(dns.ttl),
            "60",
            "an alias of a load balancer is kept for as long as the load balancer's own addresses",
        )
    if dns.failover == "automatic":
        yield Reduction(
            "spec.networking.dns.failover",
            "automatic",
            "manual",
            "this version deploys to one place at a time, which has no other to go to",
        )


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where the service is, and what others need to know of its network."""
    if not wanted.networked:
        return {}
    found: dict[str, tuple[Any, str]] = {"vpc": (wanted.vpc, "Id of the VPC.")}
    addresses = [ref(f"NatAddress{number}") for number in nat_numbers(wanted)]
    if addresses:
        found["natAddresses"] = (
            {"Fn::Join": [",", addresses]},
            "Addresses from which the service talks to the internet.",
        )
    if not wanted.served:
        return found
    host = att("LoadBalancer", "DNSName")
    domain = wanted.spec.networking.domain
    found["loadBalancer"] = (host, "Name of the load balancer.")
    if domain is not None:
        found["url"] = (f"https://{domain}", "Where the service is.")
    if not wanted.published:
        found["internalUrl"] = (
            sub("http://${LoadBalancer.DNSName}"),
            "Where the service is, within its network.",
        )
    elif not keeps_name(wanted):
        name = domain or "the name of the certificate"
        found["dnsTarget"] = (host, f"Let {name} point here, by CNAME or alias.")
    if checks_health(wanted):
        found["healthCheck"] = (ref("HealthCheck"), "Id of the health check of Route 53.")
    return found

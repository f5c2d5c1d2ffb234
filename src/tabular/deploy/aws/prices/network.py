"""Prices of what moves and guards traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def nat_gateway(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Hours and assumed traffic of a NAT gateway."""
    yield bill.item(resource, HOURS, f"1 x NAT gateway x {HOURS} h", "nat", "hour")
    size = bill.usage.nat_gb
    yield bill.item(resource, size, f"assumed: {whole(size)} GB through it", "nat", "gb")


def load_balancer(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Hours, assumed capacity units, addresses and assumed traffic of a load balancer.

    A deployment has one way out to its users; what is sent to the internet is counted there.
    """
    own = resource.properties
    kind = own.get("Type", "application")
    if kind != "application":
        raise NoPriceError(f"only application load balancers have a price here, not {kind}")
    yield bill.item(resource, HOURS, f"1 x application load balancer x {HOURS} h", "alb", "hour")
    units = bill.usage.balancer_units
    basis = f"assumed: {whole(units)} LCU x {HOURS} h"
    yield bill.item(resource, units * HOURS, basis, "alb", "lcu")
    if own.get("Scheme", "internet-facing") == "internet-facing":
        count = len(_subnets(own.get("Subnets") or own.get("SubnetMappings")))
        yield addresses(resource, count, bill)
        size = bill.usage.transfer_gb
        basis = f"assumed: {whole(size)} GB sent to the internet"
        yield bill.item(resource, size, basis, "transfer", "out_gb")


def endpoint(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Hours in each zone and assumed traffic of an interface endpoint; gateways are free."""
    own = resource.properties
    kind = own.get("VpcEndpointType", "Gateway")
    if kind == "Gateway":
        return
    if kind != "Interface":
        raise NoPriceError(f"only interface endpoints have a price here, not {kind}")
    count = len(_subnets(own.get("SubnetIds")))
    basis = f"1 interface endpoint x {counted(count, 'zone')} x {HOURS} h"
    yield bill.item(resource, count * HOURS, basis, "endpoint", "hour")
    size = bill.usage.endpoint_gb
    yield bill.item(resource, size, f"assumed: {whole(size)} GB through it", "endpoint", "gb")


def _subnets(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise NoPriceError("its subnets are only known when it is deployed")
    return value


def address(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A public IPv4 address, used or not."""
    yield addresses(resource, 1, bill)


def flow_log(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """What a flow log writes; to S3 it costs half of what it does to CloudWatch."""
    size = bill.usage.flow_log_gb
    kind = resource.properties.get("LogDestinationType", "cloud-watch-logs")
    basis = f"assumed: {whole(size)} GB written to "
    if kind == "cloud-watch-logs":
        yield bill.item(resource, size, f"{basis}CloudWatch", "logs", "ingest_gb")
    elif kind == "s3":
        # Source: pricing page of CloudWatch, vended logs: $0.50 to CloudWatch, $0.25 to S3.
        yield bill.item(resource, size / 2, f"{basis}S3, counted half", "logs", "ingest_gb")
    else:
        raise NoPriceError(f"a flow log to {kind} has no price here")


def hosted_zone(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A zone and assumed queries."""
    yield bill.item(resource, 1, "1 hosted zone", "route53", "zone")
    count = bill.usage.dns_millions
    basis = f"assumed: {whole(count)} million queries"
    yield bill.item(resource, count, basis, "route53", "query_million")


def health_check(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A check of an endpoint within AWS and its options: TLS, a text to find, every 10 seconds."""
    own = part(resource.properties, "HealthCheckConfig")
    kind = text(own, "Type")
    if kind in ("CALCULATED", "CLOUDWATCH_METRIC", "RECOVERY_CONTROL"):
        raise NoPriceError(f"a health check of type {kind} has no price here")
    yield bill.item(resource, 1, "1 health check", "route53", "health_check")
    options = [
        words
        for words, asked in (
            ("TLS", kind.startswith("HTTPS")),
            ("a text to find", kind.endswith("STR_MATCH")),
            ("every 10 s", number(own, "RequestInterval", 30) == Decimal(10)),
            ("latency", own.get("MeasureLatency") is True),
        )
        if asked
    ]
    if options:
        basis = f"options: {', '.join(options)}"
        yield bill.item(resource, len(options), basis, "route53", "health_option")


def web_acl(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """A firewall, its rules and assumed requests; a group of AWS's rules costs one rule.

    Raises:
        NoPriceError: a group of rules that AWS or somebody else asks more for.
    """
    rules = resource.properties.get("Rules", ())
    yield bill.item(resource, 1, "1 web ACL", "waf", "acl")
    for rule in rules:
        group = part(rule, "Statement", "ManagedRuleGroupStatement")
        dear = ("BotControl", "ATPRuleSet", "ACFPRuleSet", "AntiDDoS")
        if group and (
            group.get("VendorName") != "AWS" or any(one in str(group.get("Name")) for one in dear)
        ):
            raise NoPriceError(f"the rules of {group.get('Name')} have no price here")
    if rules:
        yield bill.item(resource, len(rules), counted(len(rules), "rule"), "waf", "rule")
    count = bill.usage.firewall_millions
    basis = f"assumed: {whole(count)} million requests"
    yield bill.item(resource, count, basis, "waf", "request_million")

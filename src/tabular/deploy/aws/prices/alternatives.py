"""What the machines of a stack would cost as spot, or with a commitment of one year.

Shares of the list price that are typical, dated and marked as an estimate: spot prices move by the
hour, and what a commitment saves depends on what the account has committed to already.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tabular.deploy.aws.prices import compute, data
from tabular.deploy.aws.prices.bill import HOURS, Bill, counted, whole
from tabular.deploy.cost import Alternative
from tabular.deploy.stack import Resource


def alternatives(resource: Resource, bill: Bill) -> Iterator[Alternative]:
    """Other ways to buy what a resource runs on; nothing for what is no machine.

    Raises:
        NoPriceError: there is no list price either.
    """
    if resource.type == "AWS::AutoScaling::AutoScalingGroup":
        found = compute.machines(resource, bill)
        count = found.ordinary + found.spot
        amount = count * HOURS * bill.rate("ec2", found.type).amount
        words = f"{count} x {found.type} x {HOURS} h"
        yield from _ways(resource, bill, amount, words, spot="spot_ec2", year="savings_ec2")
    elif resource.type == "AWS::ECS::Service":
        run = compute.tasks(resource, bill)
        if run is None:
            return
        vcpu, gb = bill.rate("fargate", "vcpu").amount, bill.rate("fargate", "gb").amount
        count = run.ordinary + run.spot
        amount = count * HOURS * (run.vcpu * vcpu + run.gb * gb)
        size = f"({whole(run.vcpu)} vCPU + {whole(run.gb)} GB)"
        words = f"{counted(count, 'task')} x {size} x {HOURS} h"
        yield from _ways(resource, bill, amount, words, spot="spot_fargate", year="savings_fargate")
    elif resource.type == "AWS::RDS::DBInstance":
        servers = data.database_servers(resource, bill)
        yield from _servers(resource, bill, servers, "rds", _reserved(servers.name))
    elif resource.type == "AWS::ElastiCache::ReplicationGroup":
        yield from _servers(resource, bill, data.cache_nodes(resource), "cache", "reserved_cache")


def _reserved(name: str) -> str:
    """Which share holds for a database class: newer generations are reduced less."""
    if "/db.t" in name:
        return "reserved_rds_burstable"
    return "reserved_rds_m7g" if "/db.m7g" in name else "reserved_rds"


def _servers(
    resource: Resource, bill: Bill, servers: data.Servers, group: str, year: str
) -> Iterator[Alternative]:
    amount = servers.count * HOURS * bill.rate(group, servers.name).amount
    words = f"{servers.count} x {servers.words} x {HOURS} h"
    return _ways(resource, bill, amount, words, year=year)


def _ways(
    resource: Resource,
    bill: Bill,
    amount: Decimal,
    words: str,
    *,
    year: str,
    spot: str | None = None,
) -> Iterator[Alternative]:
    for kind, name in (("spot", spot), ("commitment", year)):
        if name is not None and amount:
            share = bill.rate("typical", name)
            basis = f"{words}, at {whole(share.amount * 100)} % of the list price (estimate)"
            paid = (amount * share.amount).quantize(Decimal("0.0001"))
            yield Alternative(resource.id, kind, paid, amount, basis, share.source)

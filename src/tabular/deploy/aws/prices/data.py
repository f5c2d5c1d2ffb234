"""Prices of what keeps data: databases, caches, buckets, backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tabular.deploy.aws.prices.bill import (
    GIB,
    HOURS,
    Bill,
    NoPriceError,
    number,
    part,
    referred_id,
    text,
    whole,
)
from tabular.deploy.cost import LineItem
from tabular.deploy.spec.quantities import QuantityError, parse_size
from tabular.deploy.stack import Resource

# What gp3 of RDS has without paying, below and from 400 GB on. Source: Amazon RDS user guide,
# "gp3 storage".
_SPLIT_GB, _FREE_IOPS, _FREE_IOPS_LARGE = 400, 3000, 12_000
_ENGINES = ("postgres", "mysql", "mariadb")
# Days for which Performance Insights keeps its data free of charge.
_FREE_INSIGHTS = 7
# The bucket that spec.storage.size is about.
DATA_BUCKET = "Bucket"


@dataclass(frozen=True, slots=True)
class Servers:
    """Database servers or cache nodes of one size.

    Attributes:
        name: in the price list, e.g. ``postgres/db.t4g.medium``.
        count: how many are paid for; a standby of RDS costs what the primary costs.
        words: for a line item.
    """

    name: str
    count: int
    words: str


def database_servers(resource: Resource, bill: Bill) -> Servers:
    """The servers of a database instance.

    Raises:
        NoPriceError: engine or class is only known when it is deployed, or not sold by the hour.
    """
    own = resource.properties
    engine = text(_primary(resource, bill), "Engine")
    if engine not in _ENGINES:
        raise NoPriceError(f"the engine {engine} is not in the price list")
    size = text(own, "DBInstanceClass")
    count = 2 if own.get("MultiAZ") in (True, "true") else 1
    kind = "Multi-AZ" if count > 1 else "Single-AZ"
    return Servers(f"{engine}/{size}", count, f"{size}, {engine}, {kind}")


def _primary(resource: Resource, bill: Bill) -> Mapping[str, Any]:
    """The properties that a replica shares with what it is a copy of."""
    source = bill.referred(resource.properties.get("SourceDBInstanceIdentifier"))
    return {**(source.properties if source else {}), **resource.properties}


def database(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Servers, storage and assumed backups of a database instance."""
    own = _primary(resource, bill)
    found = database_servers(resource, bill)
    yield bill.item(
        resource, found.count * HOURS, f"{found.count} x {found.words} x {HOURS} h", "rds",
        found.name,
    )  # fmt: skip
    kind = own.get("StorageType", "gp2")
    if kind != "gp3":
        raise NoPriceError(f"only storage of type gp3 has a price here, not {kind}")
    size = number(own, "AllocatedStorage")
    copies = f"{found.count} x " if found.count > 1 else ""
    yield bill.item(
        resource, found.count * size, f"{copies}{whole(size)} GB gp3", "rds_storage", "gp3_gb"
    )
    free = _FREE_IOPS if size < _SPLIT_GB else _FREE_IOPS_LARGE
    more = number(own, "Iops", free) - free
    if more > 0:
        yield bill.item(
            resource, found.count * more, f"{copies}{whole(more)} IOPS above {free}",
            "rds_storage", "gp3_iops",
        )  # fmt: skip
    if number(own, "PerformanceInsightsRetentionPeriod", _FREE_INSIGHTS) > _FREE_INSIGHTS:
        raise NoPriceError(f"Performance Insights for more than {_FREE_INSIGHTS} days has no price")
    backups = bill.usage.database_backup_gb
    if backups:
        yield bill.item(
            resource, backups, f"assumed: {whole(backups)} GB of backups above {whole(size)} GB",
            "rds_storage", "backup_gb",
        )  # fmt: skip


def cache_nodes(resource: Resource) -> Servers:
    """The nodes of a replication group.

    Raises:
        NoPriceError: engine, type or number is only known when it is deployed.
    """
    own = resource.properties
    engine, node = text(own, "Engine", "redis"), text(own, "CacheNodeType")
    if "NumNodeGroups" in own or "ReplicasPerNodeGroup" in own:
        count = number(own, "NumNodeGroups", 1) * (1 + number(own, "ReplicasPerNodeGroup", 0))
    else:
        count = number(own, "NumCacheClusters", 1)
    return Servers(f"{engine}/{node}", int(count), f"{node}, {engine}")


def cache(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Nodes of a replication group."""
    found = cache_nodes(resource)
    yield bill.item(
        resource, found.count * HOURS, f"{found.count} x {found.words} x {HOURS} h", "cache",
        found.name,
    )  # fmt: skip


def planned_gb(bill: Bill) -> tuple[Decimal, str]:
    """GB that are planned for in the bucket, and where the number is from.

    ``spec.storage.size`` travels in the stack's spec; S3 itself has no quota to read it from.
    """
    size = part(bill.stack.spec, "spec", "storage").get("size")
    if size is None:
        return bill.usage.storage_gb, "assumed"
    try:
        return Decimal(parse_size(size)) / GIB, "spec.storage.size"
    except QuantityError as error:
        raise NoPriceError(f"spec.storage.size: {error}") from None


def bucket(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """What is planned to be in a bucket, by storage class, requests and copies elsewhere."""
    if resource.id == DATA_BUCKET:
        size, why = planned_gb(bill)
    else:
        size, why = bill.usage.other_bucket_gb, "assumed"
    for name, share in _classes(resource, bill):
        if share:
            basis = f"{why}: {whole(size)} GB, {whole(round(share * 100))} % of it in {name}"
            yield bill.item(resource, size * share, basis, "s3", name)
    for count, name, words in (
        (bill.usage.storage_writes, "put_1000", "writes"),
        (bill.usage.storage_reads, "get_1000", "reads"),
    ):
        basis = f"assumed: {count:,} {words}"
        yield bill.item(resource, Decimal(count) / 1000, basis, "s3", name)
    if part(resource.properties, "ReplicationConfiguration"):
        moved = size * bill.usage.replicated_share
        yield bill.item(
            resource, moved, f"assumed: {whole(moved)} GB copied to another region", "transfer",
            "region_gb",
        )  # fmt: skip
        yield bill.item(
            resource, size, f"{why}: {whole(size)} GB kept there, at the price of here", "s3",
            "STANDARD",
        )  # fmt: skip


def _classes(resource: Resource, bill: Bill) -> Iterator[tuple[str, Decimal]]:
    """The storage classes of a bucket with their shares, objects being of all ages alike.

    Intelligent-Tiering is taken at the price of the class it begins with, which is its highest.
    """
    steps = {0: "STANDARD"}
    end = bill.usage.object_days
    for rule in part(resource.properties, "LifecycleConfiguration").get("Rules", ()):
        if rule.get("Status") != "Enabled":
            continue
        moves = [*rule.get("Transitions", ()), *filter(None, [rule.get("Transition")])]
        for move in moves:
            steps[int(number(move, "TransitionInDays", 0))] = text(move, "StorageClass")
        if "ExpirationInDays" in rule:
            end = int(number(rule, "ExpirationInDays"))
    days = sorted(day for day in steps if day < end)
    for day, until in zip(days, [*days[1:], end], strict=True):
        name = "STANDARD" if steps[day] == "INTELLIGENT_TIERING" else steps[day]
        yield name, Decimal(until - day) / end


def backup_vault(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """One copy of each data store that the vault's selection names, at its planned size."""
    found = False
    for selection in bill.of_type("AWS::Backup::BackupSelection"):
        for arn in part(selection.properties, "BackupSelection").get("Resources", ()):
            store = bill.referred(arn)
            if store is not None and store.type == "AWS::RDS::DBInstance":
                found = True
                size = number(store.properties, "AllocatedStorage")
                basis = f"assumed: one copy of {store.id}, {whole(size)} GB"
                yield bill.item(resource, size, basis, "rds_storage", "backup_gb")
            elif store is not None and store.type == "AWS::S3::Bucket":
                found = True
                size, why = planned_gb(bill)
                basis = f"assumed: one copy of {store.id}, {whole(size)} GB ({why})"
                try:
                    yield bill.item(resource, size, basis, "s3", "backup_gb")
                except NoPriceError as error:
                    raise NoPriceError(
                        f"{error}, which AWS Backup asks for copies of {store.id}; --live-prices "
                        "asks AWS for it, and https://aws.amazon.com/backup/pricing shows it"
                    ) from error
    if not found:
        size = bill.usage.backup_gb
        basis = f"assumed: {whole(size)} GB of copies"
        yield bill.item(resource, size, basis, "rds_storage", "backup_gb")


def registry(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """Images in a registry."""
    size = bill.usage.image_gb
    yield bill.item(resource, size, f"assumed: {whole(size)} GB of images", "ecr", "gb")


def log_group(resource: Resource, bill: Bill) -> Iterator[LineItem]:
    """What is written to a log group and kept there.

    AWS bills what is kept after compression, to about 0.15 of its size. Source: the assumption of
    the AWS Pricing Calculator for CloudWatch.
    """
    size = bill.usage.log_gb
    flows = _flow_logs_to(resource, bill)
    if flows:
        # What flow logs write is their own line.
        size = bill.usage.flow_log_gb * flows
    else:
        yield bill.item(
            resource, size, f"assumed: {whole(size)} GB of logs written", "logs", "ingest_gb"
        )
    days = min(number(resource.properties, "RetentionInDays", 365), Decimal(365))
    kept = size * days / 30 * Decimal("0.15")
    basis = f"assumed: {whole(size)} GB a month kept for {whole(days)} days, compressed"
    yield bill.item(resource, kept, basis, "logs", "store_gb")


def _flow_logs_to(group: Resource, bill: Bill) -> int:
    return sum(
        group.id in (referred_id(one.properties.get(key)) for key in _FLOW_TARGETS)
        for one in bill.of_type("AWS::EC2::FlowLog")
    )


_FLOW_TARGETS = ("LogGroupName", "LogDestination")

"""Unit prices as AWS's own price list has them today: the Pricing API, remembered for some days.

Only what makes most of a bill is asked for: instances, disks, Fargate, databases, caches, load
balancers, NAT gateways, and copies of data. The rest comes from the shipped list. The API answers
in one region for all of them and needs credentials, but no right except ``pricing:GetProducts``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.prices.table import Rate, Rates
from tabular.deploy.aws.words.partitions import without_prices
from tabular.deploy.files import write_bytes

REGION = "us-east-1"  # where the API answers, for all regions
MAX_AGE = timedelta(days=7)
_PAGE = 100
# Usage types begin with a short name of the region, except in the oldest ones.
_PLACE = r"(?:[A-Z]{2,4}[0-9]?-)?"
_ENGINES = {"postgres": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
_CACHES = {"redis": "Redis", "valkey": "Valkey"}


@dataclass(frozen=True, slots=True)
class Query:
    """What to ask of the price list.

    Attributes:
        service: its code there.
        filters: attributes of the product, all equal; the region is added.
        usage: regular expression of the usage type without the region.
        divide: units of the API to one of ours.
    """

    service: str
    filters: Mapping[str, str]
    usage: str
    divide: int = 1


def query(group: str, name: str) -> Query | None:
    """How the price list names one of our prices; None if it is not asked for."""
    fixed = _FIXED.get((group, name))
    if fixed is not None:
        return fixed
    if group == "ec2":
        return Query(
            "AmazonEC2",
            {
                "instanceType": name,
                "operatingSystem": "Linux",
                "tenancy": "Shared",
                "preInstalledSw": "NA",
                "capacitystatus": "Used",
                "licenseModel": "No License required",
            },
            r"BoxUsage:.+",
        )
    engine, _, size = name.partition("/")
    if group == "rds" and engine in _ENGINES:
        return Query(
            "AmazonRDS",
            {
                "instanceType": size,
                "databaseEngine": _ENGINES[engine],
                "deploymentOption": "Single-AZ",
            },
            r"InstanceUsage:.+",
        )
    if group == "cache" and engine in _CACHES:
        return Query(
            "AmazonElastiCache",
            {"instanceType": size, "cacheEngine": _CACHES[engine]},
            r"NodeUsage:.+",
        )
    return None


def _balancer(usage: str) -> Query:
    return Query("AWSELB", {"productFamily": "Load Balancer-Application"}, usage)


_GP3 = {"volumeApiName": "gp3"}
_FIXED: Mapping[tuple[str, str], Query] = {
    ("ebs", "gp3_gb"): Query(
        "AmazonEC2", {**_GP3, "productFamily": "Storage"}, r"EBS:VolumeUsage\.gp3"
    ),
    ("ebs", "gp3_iops"): Query(
        "AmazonEC2", {**_GP3, "productFamily": "System Operation"}, r"EBS:VolumeP-IOPS\.gp3"
    ),
    # Sold by GiB/s, provisioned by MiB/s.
    ("ebs", "gp3_mibps"): Query(
        "AmazonEC2",
        {**_GP3, "productFamily": "Provisioned Throughput"},
        r"EBS:VolumeP-Throughput\.gp3",
        divide=1024,
    ),
    ("fargate", "vcpu"): Query(
        "AmazonECS", {"productFamily": "Compute"}, r"Fargate-vCPU-Hours:perCPU"
    ),
    ("fargate", "gb"): Query("AmazonECS", {"productFamily": "Compute"}, r"Fargate-GB-Hours"),
    ("fargate", "disk_gb"): Query(
        "AmazonECS", {"productFamily": "Compute"}, r"Fargate-EphemeralStorage-GB-Hours"
    ),
    ("alb", "hour"): _balancer(r"LoadBalancerUsage"),
    ("alb", "lcu"): _balancer(r"LCUUsage"),
    ("nat", "hour"): Query("AmazonEC2", {"productFamily": "NAT Gateway"}, r"NatGateway-Hours"),
    ("nat", "gb"): Query("AmazonEC2", {"productFamily": "NAT Gateway"}, r"NatGateway-Bytes"),
    ("rds_storage", "gp3_gb"): Query(
        "AmazonRDS",
        {
            "productFamily": "Database Storage",
            "volumeType": "General Purpose-GP3",
            "databaseEngine": "PostgreSQL",
            "deploymentOption": "Single-AZ",
        },
        r"RDS:GP3-Storage",
    ),
    ("rds_storage", "backup_gb"): Query(
        "AmazonRDS",
        {"productFamily": "Storage Snapshot", "databaseEngine": "PostgreSQL"},
        r"RDS:ChargedBackupUsage",
    ),
    ("s3", "backup_gb"): Query(
        "AWSBackup", {"productFamily": "AWS Backup Storage"}, r"WarmStorage-ByteHrs-S3"
    ),
}


class LiveRates:
    """Prices of the API, and of a list for what is not asked for.

    Args:
        connect: makes the client of the service ``pricing``, when it is first needed.
        folder: where answers are remembered.
        rest: where all other prices are from.
        max_age: how long answers are used.
        now: the time, UTC.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        folder: Path,
        rest: Rates,
        *,
        max_age: timedelta = MAX_AGE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connect = connect
        self._folder = folder
        self._rest = rest
        self._max_age = max_age
        self._now = now

    def unknown(self, region: str) -> str | None:
        """Nothing is unknown before it was asked for, but for what the API never has."""
        return without_prices(region)

    def find(self, group: str, name: str, region: str) -> Rate | None:
        """A unit price; None if AWS has none, or more than one that fits.

        Raises:
            PreflightError: no credentials, or wrong ones; or the folder cannot be written.
            ForbiddenError: they may not ask for prices.
            UnavailableError: the API does not answer.
        """
        asked = query(group, name)
        if asked is None:
            return self._rest.find(group, name, region)
        path = self._folder / f"aws-prices-{region}.json"
        known = self._remembered(path)
        key = f"{group} {name}"
        if key not in known:
            amount = self._ask(asked, region)
            known[key] = {
                "amount": None if amount is None else str(amount),
                "fetched": self._now().isoformat(timespec="seconds"),
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, json.dumps(known, indent=1, sort_keys=True).encode(), 0o644)
        found = known[key]
        if found["amount"] is None:
            return None
        day = found["fetched"][:10]
        return Rate(Decimal(found["amount"]), f"AWS Pricing API, asked {day}, {region}")

    def _remembered(self, path: Path) -> dict[str, dict[str, Any]]:
        """Answers that are young enough; a file that is no such thing is as good as none."""
        try:
            entries = json.loads(path.read_bytes())
            return {
                key: entry
                for key, entry in entries.items()
                if timedelta()
                <= self._now() - datetime.fromisoformat(entry["fetched"])
                <= self._max_age
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def _ask(self, asked: Query, region: str) -> Decimal | None:
        wanted = re.compile(_PLACE + asked.usage)
        amounts = {
            amount
            for product in self._products(asked, region)
            if wanted.fullmatch(product["product"]["attributes"].get("usagetype", ""))
            for amount in _on_demand(product)
        }
        if len(amounts) != 1:
            return None
        return amounts.pop() / asked.divide

    def _products(self, asked: Query, region: str) -> Iterator[Mapping[str, Any]]:
        filters = {"regionCode": region, **asked.filters}
        request: dict[str, Any] = {
            "ServiceCode": asked.service,
            "FormatVersion": "aws_v1",
            "MaxResults": _PAGE,
            "Filters": [
                {"Type": "TERM_MATCH", "Field": field, "Value": value}
                for field, value in sorted(filters.items())
            ],
        }
        while True:
            with explained("pricing:GetProducts"):
                answer = self._connect().get_products(**request)
            yield from (json.loads(text) for text in answer["PriceList"])
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]


def _on_demand(product: Mapping[str, Any]) -> Iterator[Decimal]:
    """Prices of the first tier, in US dollars; none of it is free."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            amount = Decimal(dimension["pricePerUnit"].get("USD", "0"))
            if dimension.get("beginRange", "0") == "0" and amount:
                yield amount

"""Prices of the Pricing API, by answers of its shape: botocore checks both sides by its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.stub import Stubber

from tabular.deploy import AuditLog, Orchestrator, ProviderOptions
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.engine import Parts
from tabular.deploy.aws.prices import AwsPrices
from tabular.deploy.aws.prices.live import REGION, LiveRates
from tabular.deploy.aws.prices.table import Rate, shipped
from tabular.deploy.aws.provider import AWSProvider
from tabular.deploy.cost import Unpriced, estimate
from tabular.errors import ForbiddenError, PreflightError, UnavailableError
from tests.deploy.aws.prices.priced import group, launch_template, stack

MONDAY = datetime(2026, 11, 30, 12, tzinfo=UTC)


def product(usage: str, *tiers: str, unit: str = "Hrs", **attributes: str) -> str:
    """An entry of ``PriceList``: one product with its terms, as the API writes it."""
    sku = "ABCDEFGHIJKLMNOP"
    dimensions = {
        f"{sku}.JRTCKXETXF.{number}": {
            "unit": unit,
            "beginRange": "0" if number == 0 else str(1000 * number),
            "endRange": "Inf",
            "description": f"${amount} per {unit}",
            "appliesTo": [],
            "rateCode": f"{sku}.JRTCKXETXF.{number}",
            "pricePerUnit": {"USD": amount},
        }
        for number, amount in enumerate(tiers)
    }
    term = {
        "priceDimensions": dimensions,
        "sku": sku,
        "effectiveDate": "2026-11-01T00:00:00Z",
        "offerTermCode": "JRTCKXETXF",
        "termAttributes": {},
    }
    return json.dumps(
        {
            "product": {
                "productFamily": "Compute Instance",
                "attributes": {"usagetype": usage, **attributes},
                "sku": sku,
            },
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": term}},
            "version": "20261101000000",
            "publicationDate": "2026-11-01T00:00:00Z",
        }
    )


class Api:
    """The Pricing API with the answers that a test gives."""

    def __init__(self) -> None:
        self.client = boto3.Session(
            aws_access_key_id="000000000000", aws_secret_access_key="test", region_name=REGION
        ).client("pricing")
        self.stub = Stubber(self.client)
        self.stub.activate()
        self.now = MONDAY

    def answers(
        self,
        *products: str,
        service: str,
        filters: Mapping[str, str],
        token: str | None = None,
        more: str | None = None,
    ) -> None:
        """The next answer, and the request it belongs to."""
        asked: dict[str, Any] = {
            "ServiceCode": service,
            "FormatVersion": "aws_v1",
            "MaxResults": 100,
            "Filters": [
                {"Type": "TERM_MATCH", "Field": field, "Value": value}
                for field, value in sorted(filters.items())
            ],
        }
        answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": list(products)}
        if token:
            asked["NextToken"] = token
        if more:
            answer["NextToken"] = more
        self.stub.add_response("get_products", answer, asked)

    def rates(self, folder: Path) -> LiveRates:
        return LiveRates(lambda: self.client, folder, shipped(), now=lambda: self.now)


@pytest.fixture
def api() -> Api:
    return Api()


INSTANCE = {
    "regionCode": "eu-west-1",
    "instanceType": "m6i.large",
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "licenseModel": "No License required",
}


def test_an_instance_costs_what_the_list_says(api: Api, tmp_path: Path) -> None:
    api.answers(
        product("EU-BoxUsage:m6i.large", "0.1110000000"),
        product("EU-UnusedBox:m6i.large", "0.2220000000"),
        product("EU-Reservation:m6i.large", "0.0000000000"),
        service="AmazonEC2",
        filters=INSTANCE,
    )
    found = api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1")
    assert found == Rate(Decimal("0.1110000000"), "AWS Pricing API, asked 2026-11-30, eu-west-1")
    api.stub.assert_no_pending_responses()


def test_the_plan_shows_the_live_price_and_the_day(api: Api, tmp_path: Path) -> None:
    api.answers(
        product("EU-BoxUsage:m6i.large", "0.1110000000"), service="AmazonEC2", filters=INSTANCE
    )
    made = stack(group(2), launch_template("m6i.large"), region="eu-west-1")
    found = AwsPrices(api.rates(tmp_path)).price(made.resources[0], made)
    assert not isinstance(found, Unpriced)
    assert [(i.amount, i.source) for i in found] == [
        (Decimal("162.0600"), "AWS Pricing API, asked 2026-11-30, eu-west-1")
    ]


def test_the_provider_asks_with_its_own_credentials(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    session = Session(base=boto3.Session("000000000000", "test", region_name="eu-west-1"))
    provider = AWSProvider(ProviderOptions(), parts=Parts.of(session))
    api.stub = Stubber(session.client("pricing", REGION))
    api.stub.activate()
    api.answers(
        product("EU-BoxUsage:m6i.large", "0.1110000000"), service="AmazonEC2", filters=INSTANCE
    )
    made = stack(group(2), launch_template("m6i.large"), region="eu-west-1")
    orchestrator = Orchestrator(provider, AuditLog(tmp_path / "audit.jsonl"))
    listed = orchestrator.prices
    assert listed is not None
    assert estimate(made, listed).total == Decimal("156.22")
    orchestrator.use_live_prices()
    live = orchestrator.prices
    assert live is not None
    found = estimate(made, live)
    assert found.total == Decimal("162.06")
    # The other ways to buy go by the live price too.
    assert {one.instead_of for one in found.alternatives} == {Decimal("162.06")}
    api.stub.assert_no_pending_responses()
    assert list(tmp_path.rglob("aws-prices-eu-west-1.json"))


def test_fargate_is_told_from_spot_arm_and_windows_over_pages(api: Api, tmp_path: Path) -> None:
    filters = {"regionCode": "us-east-1", "productFamily": "Compute"}
    api.answers(
        product("USE1-Fargate-ARM-vCPU-Hours:perCPU", "0.0323800000", unit="hours"),
        product("USE1-SpotUsage-Fargate-vCPU-Hours:perCPU", "0.0121440000", unit="hours"),
        product("USE1-Fargate-Windows-vCPU-Hours:perCPU", "0.0465500000", unit="hours"),
        service="AmazonECS",
        filters=filters,
        more="page-2",
    )
    api.answers(
        product("USE1-Fargate-vCPU-Hours:perCPU", "0.0404800000", unit="hours"),
        service="AmazonECS",
        filters=filters,
        token="page-2",
    )
    found = api.rates(tmp_path).find("fargate", "vcpu", "us-east-1")
    assert found is not None
    assert found.amount == Decimal("0.04048")


@pytest.mark.parametrize(
    ("group_", "name", "service", "filters", "usage", "tiers", "amount"),
    [
        ("rds", "postgres/db.m7g.large", "AmazonRDS",
         {"instanceType": "db.m7g.large", "databaseEngine": "PostgreSQL",
          "deploymentOption": "Single-AZ"}, "EU-InstanceUsage:db.m7g.large", ["0.18"], "0.18"),
        ("rds_storage", "gp3_gb", "AmazonRDS",
         {"productFamily": "Database Storage", "volumeType": "General Purpose-GP3",
          "databaseEngine": "PostgreSQL", "deploymentOption": "Single-AZ"}, "EU-RDS:GP3-Storage",
         ["0.127"], "0.127"),
        ("cache", "valkey/cache.t4g.small", "AmazonElastiCache",
         {"instanceType": "cache.t4g.small", "cacheEngine": "Valkey"},
         "EU-NodeUsage:cache.t4g.small", ["0.028"], "0.028"),
        ("alb", "hour", "AWSELB", {"productFamily": "Load Balancer-Application"},
         "EU-LoadBalancerUsage", ["0.0252"], "0.0252"),
        ("alb", "lcu", "AWSELB", {"productFamily": "Load Balancer-Application"}, "EU-LCUUsage",
         ["0.008"], "0.008"),
        ("nat", "hour", "AmazonEC2", {"productFamily": "NAT Gateway"}, "EU-NatGateway-Hours",
         ["0.048"], "0.048"),
        ("nat", "gb", "AmazonEC2", {"productFamily": "NAT Gateway"}, "EU-NatGateway-Bytes",
         ["0.048"], "0.048"),
        ("ebs", "gp3_gb", "AmazonEC2", {"volumeApiName": "gp3", "productFamily": "Storage"},
         "EU-EBS:VolumeUsage.gp3", ["0.088"], "0.088"),
        ("ebs", "gp3_iops", "AmazonEC2",
         {"volumeApiName": "gp3", "productFamily": "System Operation"}, "EU-EBS:VolumeP-IOPS.gp3",
         ["0.0055"], "0.0055"),
        ("ebs", "gp3_mibps", "AmazonEC2",
         {"volumeApiName": "gp3", "productFamily": "Provisioned Throughput"},
         "EU-EBS:VolumeP-Throughput.gp3", ["45.056"], "0.044"),
        ("fargate", "disk_gb", "AmazonECS", {"productFamily": "Compute"},
         "EU-Fargate-EphemeralStorage-GB-Hours", ["0.000122"], "0.000122"),
        ("rds_storage", "backup_gb", "AmazonRDS",
         {"productFamily": "Storage Snapshot", "databaseEngine": "PostgreSQL"},
         "EU-RDS:ChargedBackupUsage", ["0.095"], "0.095"),
        ("s3", "backup_gb", "AWSBackup", {"productFamily": "AWS Backup Storage"},
         "EU-WarmStorage-ByteHrs-S3", ["0.05"], "0.05"),
    ],
)  # fmt: skip
def test_each_kind_is_asked_for_by_its_own_names(
    group_: str,
    name: str,
    service: str,
    filters: dict[str, str],
    usage: str,
    tiers: list[str],
    amount: str,
    api: Api,
    tmp_path: Path,
) -> None:
    api.answers(
        product(usage, *tiers),
        # Others that such a question brings too, and that must not be taken for it.
        product(f"EU-ExtendedSupportYr3-{usage[3:]}", "9"),
        product(f"EU-Outposts-{usage[3:]}", "9"),
        product(f"EU-TS-{usage[3:]}", "9"),
        product(f"EU-Regional{usage[3:]}", "9"),
        service=service,
        filters={"regionCode": "eu-west-1", **filters},
    )
    found = api.rates(tmp_path).find(group_, name, "eu-west-1")
    assert found is not None
    assert found.amount == Decimal(amount)


def test_only_the_first_tier_counts(api: Api, tmp_path: Path) -> None:
    api.answers(
        product("EU-NatGateway-Bytes", "0.048", "0.030"),
        service="AmazonEC2",
        filters={"regionCode": "eu-west-1", "productFamily": "NAT Gateway"},
    )
    found = api.rates(tmp_path).find("nat", "gb", "eu-west-1")
    assert found is not None
    assert found.amount == Decimal("0.048")


def test_what_the_list_has_twice_or_not_at_all_has_no_price(api: Api, tmp_path: Path) -> None:
    twice = (product("EU-BoxUsage:m6i.large", "0.1"), product("EU-BoxUsage:m6i.large", "0.2"))
    api.answers(*twice, service="AmazonEC2", filters=INSTANCE)
    assert api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1") is None
    none = {**INSTANCE, "instanceType": "x99.mega"}
    api.answers(service="AmazonEC2", filters=none)
    rates = api.rates(tmp_path)
    assert rates.find("ec2", "x99.mega", "eu-west-1") is None
    # That there is none is remembered too.
    assert rates.find("ec2", "x99.mega", "eu-west-1") is None


def test_what_is_not_asked_for_comes_from_the_shipped_list(api: Api, tmp_path: Path) -> None:
    assert api.rates(tmp_path).find("kms", "key", "eu-west-1") == shipped().find(
        "kms", "key", "eu-west-1"
    )


def test_an_answer_serves_for_a_week(api: Api, tmp_path: Path) -> None:
    api.answers(product("EU-BoxUsage:m6i.large", "0.1"), service="AmazonEC2", filters=INSTANCE)
    first = api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1")
    api.now += timedelta(days=6, hours=23)
    # Nothing more is stubbed: a second question would fail.
    assert api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1") == first
    api.now += timedelta(hours=2)
    api.answers(product("EU-BoxUsage:m6i.large", "0.3"), service="AmazonEC2", filters=INSTANCE)
    later = api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1")
    assert later == Rate(Decimal("0.3"), "AWS Pricing API, asked 2026-12-07, eu-west-1")


@pytest.mark.parametrize("torn", [b"", b"[]", b'{"ec2 m6i.large": {}}', b"\xff", b'{"a": 1}'])
def test_a_torn_memory_is_asked_again(torn: bytes, api: Api, tmp_path: Path) -> None:
    (tmp_path / "aws-prices-eu-west-1.json").write_bytes(torn)
    api.answers(product("EU-BoxUsage:m6i.large", "0.1"), service="AmazonEC2", filters=INSTANCE)
    found = api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1")
    assert found is not None
    assert found.amount == Decimal("0.1")


def test_the_right_that_is_missing_is_named(api: Api, tmp_path: Path) -> None:
    api.stub.add_client_error("get_products", "AccessDeniedException", "not authorized", 400)
    with pytest.raises(ForbiddenError, match="pricing:GetProducts"):
        api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1")


def test_an_api_that_is_tired_is_unavailable(api: Api, tmp_path: Path) -> None:
    api.stub.add_client_error("get_products", "ThrottlingException", "Rate exceeded", 400)
    with pytest.raises(UnavailableError):
        api.rates(tmp_path).find("ec2", "m6i.large", "eu-west-1")


def test_without_credentials_it_says_how_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = botocore.session.Session()
    rates = LiveRates(
        lambda: session.create_client(
            "pricing", region_name=REGION, endpoint_url="http://127.0.0.1:9"
        ),
        tmp_path,
        shipped(),
    )
    with pytest.raises(PreflightError, match="no AWS credentials") as caught:
        rates.find("ec2", "m6i.large", "eu-west-1")
    assert "aws configure" in str(caught.value.hint)

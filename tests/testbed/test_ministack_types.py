"""The resource types that we taught the emulator: made, seen by boto3, updated, gone, drifting."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.testbed.ministack import MiniStack
from tests.testbed.test_ministack import Cloud, body, changes, queue

Template = dict[str, Any]


@pytest.fixture
def cloud(ministack: MiniStack, aws_account: str) -> Cloud:
    return Cloud(ministack, aws_account)


def typed(resource_type: str, **properties: Any) -> Template:
    return {"Type": f"AWS::{resource_type}", "Properties": properties}


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def att(logical_id: str, name: str) -> Template:
    return {"Fn::GetAtt": [logical_id, name]}


def ref(logical_id: str) -> Template:
    return {"Ref": logical_id}


NETWORK = {
    "Vpc": typed("EC2::VPC", CidrBlock="10.0.0.0/16"),
    "Subnet": typed("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
    "Other": typed("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.2.0/24"),
    "Group": typed("EC2::SecurityGroup", GroupDescription="ours", VpcId=ref("Vpc")),
}
ROLE = typed("IAM::Role", AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": []})
CLUSTER = {
    "Cluster": typed("ECS::Cluster", ClusterName="c"),
    "Task": typed(
        "ECS::TaskDefinition",
        Family="api",
        ContainerDefinitions=[{"Name": "api", "Image": "i", "Memory": 128}],
    ),
    "Service": typed(
        "ECS::Service",
        ServiceName="api",
        Cluster=ref("Cluster"),
        TaskDefinition=ref("Task"),
        DesiredCount=ref("Count"),
    ),
}
COUNT = {"Count": {"Type": "Number", "Default": 2}}

Look = Callable[[Cloud], Any]


def rules(cloud: Cloud) -> list[tuple[int, str]]:
    groups = cloud.client("ec2").describe_security_groups(
        Filters=[{"Name": "description", "Values": ["ours"]}]
    )["SecurityGroups"]
    (group,) = [group for group in groups if group["Description"] == "ours"]
    return [
        (rule["FromPort"], rule["IpRanges"][0]["CidrIp"])
        for rule in group["IpPermissions"] + group["IpPermissionsEgress"]
        if "FromPort" in rule
    ]


def budget(limit: int) -> Template:
    return typed(
        "Budgets::Budget",
        Budget={
            "BudgetName": "b",
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": limit, "Unit": "USD"},
        },
    )


def environment(vcpus: int) -> Template:
    return typed(
        "Batch::ComputeEnvironment",
        Type="MANAGED",
        ComputeResources={"Type": "FARGATE", "MaxvCpus": vcpus, "Subnets": [ref("Subnet")]},
    )


def job(image: str) -> Template:
    return typed(
        "Batch::JobDefinition",
        Type="container",
        JobDefinitionName="j",
        RetryStrategy={"Attempts": 3},
        ContainerProperties={"Image": image, "Environment": [{"Name": "A", "Value": "B"}]},
    )


def health(path: str) -> Template:
    config = {"Type": "HTTPS", "FullyQualifiedDomainName": "x.example", "ResourcePath": path}
    return typed("Route53::HealthCheck", HealthCheckConfig=config)


def cache(gigabytes: int) -> Template:
    limits = {"DataStorage": {"Maximum": gigabytes, "Unit": "GB"}}
    return typed(
        "ElastiCache::ServerlessCache",
        ServerlessCacheName="sc",
        Engine="valkey",
        CacheUsageLimits=limits,
    )


def rotation(days: int) -> dict[str, Template]:
    return {
        "Secret": typed("SecretsManager::Secret", Name="s", SecretString="x"),
        "R": typed(
            "SecretsManager::RotationSchedule",
            SecretId=ref("Secret"),
            RotationRules={"AutomaticallyAfterDays": days},
        ),
    }


def alarms(state: str) -> dict[str, Template]:
    return {
        "One": typed(
            "CloudWatch::Alarm",
            AlarmName="one",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Threshold=5,
            Metrics=[
                {
                    "Id": "a",
                    "MetricStat": {
                        "Metric": {"Namespace": "n", "MetricName": "m"},
                        "Period": 60,
                        "Stat": "Sum",
                    },
                    "ReturnData": False,
                },
                {"Id": "b", "Expression": "a * 2"},
            ],
        ),
        "R": typed("CloudWatch::CompositeAlarm", AlarmRule={"Fn::Sub": f"{state}(${{One}})"}),
    }


def rotation_days(cloud: Cloud) -> list[int]:
    secrets = cloud.client("secretsmanager")
    return [
        secrets.describe_secret(SecretId=found["ARN"])["RotationRules"]["AutomaticallyAfterDays"]
        for found in secrets.list_secrets()["SecretList"]
    ]


def providers(*names: str) -> dict[str, Template]:
    association = typed(
        "ECS::ClusterCapacityProviderAssociations",
        Cluster=ref("Cluster"),
        CapacityProviders=list(names),
        DefaultCapacityProviderStrategy=[{"CapacityProvider": names[0], "Weight": 1}],
    )
    return {"Cluster": CLUSTER["Cluster"], "R": association}


def described_jobs(cloud: Cloud) -> list[tuple[str, int, str]]:
    found = cloud.client("batch").describe_job_definitions(jobDefinitionName="j")["jobDefinitions"]
    return [
        (job["containerProperties"]["image"], job["retryStrategy"]["attempts"], job["status"])
        for job in found
    ]


# name: resources before, resources after, what boto3 sees, that before, that after, that at last
# fmt: off
LIVES: dict[str, tuple[dict[str, Template], dict[str, Template], Look, Any, Any, Any]] = {
    "EIP": (
        {"R": typed("EC2::EIP", Tags=tags(a="1"))},
        {"R": typed("EC2::EIP", Tags=tags(a="2"))},
        lambda cloud: [
            tag["Value"]
            for address in cloud.client("ec2").describe_addresses()["Addresses"]
            for tag in address["Tags"]
            if tag["Key"] == "a"
        ],
        ["1"],
        ["2"],
        [],
    ),
    "NatGateway": (
        {
            **NETWORK,
            "Eip": typed("EC2::EIP"),
            "R": typed(
                "EC2::NatGateway", SubnetId=ref("Subnet"), AllocationId=att("Eip", "AllocationId")
            ),
        },
        {**NETWORK, "R": typed("EC2::NatGateway", SubnetId=ref("Other"),
                               ConnectivityType="private")},
        lambda cloud: sorted(
            (gateway["ConnectivityType"], gateway["State"])
            for gateway in cloud.client("ec2").describe_nat_gateways()["NatGateways"]
        ),
        [("public", "available")],
        [("private", "available"), ("public", "deleted")],
        [("private", "deleted"), ("public", "deleted")],
    ),
    "FlowLog": (
        {**NETWORK, "R": typed("EC2::FlowLog", ResourceId=ref("Vpc"), ResourceType="VPC",
                               TrafficType="ALL", LogGroupName="g")},
        {**NETWORK, "R": typed("EC2::FlowLog", ResourceId=ref("Vpc"), ResourceType="VPC",
                               TrafficType="REJECT", LogGroupName="g")},
        lambda cloud: [
            log["TrafficType"] for log in cloud.client("ec2").describe_flow_logs()["FlowLogs"]
        ],
        ["ALL"],
        ["REJECT"],
        [],
    ),
    "Volume": (
        {"R": typed("EC2::Volume", Size=8, VolumeType="gp3", AvailabilityZone="eu-west-1a")},
        {"R": typed("EC2::Volume", Size=9, VolumeType="gp3", AvailabilityZone="eu-west-1a")},
        lambda cloud: [
            found["Size"] for found in cloud.client("ec2").describe_volumes()["Volumes"]
        ],
        [8],
        [9],
        [],
    ),
    "CompositeAlarm": (
        alarms("ALARM"),
        alarms("OK"),
        lambda cloud: [
            found["AlarmRule"]
            for found in cloud.client("cloudwatch").describe_alarms(
                AlarmTypes=["CompositeAlarm"]
            )["CompositeAlarms"]
        ],
        ["ALARM(one)"],
        ["OK(one)"],
        [],
    ),
    "Budget": (
        {"R": budget(100)},
        {"R": budget(200)},
        lambda cloud: [
            found["BudgetLimit"]["Amount"]
            for found in cloud.client("budgets")
            .describe_budgets(AccountId=cloud.account)
            .get("Budgets", [])
        ],
        ["100"],
        ["200"],
        [],
    ),
    "HealthCheck": (
        {"R": health("/a")},
        {"R": health("/b")},
        lambda cloud: [
            check["HealthCheckConfig"]["ResourcePath"]
            for check in cloud.client("route53").list_health_checks()["HealthChecks"]
        ],
        ["/a"],
        ["/b"],
        [],
    ),
    "ServerlessCache": (
        {"R": cache(5)},
        {"R": cache(9)},
        lambda cloud: [
            found["CacheUsageLimits"]["DataStorage"]["Maximum"]
            for found in cloud.client("elasticache").describe_serverless_caches()[
                "ServerlessCaches"
            ]
        ],
        [5],
        [9],
        [],
    ),
    "RotationSchedule": (
        rotation(30),
        rotation(7),
        rotation_days,
        [30],
        [7],
        [],
    ),
    "ComputeEnvironment": (
        {**NETWORK, "R": environment(4)},
        {**NETWORK, "R": environment(8)},
        lambda cloud: [
            found["computeResources"]["maxvCpus"]
            for found in cloud.client("batch").describe_compute_environments()[
                "computeEnvironments"
            ]
        ],
        [4],
        [8],
        [],
    ),
    "JobDefinition": (
        {"R": job("one")},
        {"R": job("two")},
        described_jobs,
        [("one", 3, "ACTIVE")],
        [("one", 3, "INACTIVE"), ("two", 3, "ACTIVE")],
        [("one", 3, "INACTIVE"), ("two", 3, "INACTIVE")],
    ),
    "CapacityProviders": (
        providers("FARGATE"),
        providers("FARGATE_SPOT", "FARGATE"),
        lambda cloud: [
            cluster["capacityProviders"]
            for cluster in cloud.client("ecs").describe_clusters(clusters=["c"])["clusters"]
            if cluster["status"] == "ACTIVE"
        ],
        [["FARGATE"]],
        [["FARGATE_SPOT", "FARGATE"]],
        [],
    ),
}
# fmt: on


@pytest.mark.parametrize("name", sorted(LIVES))
def test_an_added_type_lives(cloud: Cloud, name: str) -> None:
    before, after, look, first, second, last = LIVES[name]
    assert cloud.create("s", body(before)) == "CREATE_COMPLETE"
    assert look(cloud) == first
    assert cloud.change("s", body(after)) == "UPDATE_COMPLETE"
    assert look(cloud) == second
    stack_id = cloud.api.describe_stacks(StackName="s")["Stacks"][0]["StackId"]
    cloud.api.delete_stack(StackName="s")
    assert cloud.until(stack_id, lambda status: status == "DELETE_COMPLETE")
    assert look(cloud) == last


def test_rules_of_a_group_are_resources_of_their_own(cloud: Cloud) -> None:
    def with_rules(port: int) -> str:
        common = {"GroupId": ref("Group"), "IpProtocol": "tcp"}
        into = typed("EC2::SecurityGroupIngress", **common, FromPort=port, ToPort=port,
                     CidrIp="10.0.0.0/8")  # fmt: skip
        out = typed("EC2::SecurityGroupEgress", **common, FromPort=9, ToPort=9, CidrIp="0.0.0.0/0")
        return body({**NETWORK, "In": into, "Out": out})

    assert cloud.create("s", with_rules(80)) == "CREATE_COMPLETE"
    assert rules(cloud) == [(80, "10.0.0.0/8"), (9, "0.0.0.0/0")]
    planned = cloud.plan("s", with_rules(81))
    assert changes(planned)["In"]["Replacement"] == "True"
    assert cloud.change("s", with_rules(81)) == "UPDATE_COMPLETE"
    assert rules(cloud) == [(81, "10.0.0.0/8"), (9, "0.0.0.0/0")]


def test_a_named_environment_is_not_replaced_under_its_name(cloud: Cloud) -> None:
    def named(kind: str) -> str:
        return body(
            {"R": typed("Batch::ComputeEnvironment", ComputeEnvironmentName="n", Type=kind)}
        )

    cloud.create("s", named("MANAGED"))
    assert cloud.change("s", named("UNMANAGED")) == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [event.get("ResourceStatusReason", "") for event in cloud.events("s")]
    assert any("custom-named resource requires replacing" in reason for reason in reasons)


def test_queue_selection_association_and_scaling_are_made_in_their_services(cloud: Cloud) -> None:
    resources = {
        **NETWORK,
        **CLUSTER,
        "Role": ROLE,
        "Env": environment(4),
        "Queue": typed(
            "Batch::JobQueue",
            Priority=1,
            ComputeEnvironmentOrder=[{"Order": 1, "ComputeEnvironment": ref("Env")}],
        ),
        "Vault": typed("Backup::BackupVault", BackupVaultName="v"),
        "Plan": typed(
            "Backup::BackupPlan",
            BackupPlan={
                "BackupPlanName": "p",
                "BackupPlanRule": [{"RuleName": "r", "TargetBackupVault": ref("Vault")}],
            },
        ),
        "Selection": typed(
            "Backup::BackupSelection",
            BackupPlanId=ref("Plan"),
            BackupSelection={"SelectionName": "all", "IamRoleArn": att("Role", "Arn")},
        ),
        "Balancer": typed(
            "ElasticLoadBalancingV2::LoadBalancer", Subnets=[ref("Subnet"), ref("Other")]
        ),
        "Acl": typed(
            "WAFv2::WebACL",
            Name="acl",
            Scope="REGIONAL",
            DefaultAction={"Allow": {}},
            VisibilityConfig={
                "SampledRequestsEnabled": True,
                "CloudWatchMetricsEnabled": True,
                "MetricName": "m",
            },
        ),
        "Association": typed(
            "WAFv2::WebACLAssociation", WebACLArn=att("Acl", "Arn"), ResourceArn=ref("Balancer")
        ),
        "Target": typed(
            "ApplicationAutoScaling::ScalableTarget",
            MinCapacity=1,
            MaxCapacity=4,
            ResourceId={"Fn::Sub": "service/${Cluster}/${Service.Name}"},
            ScalableDimension="ecs:service:DesiredCount",
            ServiceNamespace="ecs",
        ),
        "Policy": typed(
            "ApplicationAutoScaling::ScalingPolicy",
            PolicyName="cpu",
            PolicyType="TargetTrackingScaling",
            ScalingTargetId=ref("Target"),
        ),
        "Traces": typed("XRay::Group", GroupName="g", FilterExpression="fault"),
    }
    outputs = {"Target": {"Value": ref("Target")}, "Policy": {"Value": ref("Policy")}}
    template = body(resources, Parameters=COUNT, Outputs=outputs)
    assert cloud.create("s", template, Capabilities=["CAPABILITY_IAM"]) == "CREATE_COMPLETE"
    (made,) = cloud.client("batch").describe_job_queues()["jobQueues"]
    assert made["status"] == "VALID"
    backup = cloud.client("backup")
    (plan,) = backup.list_backup_plans()["BackupPlansList"]
    selections = backup.list_backup_selections(BackupPlanId=plan["BackupPlanId"])
    assert [s["SelectionName"] for s in selections["BackupSelectionsList"]] == ["all"]
    (balancer,) = cloud.client("elbv2").describe_load_balancers()["LoadBalancers"]
    acl = cloud.client("wafv2").get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])
    assert acl["WebACL"]["Name"] == "acl"
    (stack,) = cloud.api.describe_stacks(StackName="s")["Stacks"]
    values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert values["Target"] == "service/c/api|ecs:service:DesiredCount|ecs"
    assert values["Policy"].endswith(":resource/ecs/service/c/api:policyName/cpu")


def test_a_refused_value_fails_the_stack(cloud: Cloud) -> None:
    target = typed(
        "ApplicationAutoScaling::ScalableTarget",
        MinCapacity=5,
        MaxCapacity=4,
        ResourceId="service/c/s",
        ScalableDimension="ecs:service:DesiredCount",
        ServiceNamespace="ecs",
    )
    assert cloud.create("s", body({"R": target})) == "ROLLBACK_COMPLETE"


def test_a_group_of_mixed_instances_is_described_whole(cloud: Cloud) -> None:
    mixed = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {
                "LaunchTemplateId": ref("Template"),
                "Version": att("Template", "LatestVersionNumber"),
            },
            "Overrides": [{"InstanceType": "t3.small"}],
        },
        "InstancesDistribution": {"SpotAllocationStrategy": "price-capacity-optimized"},
    }
    resources = {
        **NETWORK,
        "Template": typed("EC2::LaunchTemplate", LaunchTemplateData={"InstanceType": "t3.micro"}),
        "Targets": typed(
            "ElasticLoadBalancingV2::TargetGroup", Port=80, Protocol="HTTP", VpcId=ref("Vpc")
        ),
        "Scaling": typed(
            "AutoScaling::AutoScalingGroup",
            MinSize="1",
            MaxSize="3",
            VPCZoneIdentifier=[ref("Subnet")],
            MixedInstancesPolicy=mixed,
            TargetGroupARNs=[ref("Targets")],
        ),
    }
    cloud.create("s", body(resources))
    (group,) = cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    policy = group["MixedInstancesPolicy"]
    assert policy["LaunchTemplate"]["Overrides"] == [{"InstanceType": "t3.small"}]
    assert policy["InstancesDistribution"]["SpotAllocationStrategy"] == "price-capacity-optimized"
    assert len(group["TargetGroupARNs"]) == 1


def bucket(days: int) -> Template:
    kms = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/k"}
    return typed(
        "S3::Bucket",
        BucketName=ref("Name"),
        BucketEncryption={
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": kms}]
        },
        LifecycleConfiguration={
            "Rules": [{"Id": "old", "Status": "Enabled", "Prefix": "t/", "ExpirationInDays": days}]
        },
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True},
        Tags=tags(team="x"),
    )


def test_a_bucket_keeps_all_that_its_template_says(cloud: Cloud) -> None:
    name = f"whole-{cloud.account}"
    parameters = {"Name": {"Type": "String", "Default": name}}
    cloud.create("s", body({"B": bucket(7)}, Parameters=parameters))
    s3 = cloud.client("s3")
    cipher = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert cipher[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "alias/k"
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert (rule["Expiration"], rule["Filter"]) == ({"Days": 7}, {"Prefix": "t/"})
    cloud.change("s", body({"B": bucket(9)}, Parameters=parameters))
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert rule["Expiration"] == {"Days": 9}


# --- Drift


def drift(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """The drift of the stack's resources, detected as a client does it."""
    asked = cloud.api.detect_stack_drift(StackName="s")["StackDriftDetectionId"]
    status = cloud.api.describe_stack_drift_detection_status(StackDriftDetectionId=asked)
    assert status["DetectionStatus"] == "DETECTION_COMPLETE"
    found = cloud.api.describe_stack_resource_drifts(StackName="s")["StackResourceDrifts"]
    drifted = [d for d in found if d["StackResourceDriftStatus"] in ("MODIFIED", "DELETED")]
    assert status["DriftedStackResourceCount"] == len(drifted)
    assert status["StackDriftStatus"] == ("DRIFTED" if drifted else "IN_SYNC")
    return {entry["LogicalResourceId"]: entry for entry in found}


def test_drift_is_what_somebody_changed_behind_the_stack(cloud: Cloud) -> None:
    name = f"drift-{cloud.account}"
    database = typed(
        "RDS::DBInstance",
        DBInstanceIdentifier="db",
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage="20",
        MasterUsername="u",
        MasterUserPassword="not-a-secret",
    )
    inline = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}]
    resources = {
        **NETWORK,
        **CLUSTER,
        "Group": typed(
            "EC2::SecurityGroup",
            GroupDescription="ours",
            VpcId=ref("Vpc"),
            SecurityGroupIngress=inline,
        ),
        "Own": typed(
            "EC2::SecurityGroupIngress",
            GroupId=ref("Group"),
            IpProtocol="tcp",
            FromPort=80,
            ToPort=80,
            CidrIp="10.0.0.0/8",
        ),
        "Bucket": bucket(7),
        "Database": database,
        "Parameter": typed("SSM::Parameter", Name="/p", Type="String", Value="a"),
        "Queue": queue(QueueName="q", DelaySeconds=1),
        "Alarm": typed(
            "CloudWatch::Alarm",
            AlarmName="a",
            Namespace="n",
            MetricName="m",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Threshold=5,
        ),
    }
    parameters = {**COUNT, "Name": {"Type": "String", "Default": name}}
    assert cloud.create("s", body(resources, Parameters=parameters)) == "CREATE_COMPLETE"
    clean = drift(cloud)
    assert {entry["StackResourceDriftStatus"] for entry in clean.values()} == {"IN_SYNC"}

    client = cloud.client
    client("ecs").update_service(cluster="c", service="api", desiredCount=5)
    client("rds").modify_db_instance(
        DBInstanceIdentifier="db", DBInstanceClass="db.r6g.large", ApplyImmediately=True
    )
    client("ssm").put_parameter(Name="/p", Value="b", Type="String", Overwrite=True)
    url = client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    client("sqs").delete_queue(QueueUrl=url)
    client("s3").delete_public_access_block(Bucket=name)
    client("s3").delete_bucket_lifecycle(Bucket=name)
    group = clean["Group"]["PhysicalResourceId"]
    open_to_all = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
                   "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}  # fmt: skip
    client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[open_to_all])

    found = drift(cloud)
    differences = {
        logical_id: {(d["PropertyPath"], d["DifferenceType"]) for d in entry["PropertyDifferences"]}
        for logical_id, entry in found.items()
        if entry["StackResourceDriftStatus"] == "MODIFIED"
    }
    assert differences == {
        "Service": {("/DesiredCount", "NOT_EQUAL")},
        "Database": {("/DBInstanceClass", "NOT_EQUAL")},
        "Parameter": {("/Value", "NOT_EQUAL")},
        "Group": {("/SecurityGroupIngress/1", "ADD")},
        "Bucket": {
            ("/PublicAccessBlockConfiguration", "REMOVE"),
            ("/LifecycleConfiguration", "REMOVE"),
        },
    }
    assert found["Queue"]["StackResourceDriftStatus"] == "DELETED"
    (count,) = found["Service"]["PropertyDifferences"]
    assert (count["ExpectedValue"], count["ActualValue"]) == ("2", "5")
    assert json.loads(found["Service"]["ActualProperties"])["DesiredCount"] in (5, "5")

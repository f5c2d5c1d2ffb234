"""Our own rules: the templates keep them, and each of them sees what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.aws import matrix, rules

Properties = dict[str, Any]


@pytest.mark.parametrize("name", matrix.SPECS)
def test_no_template_breaks_a_rule(name: str) -> None:
    assert rules.broken(matrix.stack(name).template) == []


def _set(*path: Any, to: Any) -> Callable[[Properties], None]:
    def change(properties: Properties) -> None:
        inner: Any = properties
        for key in path[:-1]:
            inner = inner[key]
        if to is None:
            del inner[path[-1]]
        else:
            inner[path[-1]] = to

    return change


def _open(port: int) -> Properties:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0"}


_MIXED = ("MixedInstancesPolicy", "InstancesDistribution")
_OVERRIDE = ("MixedInstancesPolicy", "LaunchTemplate", "Overrides", 0, "InstanceType")
_NEEDS = ("ContainerProperties", "ResourceRequirements")
_SCHEDULED = ("ScheduledActions", 0, "ScalableTargetAction")
_DISK = ("LaunchTemplateData", "BlockDeviceMappings", 0, "Ebs", "Encrypted")

# Rule, spec, resource, what is done to it.
BREAKS: list[tuple[str, str, str, Callable[[Properties], None]]] = [
    ("spot_strategies", "ec2", "ApiGroup", _set(*_MIXED, "SpotAllocationStrategy", to="cheapest")),
    ("spot_strategies", "ec2", "ApiGroup",
     _set(*_MIXED, "OnDemandPercentageAboveBaseCapacity", to=120)),
    ("instance_types", "ec2", "WorkerGroup", _set(*_OVERRIDE, to="m5.3xlarge")),
    ("instance_types", "ec2 without a way out", "ApiLaunchTemplate",
     _set("LaunchTemplateData", "InstanceType", to="m6i.huge")),
    ("instance_types", "batch on instances", "ComputeEnvironment",
     _set("ComputeResources", "InstanceTypes", to=["m6i.huge"])),
    ("node_types", "fargate", "Cache", _set("CacheNodeType", to="cache.t4g.huge")),
    ("attribute_keys", "fargate", "LoadBalancer",
     _set("LoadBalancerAttributes", 0, "Key", to="idle_timeout.seconds")),
    ("attribute_keys", "fargate", "TargetGroup",
     _set("TargetGroupAttributes", 0, "Key", to="deregistration_delay")),
    ("batch_pairs", "batch", "JobDefinition", _set(*_NEEDS, 1, "Value", to="2048")),
    ("batch_pairs", "batch", "JobDefinition", _set(*_NEEDS, 0, "Value", to="3")),
    ("batch_pairs", "batch on instances", "JobDefinition", _set(*_NEEDS, 0, "Value", to="0")),
    ("task_pairs", "fargate", "ApiTask", _set("Memory", to="4096")),
    ("containers", "fargate", "ApiService", _set("LoadBalancers", 0, "ContainerName", to="web")),
    ("containers", "fargate", "ApiService", _set("LoadBalancers", 0, "ContainerPort", to=80)),
    ("containers", "fargate", "TargetGroup", _set("Port", to=80)),
    ("containers", "fargate", "ApiTask", _set("Volumes", to=[])),
    ("containers", "fargate", "ApiTask", _set("ContainerDefinitions", 1, "Name", to="other")),
    ("bounds", "ec2", "ApiGroup", _set("MinSize", to="11")),
    ("bounds", "ec2", "ApiGroup", _set("DesiredCapacity", to="11")),
    ("bounds", "fargate", "ApiScalingTarget", _set("MaxCapacity", to=1)),
    ("bounds", "fargate", "ApiScalingTarget", _set(*_SCHEDULED, "MinCapacity", to=9)),
    ("bounds", "ec2", "ApiSchedule2", _set("MinSize", to=9)),
    ("arns", "fargate", "Listener",
     _set("Certificates", 0, "CertificateArn", to="arn:aws:acm:eu-west-1:1112222:certificate/a")),
    ("arns", "nothing", "BucketPolicy",
     _set("PolicyDocument", "Statement", 0, "Resource", to={"Fn::Sub": "arn:aws:s3:::"})),
    ("dashboards", "fargate", "Dashboard",
     _set("DashboardBody", to={"Fn::Sub": "{'widgets': []}"})),
    ("dashboards", "fargate", "Dashboard",
     _set("DashboardBody",
          to='{"widgets": [{"type": "metric", "x": 20, "y": 0, "width": 12, "properties": {}}]}')),
    ("open_to_the_world", "nothing", "LoadBalancerSecurityGroup",
     _set("SecurityGroupIngress", to=[_open(443)])),
    ("open_to_the_world", "fargate", "LoadBalancerSecurityGroup",
     _set("SecurityGroupIngress", to=[_open(80)])),
    ("open_to_the_world", "fargate", "Listener", _set("Protocol", to="HTTP")),
    ("open_to_the_world", "fargate", "Listener",
     _set("SslPolicy", to="ELBSecurityPolicy-2016-08")),
    ("open_to_the_world", "fargate", "DatabaseFromService", _set("CidrIp", to="0.0.0.0/0")),
    ("open_to_the_world", "fargate", "DatabaseFromService", _set("CidrIpv6", to="::/0")),
    ("administration", "ec2", "ServiceFromLoadBalancer", _set("FromPort", to=20)),
    ("administration", "ec2", "LoadBalancerSecurityGroup",
     _set("SecurityGroupIngress", to=[{**_open(22), "CidrIp": "192.0.2.0/24"}])),
    ("principals", "nothing", "BucketPolicy",
     _set("PolicyDocument", "Statement", 0, "Effect", to="Allow")),
    ("principals", "ec2", "Key", _set("KeyPolicy", "Statement", -1, "Condition", to=None)),
    ("actions", "fargate", "ApiRole",
     _set("Policies", 0, "PolicyDocument", "Statement", 0, "Action", to=["s3:*"])),
    ("actions", "fargate", "ApiRole",
     _set("Policies", 0, "PolicyDocument", "Statement", 0, "Action", to="*")),
    ("actions", "fargate", "Key",
     _set("KeyPolicy", "Statement", 0, "Principal", to={"Service": "logs.amazonaws.com"})),
    ("secrets", "fargate", "Database", _set("MasterUserPassword", to="correct horse")),
    ("secrets", "fargate", "Cache", _set("AuthToken", to={"Ref": "Token"})),
    ("secrets", "fargate", "ApiTask",
     _set("ContainerDefinitions", 0, "Environment", 0, "Value",
          to="postgresql://tabular:horse@db.example.com/tabular")),
    ("secrets", "fargate", "ApiTask",
     _set("ContainerDefinitions", 0, "Environment", 0, "Value", to="AKIAIOSFODNN7EXAMPLE")),
    ("encryption", "fargate", "Queue", _set("KmsMasterKeyId", to=None)),
    ("encryption", "fargate", "Database", _set("StorageEncrypted", to=False)),
    ("encryption", "fargate", "Cache", _set("TransitEncryptionMode", to="preferred")),
    ("encryption", "fargate", "Bucket", _set("PublicAccessBlockConfiguration", to=None)),
    ("encryption", "ec2", "ApiLaunchTemplate", _set(*_DISK, to=False)),
    ("hidden", "fargate", "Database", _set("PubliclyAccessible", to=True)),
    ("hidden", "fargate", "PublicSubnet1", _set("MapPublicIpOnLaunch", to=True)),
    ("hidden", "fargate", "WorkerService",
     _set("NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp", to="ENABLED")),
    ("hidden", "ec2", "ApiLaunchTemplate",
     _set("LaunchTemplateData", "MetadataOptions", "HttpTokens", to="optional")),
    ("names", "nothing", "Bucket", _set("BucketName", to="tables")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "spec", "resource", "change"),
    BREAKS,
    ids=lambda one: one if one in rules.RULES else "",
)
def test_a_rule_sees_what_it_is_there_for(
    rule: str, spec: str, resource: str, change: Callable[[Properties], None]
) -> None:
    template = copy.deepcopy(dict(matrix.stack(spec).template))
    change(template["Resources"][resource]["Properties"])
    assert list(rules.RULES[rule](template)) != []


@pytest.mark.parametrize("policy", ["DeletionPolicy", "UpdateReplacePolicy"])
@pytest.mark.parametrize("resource", ["Bucket", "Database", "Key", "BackupVault", "SecretKey"])
def test_data_without_a_guard_is_seen(resource: str, policy: str) -> None:
    template = copy.deepcopy(dict(matrix.stack("fargate").template))
    template["Resources"][resource][policy] = "Delete"
    assert list(rules.kept_data(template)) == [f"{resource}: {policy} is Delete"]


def test_every_rule_is_seen_to_see_something() -> None:
    assert {rule for rule, *_ in BREAKS} == rules.RULES.keys() - {"kept_data"}

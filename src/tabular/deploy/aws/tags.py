"""Tags, which nearly every type takes, in one of four forms.

A type that is in no list is an error of ours: whether it takes tags has to be looked up, not
guessed, since CloudFormation refuses a property that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from tabular.deploy.aws.document import Document

_LISTS = frozenset(
    f"AWS::{name}"
    for name in (
        "CloudWatch::Alarm", "EC2::EIP", "EC2::FlowLog", "EC2::InternetGateway",
        "EC2::NatGateway", "EC2::RouteTable", "EC2::SecurityGroup", "EC2::Subnet", "EC2::VPC",
        "EC2::VPCEndpoint", "ECR::Repository", "ECS::Cluster", "ECS::Service",
        "ECS::TaskDefinition",
        "ElastiCache::ReplicationGroup", "ElastiCache::SubnetGroup",
        "ElasticLoadBalancingV2::LoadBalancer", "ElasticLoadBalancingV2::TargetGroup",
        "Events::Rule", "IAM::Role", "KMS::Key", "Lambda::Function", "Logs::LogGroup",
        "RDS::DBInstance", "RDS::DBParameterGroup", "RDS::DBSubnetGroup", "S3::Bucket",
        "SecretsManager::Secret", "SNS::Topic", "SQS::Queue", "WAFv2::WebACL",
        "CertificateManager::Certificate", "ElastiCache::ParameterGroup",
    )
)  # fmt: skip
_MAPS = frozenset(
    {"AWS::SSM::Parameter", "AWS::Batch::ComputeEnvironment", "AWS::Batch::JobQueue",
     "AWS::Batch::JobDefinition"}
)  # fmt: skip
_NAMED = {
    "AWS::Backup::BackupVault": "BackupVaultTags",
    "AWS::Backup::BackupPlan": "BackupPlanTags",
    "AWS::Route53::HealthCheck": "HealthCheckTags",
}
_AT_LAUNCH = "AWS::AutoScaling::AutoScalingGroup"
_NONE = frozenset(
    f"AWS::{name}"
    for name in (
        "ApplicationAutoScaling::ScalableTarget", "ApplicationAutoScaling::ScalingPolicy",
        "AutoScaling::ScalingPolicy", "AutoScaling::ScheduledAction", "Backup::BackupSelection",
        "Budgets::Budget", "CloudWatch::Dashboard", "EC2::LaunchTemplate", "EC2::Route",
        "EC2::SecurityGroupEgress", "EC2::SecurityGroupIngress",
        "EC2::SubnetRouteTableAssociation", "EC2::VPCGatewayAttachment",
        "ElasticLoadBalancingV2::Listener", "ElasticLoadBalancingV2::ListenerRule",
        "IAM::InstanceProfile", "IAM::RolePolicy", "KMS::Alias", "Lambda::EventSourceMapping",
        "Lambda::Permission", "Lambda::EventInvokeConfig", "Logs::MetricFilter",
        "Logs::ResourcePolicy", "Route53::RecordSet",
        "S3::BucketPolicy", "SecretsManager::RotationSchedule",
        "SecretsManager::SecretTargetAttachment", "SNS::Subscription", "SNS::TopicPolicy",
        "SQS::QueuePolicy", "Scheduler::Schedule", "WAFv2::LoggingConfiguration",
        "WAFv2::WebACLAssociation", "IAM::ManagedPolicy", "IAM::Policy",
    )
)  # fmt: skip

# Every type that a template of ours may have.
KNOWN = frozenset({*_LISTS, *_MAPS, *_NAMED, _AT_LAUNCH, *_NONE})


def tagged(document: Document, tags: Mapping[str, str]) -> Document:
    """The document with the tags in the form of its type; its own tags win."""
    type_ = document["Type"]
    if type_ in _NONE:
        return document
    properties = dict(document["Properties"])
    if type_ in _MAPS or type_ in _NAMED:
        key = _NAMED.get(type_, "Tags")
        if type_ == "AWS::Route53::HealthCheck":
            properties[key] = _listed(tags)
        else:
            properties[key] = {**tags, **properties.get(key, {})}
    elif type_ in _LISTS or type_ == _AT_LAUNCH:
        own = properties.get("Tags", [])
        taken = {one["Key"] for one in own}
        more = {"PropagateAtLaunch": True} if type_ == _AT_LAUNCH else {}
        added = [{**one, **more} for one in _listed(tags) if one["Key"] not in taken]
        properties["Tags"] = sorted([*own, *added], key=lambda one: str(one["Key"]))
    else:
        raise AssertionError(f"whether {type_} takes tags is not known")
    return {**document, "Properties": properties}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]

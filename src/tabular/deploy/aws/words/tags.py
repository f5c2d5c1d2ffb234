"""Tags, which nearly every type takes, in one of four forms.

A type that is in no list is an error of ours: whether it takes tags has to be looked up, not
guessed, since CloudFormation refuses a property that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tabular.deploy.aws.words.document import Document
from tabular.errors import UsageError

_LISTS = frozenset(
    f"AWS::{name}"
    for name in (
        "ApplicationAutoScaling::ScalableTarget", "CertificateManager::Certificate",
        "CloudWatch::Alarm", "CloudWatch::Dashboard", "EC2::EIP", "EC2::FlowLog",
        "EC2::InternetGateway", "EC2::NatGateway", "EC2::RouteTable", "EC2::SecurityGroup",
        "EC2::Subnet", "EC2::VPC", "EC2::VPCEndpoint", "ECS::Cluster", "ECS::Service",
        "ECS::TaskDefinition", "ElastiCache::ReplicationGroup", "ElastiCache::SubnetGroup",
        "ElasticLoadBalancingV2::Listener", "ElasticLoadBalancingV2::LoadBalancer",
        "ElasticLoadBalancingV2::TargetGroup", "Events::Rule", "IAM::Role", "KMS::Key",
        "Lambda::Function", "Logs::LogGroup", "RDS::DBInstance", "RDS::DBParameterGroup",
        "RDS::DBSubnetGroup", "S3::Bucket", "SNS::Topic", "SQS::Queue", "SecretsManager::Secret",
        "WAFv2::WebACL",
    )
)  # fmt: skip
_MAPS = frozenset(
    {"AWS::SSM::Parameter", "AWS::Batch::ComputeEnvironment", "AWS::Batch::JobQueue",
     "AWS::Batch::JobDefinition"}
)  # fmt: skip
# Those that call the property otherwise.
_NAMED_MAPS = {
    "AWS::Backup::BackupVault": "BackupVaultTags",
    "AWS::Backup::BackupPlan": "BackupPlanTags",
}
_NAMED_LISTS = {
    "AWS::Budgets::Budget": "ResourceTags",
    "AWS::Route53::HealthCheck": "HealthCheckTags",
}
_AT_LAUNCH = "AWS::AutoScaling::AutoScalingGroup"
_NONE = frozenset(
    f"AWS::{name}"
    for name in (
        "ApplicationAutoScaling::ScalingPolicy", "AutoScaling::ScalingPolicy",
        "AutoScaling::ScheduledAction", "Backup::BackupSelection", "EC2::LaunchTemplate",
        "EC2::Route", "EC2::SecurityGroupEgress", "EC2::SecurityGroupIngress",
        "EC2::SubnetRouteTableAssociation", "EC2::VPCGatewayAttachment", "IAM::InstanceProfile",
        "IAM::Policy", "Lambda::EventInvokeConfig", "Lambda::Permission", "Logs::MetricFilter",
        "Route53::RecordSet", "S3::BucketPolicy", "SNS::Subscription", "SNS::TopicPolicy",
        "SQS::QueuePolicy", "SecretsManager::RotationSchedule",
        "SecretsManager::SecretTargetAttachment", "WAFv2::WebACLAssociation",
    )
)  # fmt: skip

# Every type that a template of ours may have.
KNOWN = frozenset({*_LISTS, *_MAPS, *_NAMED_MAPS, *_NAMED_LISTS, _AT_LAUNCH, *_NONE})


# "Tag naming limits and requirements" in the user guide of AWS tagging: of other characters, some
# services take some. 50 tags a resource, of which two are ours.
MOST_LABELS = 48
_VALUE = re.compile(r"[\w .:/=+@-]*")


def require_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels that some service of AWS does not take as tags.

    Raises:
        UsageError: too many, or a value with characters that are not allowed.
    """
    if len(labels) > MOST_LABELS:
        raise UsageError(
            f"a resource of AWS has up to {MOST_LABELS} tags beside ours, not {len(labels)}",
            where="metadata.labels",
            hint="leave some out",
        )
    for name, value in labels.items():
        if not _VALUE.fullmatch(value):
            raise UsageError(
                f"AWS takes no tag with the value {value!r}",
                where=f"metadata.labels.{name}",
                hint="letters, digits, spaces and . : / = + - @ _ are taken; others may be "
                "written in metadata.annotations",
            )


def tagged(document: Document, tags: Mapping[str, str]) -> Document:
    """The document with the tags in the form of its type; its own tags win."""
    type_ = document["Type"]
    if type_ in _NONE:
        return document
    if type_ not in KNOWN:
        raise AssertionError(f"whether {type_} takes tags is not known")
    key = {**_NAMED_MAPS, **_NAMED_LISTS}.get(type_, "Tags")
    properties = dict(document["Properties"])
    if type_ in _MAPS or type_ in _NAMED_MAPS:
        properties[key] = {**tags, **properties.get(key, {})}
    else:
        more = {"PropagateAtLaunch": True} if type_ == _AT_LAUNCH else {}
        properties[key] = _joined(properties.get(key, []), tags, more)
    return {**document, "Properties": properties}


def _joined(
    own: Sequence[Document], tags: Mapping[str, str], more: Mapping[str, bool]
) -> list[Document]:
    taken = {one["Key"] for one in own}
    added = [{"Key": key, "Value": tags[key], **more} for key in tags if key not in taken]
    return sorted([*own, *added], key=lambda one: str(one["Key"]))

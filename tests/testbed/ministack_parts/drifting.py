"""Drift of more types: what the emulator's services hold now, in the template's shape.

The emulator compares what a reader gives with what the template sets. A setting that cannot be
turned back into the template's words is compared in the service's words instead: the reader gives
the expected value back when both agree, and the service's own when they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import network
import repairs
from kit import Properties
from ministack.services import alb, autoscaling, cloudwatch, ec2, ecs, elasticache, kms, rds, s3
from ministack.services.cloudformation import drift, provisioners

Reader = Callable[[str, Properties], Properties | None]


def install() -> None:
    """Add the readers; a type that the emulator reads better already keeps its own."""
    for resource_type, (reader, properties) in _READERS.items():
        drift._DRIFT_READERS[resource_type] = (reader, frozenset(properties.split()))


def _bucket(name: str, props: Properties) -> Properties | None:
    if name not in s3._buckets:
        return None
    made: Properties = {
        "BucketName": name,
        "VersioningConfiguration": {"Status": s3._bucket_versioning.get(name, "Suspended")},
        "Tags": s3._bucket_tags.get(name, {}),
    }
    block = s3._buckets[name].get("_public_access_block")
    _either(made, "PublicAccessBlockConfiguration", props, block,
            lambda want: provisioners._s3_public_access_block_xml(want).decode())  # fmt: skip
    _either(made, "BucketEncryption", props, s3._bucket_encryption.get(name),
            lambda want: repairs.encryption_xml(want).decode())  # fmt: skip
    rules = s3._bucket_lifecycle.get(name)
    _either(made, "LifecycleConfiguration", props, rules, lambda want: _as_stored(want, name))
    return made


def _as_stored(config: Properties, name: str) -> Any:
    """The rules that S3 would keep for a lifecycle configuration."""
    kept = s3._bucket_lifecycle.get(name)
    s3._put_bucket_lifecycle(name, repairs.lifecycle_xml(config))
    stored = s3._bucket_lifecycle.pop(name)
    if kept is not None:
        s3._bucket_lifecycle[name] = kept
    return stored


def _either(
    made: Properties, name: str, props: Properties, actual: Any, stored: Callable[[Any], Any]
) -> None:
    """Put the expected value when the service's form of it is what the service has."""
    if name in props and actual is not None:
        same = _plain(stored(props[name])) == _plain(actual)
        made[name] = props[name] if same else {"Stored": actual}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode()
    return value.split("?>")[-1].strip() if isinstance(value, str) else value


def _security_group(group_id: str, props: Properties) -> Properties | None:
    group = ec2._security_groups.get(group_id)
    if group is None:
        return None
    made = {
        "GroupDescription": group["Description"],
        "GroupName": group["GroupName"],
        "VpcId": group["VpcId"],
        "Tags": ec2._tags.get(group_id) or [],
    }
    for prop, store in (
        ("SecurityGroupIngress", "IpPermissions"),
        ("SecurityGroupEgress", "IpPermissionsEgress"),
    ):
        own = [
            rule
            for rule in group[store]
            if rule.get("SecurityGroupRuleId") not in network.rule_resources
        ]
        if prop in props:
            made[prop] = _rules(own, props[prop])
    return made


def _rules(stored: list[Properties], wanted: list[Properties]) -> list[Properties]:
    """The stored rules in the template's words; those that the template says, as it says them."""
    said = [(provisioners._ec2_sg_permissions([rule])[0], rule) for rule in wanted]
    made = []
    for rule in stored:
        match = next((words for form, words in said if ec2._rules_match(form, rule)), None)
        made.append(match if match is not None else _in_words(rule))
    return made


def _in_words(rule: Properties) -> Properties:
    words = {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in rule}
    for address in (*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", [])):
        words.update(address)
    for pair in rule.get("UserIdGroupPairs", []):
        words["SourceSecurityGroupId"] = pair.get("GroupId")
    return words


def _service(service_arn: str, props: Properties) -> Properties | None:
    cluster, name = service_arn.split(":service/")[1].split("/")[-2:]
    record = ecs._services.get(f"{cluster}/{name}")
    if record is None or record["status"] != "ACTIVE":
        return None
    return {
        "DesiredCount": record["desiredCount"],
        "TaskDefinition": record["taskDefinition"],
        "ServiceName": record["serviceName"],
        "HealthCheckGracePeriodSeconds": record.get("healthCheckGracePeriodSeconds", 0),
        "EnableExecuteCommand": record.get("enableExecuteCommand", False),
        "LaunchType": record.get("launchType"),
    }


def _database(name: str, props: Properties) -> Properties | None:
    record = rds._instances.get(name)
    if record is None:
        return None
    return {
        **{key: record.get(key) for key in _DATABASE.split()},
        "VPCSecurityGroups": [
            group["VpcSecurityGroupId"] for group in record.get("VpcSecurityGroups", [])
        ],
        "DBParameterGroupName": record["DBParameterGroups"][0]["DBParameterGroupName"],
    }


_DATABASE = (
    "DBInstanceIdentifier DBInstanceClass AllocatedStorage Engine EngineVersion MultiAZ "
    "BackupRetentionPeriod DeletionProtection PubliclyAccessible StorageEncrypted StorageType "
    "MaxAllocatedStorage PreferredBackupWindow PreferredMaintenanceWindow CopyTagsToSnapshot"
)


def _group(name: str, props: Properties) -> Properties | None:
    record = autoscaling._asgs.get(name)
    if record is None:
        return None
    made = {key: record.get(key) for key in _GROUP.split()}
    made["VPCZoneIdentifier"] = [part for part in record["VPCZoneIdentifier"].split(",") if part]
    return made


_GROUP = (
    "AutoScalingGroupName MinSize MaxSize DesiredCapacity HealthCheckType HealthCheckGracePeriod "
    "MixedInstancesPolicy TargetGroupARNs"
)


def _alarm(name: str, props: Properties) -> Properties | None:
    record = cloudwatch._alarms.get(name)
    if record is None:
        return None
    made = {key: record.get(key) for key in _ALARM.split()}
    made["Threshold"] = _number(record["Threshold"])
    return made


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value


_ALARM = (
    "AlarmName ComparisonOperator EvaluationPeriods Threshold Period Statistic ActionsEnabled "
    "AlarmActions TreatMissingData MetricName Namespace"
)


def _cache_group(name: str, props: Properties) -> Properties | None:
    record = elasticache._replication_groups.get(name)
    if record is None:
        return None
    return {"CacheNodeType": record.get("CacheNodeType"), "ReplicationGroupId": name}


def _exists(store: Any) -> Reader:
    return lambda physical_id, props: {} if physical_id in store else None


def _vpc(vpc_id: str, props: Properties) -> Properties | None:
    record = ec2._vpcs.get(vpc_id)
    if record is None:
        return None
    return {"CidrBlock": record["CidrBlock"], "Tags": ec2._tags.get(vpc_id) or []}


_READERS: dict[str, tuple[Reader, str]] = {
    "AWS::S3::Bucket": (
        _bucket,
        "BucketName VersioningConfiguration Tags PublicAccessBlockConfiguration BucketEncryption "
        "LifecycleConfiguration",
    ),
    "AWS::EC2::SecurityGroup": (
        _security_group,
        "GroupDescription GroupName VpcId Tags SecurityGroupIngress SecurityGroupEgress",
    ),
    "AWS::EC2::VPC": (_vpc, "CidrBlock Tags"),
    "AWS::EC2::Subnet": (_exists(ec2._subnets), ""),
    "AWS::ECS::Service": (
        _service,
        "DesiredCount TaskDefinition ServiceName HealthCheckGracePeriodSeconds "
        "EnableExecuteCommand LaunchType",
    ),
    "AWS::RDS::DBInstance": (_database, f"{_DATABASE} VPCSecurityGroups DBParameterGroupName"),
    "AWS::AutoScaling::AutoScalingGroup": (_group, f"{_GROUP} VPCZoneIdentifier"),
    "AWS::CloudWatch::Alarm": (_alarm, _ALARM),
    "AWS::ElastiCache::ReplicationGroup": (_cache_group, "CacheNodeType ReplicationGroupId"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (_exists(alb._lbs), ""),
    "AWS::ElasticLoadBalancingV2::TargetGroup": (_exists(alb._tgs), ""),
    "AWS::KMS::Key": (_exists(kms._keys), ""),
}

"""Database, cache and queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Item, Place
from tabular.deploy.aws.export.terraform.rules import (
    Kind,
    Rule,
    attribute,
    inline,
    json,
    number,
    single,
    tags,
)
from tabular.deploy.export.hcl import (
    Attribute,
    Block,
    Expression,
    Text,
    identifier,
)


def _secret(name: str) -> Rule:
    """A password that is read from its secret for the moment in which it is handed on.

    That of a server that runs stays as it is.
    """

    def write(place: Place, value: Any) -> Iterator[Item]:
        secret, key = place.references.secret(value, place.where)
        if place.adopted:
            return
        said = value["Fn::Sub"] if isinstance(value, Mapping) else value
        label = _label(said)
        version = f"aws_secretsmanager_secret_version.{label}.secret_id"
        made = isinstance(secret, Expression)
        source = Attribute("secret_id", Expression(version) if made else secret)
        block = Block("ephemeral", ("aws_secretsmanager_secret_version", label), (source,))
        place.references.data[f"secret {label}"] = block
        text = Expression(f"ephemeral.aws_secretsmanager_secret_version.{label}.secret_string")
        field = Expression(f'jsondecode({text.text})["{key}"]') if key else text
        yield Attribute(f"{name}_wo", field)
        yield Attribute(f"{name}_wo_version", Expression("var.secrets_version"))

    return write


def _label(reference: str) -> str:
    """Of ``{{resolve:secretsmanager:NAME:SecretString:KEY}}``, the name."""
    name = reference.removeprefix("{{resolve:secretsmanager:").rstrip("}")
    name = name.partition(":SecretString")[0].strip("${}")
    plain = name.rpartition(":")[2]
    return identifier("".join(one if one.isalnum() else "_" for one in plain))


def _parameters(place: Place, value: Any) -> Iterator[Item]:
    for name in sorted(place.entries(value)):
        said = Attribute("value", place.within(name).value(value[name]))
        yield Block("parameter", (), (Attribute("name", name), said))


def _snapshot(place: Place, value: Any) -> Iterator[Item]:
    """A last snapshot where CloudFormation makes one; none of a copy."""
    if value == "Snapshot":
        name = Text((Expression("var.name"), f"-{place.label.replace('_', '-')}-last"))
        yield Attribute("final_snapshot_identifier", name)
    else:
        yield Attribute("skip_final_snapshot", True)


KINDS: Mapping[str, Kind] = {
    "AWS::RDS::DBSubnetGroup": Kind(
        "aws_db_subnet_group",
        {
            "DBSubnetGroupDescription": "description",
            "SubnetIds": "subnet_ids",
            "Tags": tags,
        },
        ref="name",
    ),
    "AWS::RDS::DBParameterGroup": Kind(
        "aws_db_parameter_group",
        {
            "Description": "description",
            "Family": "family",
            "Parameters": _parameters,
            "Tags": tags,
        },
        ref="name",
    ),
    "AWS::RDS::DBInstance": Kind(
        "aws_db_instance",
        {
            "SourceDBInstanceIdentifier": "replicate_source_db",
            "Engine": "engine",
            "EngineVersion": "engine_version",
            "DBInstanceClass": "instance_class",
            "DBName": "db_name",
            "MasterUsername": "username",
            "MasterUserPassword": _secret("password"),
            "ManageMasterUserPassword": "manage_master_user_password",
            "MasterUserSecret": inline({"KmsKeyId": "master_user_secret_kms_key_id"}),
            "AllocatedStorage": number("allocated_storage"),
            "MaxAllocatedStorage": "max_allocated_storage",
            "StorageType": "storage_type",
            "StorageThroughput": "storage_throughput",
            "Iops": "iops",
            "StorageEncrypted": "storage_encrypted",
            "KmsKeyId": "kms_key_id",
            "MultiAZ": "multi_az",
            "DBSubnetGroupName": "db_subnet_group_name",
            "DBParameterGroupName": "parameter_group_name",
            "VPCSecurityGroups": "vpc_security_group_ids",
            "PubliclyAccessible": "publicly_accessible",
            "CACertificateIdentifier": "ca_cert_identifier",
            "BackupRetentionPeriod": "backup_retention_period",
            "PreferredBackupWindow": "backup_window",
            "PreferredMaintenanceWindow": "maintenance_window",
            "CopyTagsToSnapshot": "copy_tags_to_snapshot",
            "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
            "AllowMajorVersionUpgrade": "allow_major_version_upgrade",
            "EnableCloudwatchLogsExports": "enabled_cloudwatch_logs_exports",
            "EnablePerformanceInsights": "performance_insights_enabled",
            "PerformanceInsightsKMSKeyId": "performance_insights_kms_key_id",
            "PerformanceInsightsRetentionPeriod": "performance_insights_retention_period",
            "EnableIAMDatabaseAuthentication": "iam_database_authentication_enabled",
            "MonitoringInterval": "monitoring_interval",
            "MonitoringRoleArn": "monitoring_role_arn",
            "DeletionProtection": "deletion_protection",
            "DeletionPolicy": _snapshot,
            "Tags": tags,
        },
        ref="identifier",
        attributes={
            "DBInstanceArn": "arn",
            "Endpoint.Address": "address",
            "Endpoint.Port": "port",
            "MasterUserSecret.SecretArn": "master_user_secret[0].secret_arn",
        },
    ),
    "AWS::ElastiCache::SubnetGroup": Kind(
        "aws_elasticache_subnet_group",
        {"Description": "description", "SubnetIds": "subnet_ids", "Tags": tags},
        ref="name",
        named="name",
    ),
    "AWS::ElastiCache::ReplicationGroup": Kind(
        "aws_elasticache_replication_group",
        {
            "ReplicationGroupDescription": "description",
            "Engine": "engine",
            "EngineVersion": "engine_version",
            "CacheNodeType": "node_type",
            "NumCacheClusters": "num_cache_clusters",
            "AutomaticFailoverEnabled": "automatic_failover_enabled",
            "MultiAZEnabled": "multi_az_enabled",
            "CacheParameterGroupName": "parameter_group_name",
            "CacheSubnetGroupName": "subnet_group_name",
            "SecurityGroupIds": "security_group_ids",
            "Port": "port",
            "TransitEncryptionEnabled": "transit_encryption_enabled",
            "TransitEncryptionMode": "transit_encryption_mode",
            "NetworkType": "network_type",
            "AuthToken": _secret("auth_token"),
            "AtRestEncryptionEnabled": "at_rest_encryption_enabled",
            "KmsKeyId": "kms_key_id",
            "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
            "PreferredMaintenanceWindow": "maintenance_window",
            "SnapshotRetentionLimit": "snapshot_retention_limit",
            "SnapshotWindow": "snapshot_window",
            "Tags": tags,
        },
        attributes={
            "PrimaryEndPoint.Address": "primary_endpoint_address",
            "PrimaryEndPoint.Port": "port",
            "ReaderEndPoint.Address": "reader_endpoint_address",
        },
        named="replication_group_id",
        short=True,
    ),
    "AWS::SQS::Queue": Kind(
        "aws_sqs_queue",
        {
            "VisibilityTimeout": "visibility_timeout_seconds",
            "MessageRetentionPeriod": "message_retention_seconds",
            "ReceiveMessageWaitTimeSeconds": "receive_wait_time_seconds",
            "DelaySeconds": "delay_seconds",
            "MaximumMessageSize": "max_message_size",
            "KmsMasterKeyId": "kms_master_key_id",
            "KmsDataKeyReusePeriodSeconds": "kms_data_key_reuse_period_seconds",
            "RedrivePolicy": json("redrive_policy"),
            "Tags": tags,
        },
        ref="url",
        attributes={"Arn": "arn", "QueueName": "name", "QueueUrl": "url"},
    ),
    "AWS::SQS::QueuePolicy": Kind(
        "aws_sqs_queue_policy",
        {"Queues": single(attribute("queue_url")), "PolicyDocument": json("policy")},
        running=lambda place: place.running(place.properties["Queues"][0]),
    ),
}

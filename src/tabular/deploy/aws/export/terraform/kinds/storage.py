"""Storage: the bucket, in the many resources that the provider has for one, and the backups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import AFTER, Item, Piece, Place, settled
from tabular.deploy.aws.export.terraform.rules import (
    Beside,
    Kind,
    Rules,
    block,
    body,
    inline,
    json,
    tags,
    unsaid,
)
from tabular.deploy.export.hcl import Attribute, Block, Expression

_OF_VERSIONS = (
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_replication_configuration",
)


def _beside(type_: str, rules: Rules) -> Beside:
    """Settings of the bucket that are a resource of their own, imported by the bucket's name."""

    def write(place: Place, value: Any) -> Iterator[Piece]:
        own = Attribute("bucket", place.itself("id"))
        items = settled([own, *body(rules, value, place), *_after(place, type_)])
        yield Piece(type_, place.label, items, place.adopted)

    return write


def _after(place: Place, type_: str) -> Iterator[Attribute]:
    """S3 copies, and ends old versions of, no bucket before it keeps them."""
    versioned = "VersioningConfiguration" in place.properties
    if versioned and type_ in _OF_VERSIONS:
        versions = Expression(f"aws_s3_bucket_versioning.{place.label}")
        yield Attribute(AFTER, [versions])


def _whole_bucket(place: Place, value: Any) -> Iterator[Item]:
    """A rule for all objects says so by a filter without anything in it."""
    whole = {"Filter", "Prefix"}.isdisjoint(place.entries(value))
    yield Block(
        "rule",
        (),
        settled([*body(_AGE, value, place), *([Block("filter")] if whole else [])]),
    )


def _each(rule: Any) -> Any:
    def write(place: Place, value: Any) -> Iterator[Item]:
        for number, one in enumerate(place.listed(value)):
            yield from rule(place.within(str(number)), one)

    return write


_AGE: Rules = {
    "Id": "id",
    "Status": "status",
    "AbortIncompleteMultipartUpload": block(
        "abort_incomplete_multipart_upload", {"DaysAfterInitiation": "days_after_initiation"}
    ),
    "Transitions": block(
        "transition", {"StorageClass": "storage_class", "TransitionInDays": "days"}
    ),
    "ExpirationInDays": lambda place, value: [
        Block("expiration", (), (Attribute("days", place.value(value)),))
    ],
    "ExpiredObjectDeleteMarker": lambda place, value: [
        Block("expiration", (), (Attribute("expired_object_delete_marker", place.value(value)),))
    ],
    "NoncurrentVersionExpiration": block(
        "noncurrent_version_expiration",
        {
            "NoncurrentDays": "noncurrent_days",
            "NewerNoncurrentVersions": "newer_noncurrent_versions",
        },
    ),
}
_STATUS: Rules = {"Status": "status"}
_COPY: Rules = {
    "Id": "id",
    "Status": "status",
    "Priority": "priority",
    "Filter": block("filter", {"Prefix": "prefix"}),
    "DeleteMarkerReplication": block("delete_marker_replication", _STATUS),
    "SourceSelectionCriteria": block(
        "source_selection_criteria",
        {"SseKmsEncryptedObjects": block("sse_kms_encrypted_objects", _STATUS)},
    ),
    "Destination": block(
        "destination",
        {
            "Bucket": "bucket",
            "StorageClass": "storage_class",
            "EncryptionConfiguration": block(
                "encryption_configuration", {"ReplicaKmsKeyID": "replica_kms_key_id"}
            ),
        },
    ),
}
_ENCRYPTED: Rules = {
    "BucketKeyEnabled": "bucket_key_enabled",
    "ServerSideEncryptionByDefault": block(
        "apply_server_side_encryption_by_default",
        {"SSEAlgorithm": "sse_algorithm", "KMSMasterKeyID": "kms_master_key_id"},
    ),
}
_BUCKET: Mapping[str, tuple[str, Rules]] = {
    "PublicAccessBlockConfiguration": (
        "aws_s3_bucket_public_access_block",
        {
            "BlockPublicAcls": "block_public_acls",
            "BlockPublicPolicy": "block_public_policy",
            "IgnorePublicAcls": "ignore_public_acls",
            "RestrictPublicBuckets": "restrict_public_buckets",
        },
    ),
    "OwnershipControls": (
        "aws_s3_bucket_ownership_controls",
        {"Rules": block("rule", {"ObjectOwnership": "object_ownership"})},
    ),
    "BucketEncryption": (
        "aws_s3_bucket_server_side_encryption_configuration",
        {"ServerSideEncryptionConfiguration": block("rule", _ENCRYPTED)},
    ),
    "VersioningConfiguration": (
        "aws_s3_bucket_versioning",
        {
            "Status": lambda place, value: block("versioning_configuration", _STATUS)(
                place, {"Status": value}
            )
        },
    ),
    "LifecycleConfiguration": (
        "aws_s3_bucket_lifecycle_configuration",
        {"Rules": _each(_whole_bucket)},
    ),
    "ReplicationConfiguration": (
        "aws_s3_bucket_replication_configuration",
        {"Role": "role", "Rules": block("rule", _COPY)},
    ),
    "NotificationConfiguration": (
        "aws_s3_bucket_notification",
        {"EventBridgeConfiguration": inline({"EventBridgeEnabled": "eventbridge"})},
    ),
}


def _selection(place: Place) -> str:
    """CloudFormation's two ids, of which the plan's goes first here."""
    plan = place.running(place.properties["BackupPlanId"])
    own = re.sub(rf"[_|]?{re.escape(plan)}[_|]?", "", place.adopted)
    return f"{plan}|{own}"


_BACKUP_RULE: Rules = {
    "RuleName": "rule_name",
    "TargetBackupVault": "target_vault_name",
    "ScheduleExpression": "schedule",
    "ScheduleExpressionTimezone": "schedule_expression_timezone",
    "StartWindowMinutes": "start_window",
    "CompletionWindowMinutes": "completion_window",
    "Lifecycle": block(
        "lifecycle",
        {"DeleteAfterDays": "delete_after", "MoveToColdStorageAfterDays": "cold_storage_after"},
    ),
}

KINDS: Mapping[str, Kind] = {
    "AWS::S3::Bucket": Kind(
        "aws_s3_bucket",
        {**dict.fromkeys(_BUCKET, unsaid), "Tags": tags},
        beside={name: _beside(*said) for name, said in _BUCKET.items()},
        ref="bucket",
        attributes={"Arn": "arn", "DomainName": "bucket_domain_name"},
    ),
    "AWS::S3::BucketPolicy": Kind(
        "aws_s3_bucket_policy",
        {"Bucket": "bucket", "PolicyDocument": json("policy")},
        running=lambda place: place.running(place.properties["Bucket"]),
    ),
    "AWS::Backup::BackupVault": Kind(
        "aws_backup_vault",
        {"BackupVaultName": unsaid, "EncryptionKeyArn": "kms_key_arn", "BackupVaultTags": tags},
        ref="name",
        attributes={"BackupVaultArn": "arn"},
        named="name",
        short=True,
    ),
    "AWS::Backup::BackupPlan": Kind(
        "aws_backup_plan",
        {
            "BackupPlan": inline(
                {"BackupPlanName": "name", "BackupPlanRule": block("rule", _BACKUP_RULE)}
            ),
            "BackupPlanTags": tags,
        },
        ref="id",
    ),
    "AWS::Backup::BackupSelection": Kind(
        "aws_backup_selection",
        {
            "BackupPlanId": "plan_id",
            "BackupSelection": inline(
                {
                    "SelectionName": "name",
                    "IamRoleArn": "iam_role_arn",
                    "Resources": "resources",
                }
            ),
        },
        running=_selection,
    ),
}

"""The bucket itself, and what it refuses."""

from __future__ import annotations

from typing import Any

from tabular.deploy.aws.infrastructure.security.iam import tls_only
from tabular.deploy.aws.infrastructure.storage import lifecycle, replication
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, policy, ref, resource, sub


def resources(wanted: Wanted) -> Part:
    """Bucket and policy."""
    return {"Bucket": _bucket(wanted), "BucketPolicy": _policy()}


def _bucket(wanted: Wanted) -> Document:
    return resource(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": _encryption(wanted),
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "VersioningConfiguration": {"Status": "Enabled"} if wanted.versioned else None,
            "LifecycleConfiguration": {"Rules": list(lifecycle.rules(wanted))},
            "ReplicationConfiguration": replication.configuration(wanted),
            "NotificationConfiguration": _notification(wanted),
        },
        kept=True,
    )


def _encryption(wanted: Wanted) -> Document:
    default = {
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": wanted.key_arn,
        },
        # One key of the bucket for many objects: without it each of them is a paid call of KMS.
        "BucketKeyEnabled": True,
    }
    return {"ServerSideEncryptionConfiguration": [default]}


def _notification(wanted: Wanted) -> Any:
    """Events to EventBridge, since a bucket that names a function would need it to exist first."""
    if wanted.kind != "lambda":
        return None
    return {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


def _policy() -> Document:
    everything = [att("Bucket", "Arn"), sub("${Bucket.Arn}/*")]
    modern = {
        **tls_only("s3:*", everything),
        "Sid": "Tls12",
        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    }
    return resource(
        "AWS::S3::BucketPolicy",
        {"Bucket": ref("Bucket"), "PolicyDocument": policy(tls_only("s3:*", everything), modern)},
        kept=True,
    )

"""The bucket: encrypted, closed to the public and to anything but TLS, kept when all else goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.document import Document, Part, att, policy, ref, resource, sub
from tabular.deploy.aws.iam import tls_only
from tabular.deploy.aws.wanted import Wanted
from tabular.deploy.stack import Reduction


def resources(wanted: Wanted) -> Part:
    """Bucket and policy; nothing where the spec names a bucket that exists."""
    if wanted.spec.storage.bucket is not None:
        return {}
    return {"Bucket": _bucket(wanted), "BucketPolicy": _policy()}


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What S3 gives in another way."""
    yield from ()


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """The bucket that is used."""
    return {"BucketName": (wanted.bucket_name, "Bucket of S3 that has the objects.")}


def _bucket(wanted: Wanted) -> Document:
    default = {
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": wanted.key_arn,
        },
        "BucketKeyEnabled": True,
    }
    return resource(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [default]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        },
        kept=True,
    )


def _policy() -> Document:
    everything = [att("Bucket", "Arn"), sub("${Bucket.Arn}/*")]
    return resource(
        "AWS::S3::BucketPolicy",
        {"Bucket": ref("Bucket"), "PolicyDocument": policy(*tls_only("s3:*", everything))},
        kept=True,
    )

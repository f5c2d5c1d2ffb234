"""A bucket of our own: made, closed to others, and emptied when all goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.refusals import code_of
from tabular.deploy.aws.words.document import policy
from tabular.errors import ConflictError, RefusedError

MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404", "NotFound"})


def is_there(s3: Any, name: str, owner: str) -> bool:
    """Whether there is such a bucket of this account.

    Raises:
        RefusedError: the name is taken by another account.
    """
    try:
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=owner)
    except s3.exceptions.ClientError as error:
        if code_of(error) in MISSING:
            return False
        if code_of(error) in ("403", "AccessDenied"):
            raise _not_ours(name) from error
        raise
    return True


def create(s3: Any, name: str, region: str) -> bool:
    """Make a bucket; False where another client of this account just did.

    Raises:
        RefusedError: the name is taken by another account.
    """
    # The oldest region is the one that must not be named.
    where = {} if region == "us-east-1" else {
        "CreateBucketConfiguration": {"LocationConstraint": region}
    }  # fmt: skip
    try:
        s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", **where)
    except s3.exceptions.ClientError as error:
        if code_of(error) == "BucketAlreadyOwnedByYou":
            return False
        if code_of(error) == "BucketAlreadyExists":
            raise _not_ours(name) from error
        raise
    return True


def is_closed(s3: Any, name: str, account: str) -> bool:
    """Whether all of `close` was done, of which the policy is the last."""
    try:
        s3.get_bucket_policy(Bucket=name, ExpectedBucketOwner=account)
    except s3.exceptions.ClientError as error:
        if code_of(error) == "NoSuchBucketPolicy":
            return False
        raise
    return True


def close(s3: Any, name: str, partition: str) -> None:
    """Private, encrypted, TLS only, versioned."""
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    arn = f"arn:{partition}:s3:::{name}"
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy(deny)))


def empty(s3: Any, bucket: str, prefix: str = "", *, owner: str) -> None:
    """Delete every object below a prefix, all versions of it; no bucket is no error.

    Raises:
        ConflictError: an object is locked.
    """
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix, ExpectedBucketOwner=owner
    )
    try:
        for batch in (_versions(page) for page in pages):
            if batch:
                _delete(s3, bucket, batch, owner)
    except s3.exceptions.ClientError as error:
        if code_of(error) not in MISSING:
            raise


def _delete(s3: Any, bucket: str, batch: list[dict[str, str]], owner: str) -> None:
    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": batch, "Quiet": True}, ExpectedBucketOwner=owner
    )
    for failed in answer.get("Errors", ()):
        raise ConflictError(
            f"{failed['Key']} cannot be deleted: {failed['Code']}",
            where=f"s3://{bucket}",
            hint="is there an object lock or a legal hold? Lift it, or wait until it has run "
            "out, then run `inferloop-tabular destroy --delete-data` again; it goes on",
            code="conflict.locked",
        )


def _versions(page: Mapping[str, Any]) -> list[dict[str, str]]:
    found: Iterator[Mapping[str, str]] = iter(
        [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    )
    return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]


def _not_ours(name: str) -> RefusedError:
    return RefusedError(
        f"the bucket {name} is another account's, or you may not see it",
        hint="`inferloop-tabular aws iam-policy` prints what a deployer needs",
        code="refused.bucket",
    )

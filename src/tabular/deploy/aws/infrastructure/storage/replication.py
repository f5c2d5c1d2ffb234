"""A copy of the bucket in another region, which a stack of one region cannot make by itself.

So the bucket over there has to exist, and the key too: an object that is encrypted with a key of
KMS is copied only when a key of the other region is named for it.
"""

from __future__ import annotations

import re
from typing import Any

from tabular.deploy.aws.infrastructure.security.iam import role
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, allow, att, policy, ref, resource, sub
from tabular.deploy.aws.words.encryption import KEY_ARN, READ, use
from tabular.deploy.aws.words.overrides import OPTIONS, WHERE
from tabular.errors import UnsupportedError, UsageError

_BUCKET_ARN = re.compile(r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def resources(wanted: Wanted) -> Part:
    """The role that copies, and what it may do.

    The rights are a resource of their own: they name the bucket, and the bucket names the role.
    """
    if not wanted.spec.storage.cross_region:
        return {}
    return {
        "ReplicationRole": role(wanted, "s3.amazonaws.com", kept=True),
        "ReplicationPolicy": _rights(wanted),
    }


def configuration(wanted: Wanted) -> Document | None:
    """What the bucket says of its copy.

    Raises:
        UnsupportedError: where to is not said.
        UsageError: it is no bucket, or a key of the same region.
    """
    if not wanted.spec.storage.cross_region:
        return None
    rule = {
        "Id": "cross-region",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": ""},
        # What the service deletes is to go over there as well.
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": _bucket(wanted),
            "EncryptionConfiguration": {"ReplicaKmsKeyID": _key(wanted)},
        },
    }
    return {"Role": att("ReplicationRole", "Arn"), "Rules": [rule]}


def _rights(wanted: Wanted) -> Document:
    copy = _bucket(wanted)
    statements = (
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], att("Bucket", "Arn")),
        allow(
            [
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            sub("${Bucket.Arn}/*"),
        ),
        allow(["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"], f"{copy}/*"),
        use(wanted.key_arn, READ, ["s3"]),
        _encrypting(_key(wanted)),
    )
    return resource(
        "AWS::IAM::Policy",
        {
            "PolicyName": "own",
            "Roles": [ref("ReplicationRole")],
            "PolicyDocument": policy(*statements),
        },
        kept=True,
    )


def _encrypting(key: str) -> Document:
    found = KEY_ARN.fullmatch(key)
    there = found["region"] if found else ""
    through = sub(f"s3.{there}.${{AWS::URLSuffix}}")
    # With a bucket key there KMS is asked for data keys, without one to encrypt.
    return allow(
        ["kms:Encrypt", "kms:GenerateDataKey"],
        key,
        Condition={"StringEquals": {"kms:ViaService": through}},
    )


def _bucket(wanted: Wanted) -> str:
    found = _option(wanted, "replica_bucket")
    if not _BUCKET_ARN.fullmatch(found):
        raise UsageError(
            f"{found!r} is no ARN of a bucket",
            where=f"{WHERE}.replica_bucket",
            hint="replica_bucket: arn:aws:s3:::NAME",
        )
    return found


def _key(wanted: Wanted) -> str:
    found = _option(wanted, "replica_key")
    match = KEY_ARN.fullmatch(found)
    where = f"{WHERE}.replica_key"
    if match is None:
        raise UsageError(
            f"{found!r} is no ARN of a key",
            where=where,
            hint="replica_key: arn:aws:kms:REGION:ACCOUNT:key/ID",
        )
    if match["region"] == wanted.region:
        raise UsageError(
            f"the key is in {wanted.region}, and the copy is for another region",
            where=where,
            hint="name a key of the region that the copy is in",
        )
    return found


def _option(wanted: Wanted, name: str) -> str:
    found: Any = wanted.overrides.get(name)
    if not isinstance(found, str):
        raise UnsupportedError(
            "a stack makes resources in its own region only, so a copy needs a bucket and a key "
            "that exist in another one",
            where="spec.storage.cross_region",
            hint=f"overrides: {{aws: {{{name}: …}}}}: {OPTIONS[name]}",
        )
    return found

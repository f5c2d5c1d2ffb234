"""The key of KMS: who may use it is said in its own policy, service by service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.infrastructure.security.iam import OWN_ACCOUNT
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, policy, ref, resource, sub

# Days that a deletion can still be taken back; KMS takes 7 to 30.
PENDING_IN_PRODUCTION, PENDING = 30, 7
_USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")


def resources(wanted: Wanted) -> Part:
    """The key, unless the spec names one."""
    if wanted.spec.security.kms_key is not None:
        return {}
    return {
        "Key": resource(
            "AWS::KMS::Key",
            {
                "Description": f"Data of {wanted.target.environment}/{wanted.target.name}",
                "EnableKeyRotation": True,
                "PendingWindowInDays": PENDING_IN_PRODUCTION if wanted.production else PENDING,
                "KeyPolicy": policy(*_statements(wanted)),
            },
            kept=True,
        )
    }


def _statements(wanted: Wanted) -> Iterator[Document]:
    # The account governs the key through IAM; without it nobody could ever change this policy.
    # In the policy of a key, "*" is this key.
    yield _grant(
        "Account",
        {"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
        ["kms:*"],
    )
    yield _grant(
        "Logs",
        {"Service": sub("logs.${AWS::Region}.${AWS::URLSuffix}")},
        _USE,
        {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": sub(
                    "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"
                )
            }
        },
    )
    yield from _publishers(wanted)
    if wanted.on_instances:
        yield from _disks()


def _publishers(wanted: Wanted) -> Iterator[Document]:
    """Services that speak to the encrypted topic of alarms."""
    speak = ["kms:Decrypt", "kms:GenerateDataKey*"]
    alarms = wanted.spec.monitoring.enabled
    services = ["cloudwatch.amazonaws.com"] if alarms else []
    if wanted.spec.policy.monthly_budget is not None:
        services.insert(0, "budgets.amazonaws.com")
    if services:
        yield _grant("Alarms", {"Service": services}, speak, OWN_ACCOUNT)
    if alarms and wanted.kind == "batch":
        # EventBridge does not say for whom it speaks when a topic is encrypted, so a condition
        # on the account would refuse it. Source: the developer guide of SNS, "Key management".
        yield _grant("Events", {"Service": "events.amazonaws.com"}, speak)


def _disks() -> Iterator[Document]:
    """Auto Scaling starts instances whose disks are encrypted with the key."""
    caller = {
        "kms:CallerAccount": ref("AWS::AccountId"),
        "aws:PrincipalArn": sub(
            "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role/"
            "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        ),
    }
    # Named by a condition: KMS refuses a policy with a principal that does not exist, and AWS
    # makes this role only with the first group of an account.
    anyone = {"AWS": "*"}
    yield _grant("Disks", anyone, _USE, {"StringEquals": caller})
    yield _grant(
        "DiskGrants",
        anyone,
        ["kms:CreateGrant"],
        {"StringEquals": caller, "Bool": {"kms:GrantIsForAWSResource": "true"}},
    )


def _grant(
    sid: str, principal: Document, actions: Any, condition: Mapping[str, Any] | None = None
) -> Document:
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": principal,
        "Action": sorted(actions),
        "Resource": "*",
    }
    return {**statement, "Condition": dict(condition)} if condition else statement

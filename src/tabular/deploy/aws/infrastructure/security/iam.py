"""Roles and resource policies in the one form that all parts of the template use.

The boundary that a spec asks for is put on here, so a role that is made elsewhere without this
module is a role without the boundary; a test looks at every role of the whole template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, policy, ref, resource, sub, trust
from tabular.errors import UsageError

_POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[A-Za-z0-9+=,.@/_-]+")

# Services that act for many customers might be talked into acting for another one.
OWN_ACCOUNT: Mapping[str, Any] = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}


def role(
    wanted: Wanted,
    service: str,
    *statements: Mapping[str, Any],
    managed: Sequence[str] = (),
    condition: Mapping[str, Any] | None = None,
    kept: bool = False,
) -> Document:
    """A role of IAM, with the boundary that the spec asks for.

    Args:
        wanted: what is deployed.
        service: who may take it on, e.g. ``ecs-tasks.amazonaws.com``.
        statements: what it may do.
        managed: names of policies that AWS keeps, e.g. ``AmazonSSMManagedInstanceCore``.
        condition: on who takes it on, such as `OWN_ACCOUNT`.
        kept: as of :func:`tabular.deploy.aws.words.document.resource`.

    Raises:
        UsageError: the boundary is no ARN of a policy.
    """
    boundary = wanted.spec.security.permissions_boundary
    if boundary is not None and not _POLICY_ARN.fullmatch(boundary):
        raise UsageError(
            f"{boundary!r} is no ARN of a policy",
            where="spec.security.permissions_boundary",
            hint="permissions_boundary: arn:aws:iam::ACCOUNT:policy/NAME",
        )
    more = {"Condition": dict(condition)} if condition else {}
    own = {"PolicyName": "own", "PolicyDocument": policy(*statements)}
    return resource(
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": trust(service, **more),
            "PermissionsBoundary": boundary,
            "Policies": [own] if statements else None,
            "ManagedPolicyArns": [managed_policy(name) for name in managed] or None,
        },
        kept=kept,
    )


def managed_policy(name: str) -> Document:
    """ARN of a policy that AWS keeps, with its path: ``service-role/AWSBackup…``."""
    return sub(f"arn:${{AWS::Partition}}:iam::aws:policy/{name}")


def tls_only(actions: str, resources: Any) -> Document:
    """The statement of a resource policy that refuses whoever does not come over TLS.

    Of versions it says nothing: the endpoints of AWS take none before 1.2, and a condition on the
    version is known to S3 alone.

    Args:
        actions: e.g. ``s3:*``.
        resources: what the policy is of.
    """
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

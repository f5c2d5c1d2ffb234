"""The key that everything is encrypted with: how it is named, and how a role is let use it.

A key of one's own is named by its ARN and in no other way. Log groups and AWS Backup take no
alias, and IAM holds an alias against no key, so an alias would work here and not there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tabular.deploy.aws.words.document import Document, allow, att, sub
from tabular.errors import UsageError

WHERE = "spec.security.kms_key"
READ = ("kms:Decrypt",)
WRITE = ("kms:Decrypt", "kms:GenerateDataKey")

KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")


def key_arn(named: str | None, region: str) -> Any:
    """ARN of the key.

    Args:
        named: ``spec.security.kms_key``; None for the key that the deployment makes.
        region: that is deployed to.

    Raises:
        UsageError: it is no ARN of a key, or of one of another region.
    """
    if named is None:
        return att("Key", "Arn")
    found = KEY_ARN.fullmatch(named)
    if found is None:
        raise UsageError(
            f"a key is named by its ARN, and {named!r} is none",
            where=WHERE,
            hint=f"the KeyMetadata.Arn of: aws kms describe-key --key-id {named}",
        )
    if found["region"] != region:
        raise UsageError(
            f"the key is in {found['region']}, and no service of {region} can use it",
            where=WHERE,
            hint=f"name a key of {region}, or leave it out and one is made",
        )
    return named


def use(key: Any, actions: Sequence[str], services: Sequence[str]) -> Document:
    """A statement that lets a role use a key, but only through some services.

    Args:
        key: its ARN.
        actions: `READ` or `WRITE`.
        services: through which, e.g. ``s3``.
    """
    through = [via(one) for one in sorted(services)]
    return allow(actions, key, Condition={"StringEquals": {"kms:ViaService": through}})


def via(service: str) -> Document:
    """A service of this region as KMS calls it in ``kms:ViaService``."""
    return sub(f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}")

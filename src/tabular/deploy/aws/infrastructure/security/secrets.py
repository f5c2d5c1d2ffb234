"""Which secrets of Secrets Manager a deployment reads, by whom, and how each is referred to.

One place, since three have to agree: the reference that the service resolves, the statement that
lets its role read the secret, and what CloudFormation hands to the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, allow, att, ref, sub
from tabular.deploy.aws.words.encryption import READ, via
from tabular.deploy.spec.secret import Secret
from tabular.errors import UnsupportedError, UsageError

SCHEME = "aws-sm:"
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_ENDED = re.compile(r".*-[A-Za-z0-9]{6}")


def existing_parts(secret: Secret, where: str) -> tuple[str, str | None]:
    """Name or ARN of a secret that exists, and the key within it.

    Args:
        secret: of the spec.
        where: its path in the spec.

    Raises:
        UnsupportedError: it is kept elsewhere, or written out.
        UsageError: no name that Secrets Manager has.
    """
    reference = secret.secret_ref or ""
    if not reference.startswith(SCHEME):
        raise UnsupportedError(
            "a deployment on AWS reads its secrets from Secrets Manager",
            where=where,
            hint="keep it there: secretRef: aws-sm:NAME_OR_ARN",
        )
    name, _, key = reference.removeprefix(SCHEME).partition("#")
    if not (_ARN.fullmatch(name) or _NAME.fullmatch(name)):
        raise UsageError(
            f"{name!r} is no name of a secret",
            where=where,
            hint="secretRef: aws-sm:NAME, aws-sm:ARN, or either with #KEY",
        )
    return name, key or None


def existing_arn(name: str) -> Document | str:
    """ARN of a secret that exists, for a policy.

    Secrets Manager adds six characters to a name; a policy that has only the name stands for
    them with six question marks, so that no longer name is meant.
    """
    if name.startswith("arn:"):
        return name if _ENDED.fullmatch(name) else f"{name}-??????"
    here = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
    return sub(f"{here}{name}-??????")


def database_password(wanted: Wanted) -> str:
    """The password of the database as the service refers to it, within a ``Fn::Sub``."""
    given = wanted.spec.database.password
    if given is not None:
        name, key = existing_parts(given, "spec.database.password")
        return f"{SCHEME}{name}#{key}" if key else f"{SCHEME}{name}"
    if wanted.spec.database.password_rotation is not None:
        return f"{SCHEME}${{Database.MasterUserSecret.SecretArn}}#password"
    return f"{SCHEME}${{DatabaseSecret}}#password"


def read_statements(wanted: Wanted, *, admin: bool) -> Iterator[Document]:
    """What lets a program read the secrets that its settings refer to, and no others.

    Args:
        wanted: what is deployed.
        admin: the administrator's key among them.
    """
    made: list[Any] = [ref("SecretKey")]
    if admin and wanted.served:
        made.append(ref("AdminKey"))
    if wanted.cache_engine is not None:
        made.append(ref("CacheSecret"))
    existing = _existing(wanted)
    if wanted.database_engine is not None and not existing:
        made.append(_made_for_database(wanted))
    yield allow([_READ], made)
    if existing:
        yield from _read_existing([existing_arn(name) for name in existing])


def _made_for_database(wanted: Wanted) -> Document:
    if wanted.spec.database.password_rotation is not None:
        return att("Database", "MasterUserSecret.SecretArn")
    return ref("DatabaseSecret")


_READ = "secretsmanager:GetSecretValue"


def _existing(wanted: Wanted) -> list[str]:
    """Secrets of the user's own that the service reads."""
    database = wanted.spec.database
    if database.type == "external" and database.url is not None:
        return [existing_parts(database.url, "spec.database.url")[0]]
    if wanted.database_engine is not None and database.password is not None:
        return [existing_parts(database.password, "spec.database.password")[0]]
    return []


def _read_existing(arns: list[Any]) -> Iterator[Document]:
    """Reading secrets that may be encrypted with a key that the spec does not name."""
    yield allow([_READ], arns)
    # Any key of the account, but through Secrets Manager and for these secrets alone.
    yield allow(
        READ,
        sub("arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*"),
        Condition={
            "StringEquals": {"kms:ViaService": via("secretsmanager")},
            "StringLike": {"kms:EncryptionContext:SecretARN": arns},
        },
    )

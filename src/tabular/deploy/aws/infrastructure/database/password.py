"""The owner's password, made and kept by AWS, or named where it is kept already.

Where it is to change by itself, RDS makes and changes it: a schedule for a secret of our own would
take a function in the network and a macro in the template. The service reads a password again
when it is refused.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tabular.deploy.aws.infrastructure.database.words import owner
from tabular.deploy.aws.infrastructure.security.generated import secret
from tabular.deploy.aws.infrastructure.security.secrets import existing_parts
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub
from tabular.deploy.spec.quantities import format_duration
from tabular.errors import UnsupportedError, UsageError

LENGTH = 40  # MySQL takes up to 41 characters
MOST_DAYS = 1000  # between two changes; "RotationRulesType" of the API of Secrets Manager
_DAY = timedelta(days=1)


def resources(wanted: Wanted) -> Part:
    """The secret, with where the database is; or the schedule of RDS's own."""
    database = wanted.spec.database
    if database.password_rotation is not None:
        return {"DatabaseSecretRotation": _rotation(wanted)}
    if database.password is not None:
        return {}
    return {
        "DatabaseSecret": secret(
            wanted,
            "Owner of the database.",
            LENGTH,
            kept=True,
            SecretStringTemplate=json.dumps({"username": owner(wanted)}),
            GenerateStringKey="password",
        ),
        "DatabaseSecretAttachment": resource(
            "AWS::SecretsManager::SecretTargetAttachment",
            {
                "SecretId": ref("DatabaseSecret"),
                "TargetId": ref("Database"),
                "TargetType": "AWS::RDS::DBInstance",
            },
            base=True,
        ),
    }


def properties(wanted: Wanted) -> Document:
    """What the server is told of its password; never the password itself."""
    if wanted.spec.database.password_rotation is not None:
        return {
            "ManageMasterUserPassword": True,
            "MasterUserSecret": {"KmsKeyId": wanted.key_arn},
        }
    return {"MasterUserPassword": _resolved(wanted)}


def _resolved(wanted: Wanted) -> Any:
    """A reference that CloudFormation resolves on its way to RDS."""
    given = wanted.spec.database.password
    if given is None:
        return sub("{{resolve:secretsmanager:${DatabaseSecret}:SecretString:password}}")
    name, key = existing_parts(given, "spec.database.password")
    return f"{{{{resolve:secretsmanager:{name}:SecretString{':' + key if key else ''}}}}}"


def _rotation(wanted: Wanted) -> Document:
    database = wanted.spec.database
    if database.password is not None:
        raise UsageError(
            "a password of your own is changed by nobody but you",
            where="spec.database.password_rotation",
            hint="leave out spec.database.password, or this",
        )
    if database.read_replicas:
        raise UnsupportedError(
            "RDS makes no copies of a database whose password it changes itself",
            where="spec.database.password_rotation",
            hint="leave out this, or spec.database.read_replicas",
        )
    # It stays as long as the database, and is never deleted before: RDS lets nobody turn off the
    # changing of a password that it made, and takes the secret away with the database.
    return resource(
        "AWS::SecretsManager::RotationSchedule",
        {
            "SecretId": att("Database", "MasterUserSecret.SecretArn"),
            "RotationRules": {"AutomaticallyAfterDays": _days(database.password_rotation)},
            "RotateImmediatelyOnUpdate": False,
        },
        base=True,
        DeletionPolicy="Retain",
        UpdateReplacePolicy="Retain",
    )


def _days(every: timedelta | None) -> int:
    if every is None or every % _DAY or not _DAY <= every <= MOST_DAYS * _DAY:
        raise UnsupportedError(
            f"a password is changed every 1 to {MOST_DAYS} whole days, "
            f"not every {format_duration(every or timedelta())}",
            where="spec.database.password_rotation",
            hint="password_rotation: 30d",
        )
    return every.days

"""Regular copies in a vault of AWS Backup, of what the deployment itself made.

The copies outlive the deployment, and so does the role: AWS Backup deletes a copy that has grown
old with the role that made it, and keeps it for ever, and for money, if that is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from tabular.deploy.aws.infrastructure.security import iam
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words import cron
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub
from tabular.deploy.spec.quantities import format_duration
from tabular.deploy.stack import Reduction
from tabular.errors import UnsupportedError

# AWS's own defaults: RDS makes no copy in the hour before its maintenance and its own backup, so
# a short time to start would miss some; the first copy of a large bucket takes days.
START_MINUTES = 8 * 60
COMPLETION_MINUTES = 7 * 24 * 60
_DAY = timedelta(days=1)
_POLICIES = (
    "service-role/AWSBackupServiceRolePolicyForBackup",
    "service-role/AWSBackupServiceRolePolicyForRestores",
    "AWSBackupServiceRolePolicyForS3Backup",
    "AWSBackupServiceRolePolicyForS3Restore",
)


def resources(wanted: Wanted) -> Part:
    """Vault, plan, selection and role; nothing where no backup is asked for, or nothing is made.

    Raises:
        UsageError, UnsupportedError: a schedule, or a key, that AWS Backup does not take.
    """
    found = _copied(wanted)
    if not wanted.spec.backup.enabled or not found:
        return {}
    return {
        "BackupVault": _vault(wanted),
        "BackupPlan": _plan(wanted),
        "BackupSelection": _selection(found),
        "BackupRole": iam.role(wanted, "backup.amazonaws.com", managed=_POLICIES, kept=True),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """What is not copied though backups are asked for, and how long copies are kept instead."""
    backup = wanted.spec.backup
    if not backup.enabled:
        return
    if wanted.spec.database.type == "external":
        yield _elsewhere("the external database")
    if wanted.spec.storage.bucket:
        yield _elsewhere(f"the existing bucket {wanted.spec.storage.bucket}")
    if backup.retention % _DAY:
        yield Reduction(
            "spec.backup.retention",
            format_duration(backup.retention),
            f"{_days(wanted)}d",
            "AWS Backup counts whole days",
        )


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """The vault, for whoever restores from it."""
    if "BackupVault" not in resources(wanted):
        return {}
    return {"backupVault": (ref("BackupVault"), "Vault of AWS Backup that has the copies")}


def _copied(wanted: Wanted) -> list[Any]:
    """ARNs of the data stores that the deployment makes."""
    found = []
    if wanted.database_engine is not None:
        found.append(att("Database", "DBInstanceArn"))
    if wanted.spec.storage.bucket is None:
        found.append(att("Bucket", "Arn"))
    return found


def _vault(wanted: Wanted) -> Document:
    # A vault has to be given a name. Its role's number is nobody else's, and another one when
    # backups that were turned off are turned on again: the vault of before, which stays with its
    # copies, is not in the way then.
    number = att("BackupRole", "RoleId")
    return resource(
        "AWS::Backup::BackupVault",
        {
            "BackupVaultName": {"Fn::Join": ["-", ["tabular", number]]},
            "EncryptionKeyArn": _key(wanted),
        },
        kept=True,
    )


def _key(wanted: Wanted) -> Any:
    named = wanted.spec.security.kms_key
    if named is None or named.partition(":key/")[2]:
        return wanted.key_arn
    if "alias/" in named:
        raise UnsupportedError(
            "a vault of AWS Backup takes no alias of a key",
            where="spec.security.kms_key",
            hint="name the key by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID",
        )
    return sub(f"arn:${{AWS::Partition}}:kms:${{AWS::Region}}:${{AWS::AccountId}}:key/{named}")


def _plan(wanted: Wanted) -> Document:
    target = wanted.target
    rule = {
        "RuleName": "regular",
        "TargetBackupVault": ref("BackupVault"),
        "ScheduleExpression": _schedule(wanted),
        "ScheduleExpressionTimezone": wanted.spec.backup.timezone,
        "StartWindowMinutes": START_MINUTES,
        "CompletionWindowMinutes": COMPLETION_MINUTES,
        "Lifecycle": {"DeleteAfterDays": _days(wanted)},
    }
    name = f"{target.environment}-{target.name}"[:50]  # what is shown; it need not be unique
    return resource(
        "AWS::Backup::BackupPlan",
        {"BackupPlan": {"BackupPlanName": name, "BackupPlanRule": [rule]}},
    )


def _schedule(wanted: Wanted) -> str:
    where = "spec.backup.schedule"
    text = wanted.spec.backup.schedule
    if len(cron.read(text, where=where).minutes) > 1:
        raise UnsupportedError(
            f"{text!r} makes more than one backup an hour, and AWS Backup makes one",
            where=where,
            hint="name one minute, such as 0 * * * *",
        )
    return cron.expression(text, where=where)


def _days(wanted: Wanted) -> int:
    return math.ceil(wanted.spec.backup.retention / _DAY)


def _selection(copied: list[Any]) -> Document:
    return resource(
        "AWS::Backup::BackupSelection",
        {
            "BackupPlanId": ref("BackupPlan"),
            "BackupSelection": {
                "SelectionName": "data",
                "IamRoleArn": att("BackupRole", "Arn"),
                "Resources": copied,
            },
        },
    )


def _elsewhere(what: str) -> Reduction:
    return Reduction(
        "spec.backup.enabled", "true", f"no copies of {what}", "only what is made here is copied"
    )

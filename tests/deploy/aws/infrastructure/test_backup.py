"""Backups on AWS: what is copied, when, for how long, and what stays when the rest goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import backup
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import KEPT
from tabular.errors import UnsupportedError, UsageError
from tests.deploy.aws.linted import findings
from tests.deploy.aws.made import stack_of, wanted_of

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0b7f4a61-6a3c-4d0e-9a0c-2c3a1b2d3e4f"


def _wanted(**spec: Any) -> Wanted:
    return wanted_of({"backup": {"enabled": True}, **spec})


def _rule(**spec: Any) -> dict[str, Any]:
    plan = backup.resources(_wanted(**spec))["BackupPlan"]["Properties"]["BackupPlan"]
    (rule,) = plan["BackupPlanRule"]
    return dict(rule)


def _copied(asked: Wanted) -> list[Any]:
    selection = backup.resources(asked)["BackupSelection"]["Properties"]["BackupSelection"]
    assert selection["IamRoleArn"] == {"Fn::GetAtt": ["BackupRole", "Arn"]}
    return list(selection["Resources"])


DATABASE = {"Fn::GetAtt": ["Database", "DBInstanceArn"]}
BUCKET = {"Fn::GetAtt": ["Bucket", "Arn"]}


def test_without_backups_nothing_is_made() -> None:
    asked = _wanted(backup={"enabled": False})
    assert backup.resources(asked) == {}
    assert list(backup.reductions(asked)) == []
    assert backup.outputs(asked) == {}
    assert not asked.versioned


def test_database_and_objects_are_copied_at_the_time_that_is_asked() -> None:
    asked = _wanted(
        backup={
            "enabled": True,
            "schedule": "30 1 * * 1-5",
            "timezone": "Europe/Berlin",
            "retention": "60d",
        }
    )
    assert _copied(asked) == [DATABASE, BUCKET]
    plan = backup.resources(asked)["BackupPlan"]["Properties"]["BackupPlan"]
    (rule,) = plan["BackupPlanRule"]
    assert rule["ScheduleExpression"] == "cron(30 1 ? * 2-6 *)"
    assert rule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert rule["Lifecycle"] == {"DeleteAfterDays": 60}
    assert rule["TargetBackupVault"] == {"Ref": "BackupVault"}
    assert rule["StartWindowMinutes"] >= 60  # what AWS Backup takes at least
    assert asked.versioned  # AWS Backup copies no other bucket


def test_the_vault_is_encrypted_with_the_deployments_key_and_outlives_it() -> None:
    made = backup.resources(_wanted())
    vault = made["BackupVault"]
    assert vault["Properties"]["EncryptionKeyArn"] == {"Fn::GetAtt": ["Key", "Arn"]}
    kept = {name for name, one in made.items() if one.get("Metadata", {}).get(KEPT)}
    assert kept == {"BackupVault", "BackupRole"}
    assert {made[name]["DeletionPolicy"] for name in kept} == {"RetainExceptOnCreate"}


@pytest.mark.parametrize(
    ("named", "key"),
    [
        (KEY, KEY),
        (
            "0b7f4a61-6a3c-4d0e-9a0c-2c3a1b2d3e4f",
            {
                "Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/"
                "0b7f4a61-6a3c-4d0e-9a0c-2c3a1b2d3e4f"
            },
        ),
    ],
)
def test_a_key_of_ones_own(named: str, key: Any) -> None:
    made = backup.resources(_wanted(security={"kms_key": named}))
    assert made["BackupVault"]["Properties"]["EncryptionKeyArn"] == key


@pytest.mark.parametrize("alias", ["alias/data", "arn:aws:kms:eu-west-1:123456789012:alias/data"])
def test_an_alias_is_refused_which_aws_backup_would_refuse(alias: str) -> None:
    with pytest.raises(UnsupportedError, match="alias") as caught:
        backup.resources(_wanted(security={"kms_key": alias}))
    assert caught.value.where == "spec.security.kms_key"
    assert backup.resources(_wanted(security={"kms_key": alias}, backup={"enabled": False})) == {}


def test_the_role_is_aws_backups_own_within_the_boundary() -> None:
    boundary = "arn:aws:iam::123456789012:policy/edge"
    role = backup.resources(_wanted(security={"permissions_boundary": boundary}))["BackupRole"]
    properties = role["Properties"]
    assert properties["PermissionsBoundary"] == boundary
    (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "backup.amazonaws.com"}
    names = {one["Fn::Sub"].partition(":policy/")[2] for one in properties["ManagedPolicyArns"]}
    assert names == {
        "service-role/AWSBackupServiceRolePolicyForBackup",
        "service-role/AWSBackupServiceRolePolicyForRestores",
        "AWSBackupServiceRolePolicyForS3Backup",
        "AWSBackupServiceRolePolicyForS3Restore",
    }
    assert "Policies" not in properties


def test_what_exists_already_is_not_copied_and_that_is_said() -> None:
    asked = _wanted(
        database={"type": "external", "url": {"secretRef": "aws-sm:db"}},
    )
    assert _copied(asked) == [BUCKET]
    (told,) = backup.reductions(asked)
    assert (told.field, told.given) == ("spec.backup.enabled", "no copies of the external database")

    asked = _wanted(storage={"bucket": "lake"})
    assert _copied(asked) == [DATABASE]
    (told,) = backup.reductions(asked)
    assert "lake" in told.given


@pytest.mark.parametrize("kind", ["lambda", "batch"])
def test_where_nothing_serves_there_are_only_objects(kind: str) -> None:
    assert _copied(_wanted(compute={"type": kind})) == [BUCKET]
    asked = _wanted(compute={"type": kind}, storage={"bucket": "lake"})
    assert backup.resources(asked) == {}
    assert backup.outputs(asked) == {}
    assert len(list(backup.reductions(asked))) == 1


def test_part_of_a_day_is_kept_for_a_whole_one() -> None:
    backup_ = {"enabled": True, "retention": "36h"}
    assert _rule(backup=backup_)["Lifecycle"] == {"DeleteAfterDays": 2}
    (told,) = backup.reductions(_wanted(backup=backup_))
    assert (told.asked, told.given) == ("36h", "2d")


def test_once_an_hour_is_as_often_as_aws_backup_copies() -> None:
    hourly = {"enabled": True, "schedule": "15 * * * *"}
    assert _rule(backup=hourly)["ScheduleExpression"] == "cron(15 * * * ? *)"
    with pytest.raises(UnsupportedError, match="more than one backup an hour"):
        _rule(backup={"enabled": True, "schedule": "*/30 * * * *"})
    with pytest.raises(UsageError) as caught:
        _rule(backup={"enabled": True, "schedule": "0 25 * * *"})
    assert caught.value.where == "spec.backup.schedule"


def test_the_output_names_the_vault() -> None:
    (value, words) = backup.outputs(_wanted())["backupVault"]
    assert value == {"Ref": "BackupVault"}
    assert words


@pytest.mark.slow
def test_the_whole_template_is_accepted_by_the_vendors_linter(tmp_path: Path) -> None:
    schedule = {"enabled": True, "schedule": "5 1 * * sat,sun", "timezone": "Europe/Berlin"}
    stacks = {
        "served": stack_of({"backup": schedule}),
        "objects": stack_of({"backup": schedule, "compute": {"type": "lambda"}}),
        "key": stack_of({"backup": schedule, "security": {"kms_key": KEY}}),
    }
    for stack in stacks.values():
        assert "BackupVault" in stack.template["Resources"]
    assert findings(tmp_path, stacks) == []

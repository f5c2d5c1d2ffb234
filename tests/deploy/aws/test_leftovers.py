"""What is left in an account: nothing of what was never finished, and nothing in the way."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tabular.deploy.aws.compile import compile_stack
from tests.deploy.aws.harness import describe, provider_at
from tests.testbed.ministack import REGION, MiniStack

_LAST = ("Bucket", "BackupVault", "Database", "SecretKey")
# SQS takes no such time, and CloudFormation finds out when all that would be kept is there.
TOO_LONG = {
    "aws": {
        "DeadLetterQueue": {
            "VisibilityTimeout": 999_999,
            "Tags": [{"Key": f"after{one}", "Value": {"Ref": one}} for one in _LAST],
        }
    }
}


@pytest.mark.parametrize("type_", ["postgresql", "mysql"])
def test_a_first_deployment_that_fails_leaves_no_orphans(
    type_: str, ministack: MiniStack, aws_account: str
) -> None:
    """Each attempt would leave a network, of which an account may have five, and a key to pay."""
    # The template as it is exported, made by somebody else's hand; our own engine asks
    # CloudFormation for the same besides.
    spec = describe(database={"type": type_}, backup={"enabled": True}, overrides=TOO_LONG)
    cloudformation = ministack.client("cloudformation", account=aws_account)
    stack = cloudformation.create_stack(
        StackName="by-hand",
        TemplateBody=compile_stack(spec, REGION).to_bytes().decode(),
        Capabilities=["CAPABILITY_IAM"],
    )["StackId"]
    with pytest.raises(WaiterError, match="ROLLBACK_COMPLETE"):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def ask(service: str) -> Any:
        return ministack.client(service, account=aws_account)

    assert ask("s3").list_buckets()["Buckets"] == []
    assert [one for one in ask("ec2").describe_vpcs()["Vpcs"] if not one["IsDefault"]] == []
    assert ask("rds").describe_db_instances()["DBInstances"] == []
    assert ask("rds").describe_db_subnet_groups()["DBSubnetGroups"] == []
    assert ask("secretsmanager").list_secrets()["SecretList"] == []
    assert ask("backup").list_backup_vaults()["BackupVaultList"] == []
    assert ask("iam").list_roles()["Roles"] == []
    keys = [one["KeyId"] for one in ask("kms").list_keys()["Keys"]]
    states = {ask("kms").describe_key(KeyId=one)["KeyMetadata"]["KeyState"] for one in keys}
    assert states <= {"PendingDeletion"}


def test_backups_may_be_turned_off_and_on_again(ministack: MiniStack, aws_account: str) -> None:
    """The vault of before stays with its copies, under a name that is not asked for again."""
    engine = (provider := provider_at(ministack.url, aws_account)).engine
    vaults = []
    for enabled in (True, False, True):
        stack = provider.compile(describe(backup={"enabled": enabled}))
        list(engine.apply(engine.preview(stack)))
        backup = ministack.client("backup", account=aws_account)
        vaults.append(len(backup.list_backup_vaults()["BackupVaultList"]))
    assert vaults == [1, 1, 2]

"""What is left in an account of a deployment that was never finished: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.errors import ApplyError
from tests.deploy.aws.harness import describe, provider_at
from tests.testbed.ministack import MiniStack

# SQS takes no such time, and CloudFormation finds out when all the rest is there.
TOO_LONG = {"aws": {"DeadLetterQueue": {"VisibilityTimeout": 999_999}}}


@pytest.mark.parametrize("type_", ["postgresql", "mysql"])
def test_a_first_deployment_that_fails_leaves_no_orphans(
    type_: str, ministack: MiniStack, aws_account: str
) -> None:
    """Each attempt would leave a network, of which an account may have five, and a key to pay."""
    provider = provider_at(ministack.url, aws_account)
    spec = describe(database={"type": type_}, backup={"enabled": True}, overrides=TOO_LONG)
    with pytest.raises(ApplyError):
        list(provider.engine.apply(provider.engine.preview(provider.compile(spec))))

    def ask(service: str) -> Any:
        return ministack.client(service, account=aws_account)

    buckets = [one["Name"] for one in ask("s3").list_buckets()["Buckets"]]
    assert [one for one in buckets if not one.startswith("inferloop-tabular-")] == []
    assert [one for one in ask("ec2").describe_vpcs()["Vpcs"] if not one["IsDefault"]] == []
    assert ask("rds").describe_db_instances()["DBInstances"] == []
    assert ask("rds").describe_db_subnet_groups()["DBSubnetGroups"] == []
    assert ask("secretsmanager").list_secrets()["SecretList"] == []
    assert ask("backup").list_backup_vaults()["BackupVaultList"] == []
    assert ask("iam").list_roles()["Roles"] == []
    keys = [one["KeyId"] for one in ask("kms").list_keys()["Keys"]]
    states = {ask("kms").describe_key(KeyId=one)["KeyMetadata"]["KeyState"] for one in keys}
    assert states <= {"PendingDeletion"}

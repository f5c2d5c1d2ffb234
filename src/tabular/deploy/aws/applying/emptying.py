"""What AWS does not delete as it is: buckets and vaults that hold something, guarded databases.

CloudFormation empties neither. Nothing is emptied but by ``--delete-data``, and no guard is taken
off but from what was never finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tabular.deploy.aws.account.bucket import empty
from tabular.deploy.aws.account.refusals import explained
from tabular.deploy.aws.account.session import Session
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.errors import WaitTimeoutError

LIMIT = 1800.0  # seconds; AWS Backup deletes a copy of a large bucket in minutes
_PAUSE = 5.0


class Emptier:
    """Empties what a stack owns.

    Args:
        session: the way to the account.
        stacks: reads stacks.
        sleep: waits, seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        session: Session,
        stacks: Stacks,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._stacks = stacks
        self._sleep = sleep
        self._clock = clock

    def run(self, found: Found, region: str) -> None:
        """Delete all objects, with their versions, and all copies of backups.

        Raises:
            ConflictError: an object is locked.
            WaitTimeoutError: copies take too long to go.
        """
        for one in self._stacks.resources(found, region):
            name = one.get("PhysicalResourceId")
            if name and one["ResourceType"] == "AWS::S3::Bucket":
                with explained("s3:DeleteObjectVersion"):
                    empty(self._session.client("s3", region), name, owner=self._session.account)
            elif name and one["ResourceType"] == "AWS::Backup::BackupVault":
                self._empty_vault(self._session.client("backup", region), name)

    def unguard(self, found: Found, region: str) -> None:
        """Turn off what keeps the databases of a stack from being deleted.

        For a stack that takes no update any more, in which CloudFormation would do it.
        """
        for one in self._stacks.resources(found, region):
            name = one.get("PhysicalResourceId")
            if name and one["ResourceType"] == "AWS::RDS::DBInstance":
                client = self._session.client("rds", region)
                with explained("rds:ModifyDBInstance"):
                    try:
                        client.modify_db_instance(
                            DBInstanceIdentifier=name,
                            DeletionProtection=False,
                            ApplyImmediately=True,
                        )
                    except client.exceptions.DBInstanceNotFoundFault:
                        continue  # it was never made, or is gone

    def _empty_vault(self, client: Any, vault: str) -> None:
        deadline = self._clock() + LIMIT
        asked: set[str] = set()
        while points := self._points(client, vault):
            for arn in points:
                if arn not in asked:
                    with explained("backup:DeleteRecoveryPoint"):
                        client.delete_recovery_point(BackupVaultName=vault, RecoveryPointArn=arn)
                    asked.add(arn)
            if self._clock() + _PAUSE > deadline:
                raise WaitTimeoutError(
                    f"{len(points)} copies are still in the vault after {LIMIT / 60:.0f} min",
                    where=vault,
                    hint="run `inferloop-tabular destroy --delete-data` again; it goes on",
                )
            self._sleep(_PAUSE)

    @staticmethod
    def _points(client: Any, vault: str) -> list[str]:
        with explained("backup:ListRecoveryPointsByBackupVault"):
            pages = client.get_paginator("list_recovery_points_by_backup_vault")
            try:
                return [
                    point["RecoveryPointArn"]
                    for page in pages.paginate(BackupVaultName=vault)
                    for point in page.get("RecoveryPoints", ())
                ]
            except client.exceptions.ResourceNotFoundException:
                return []  # somebody deleted the vault past us

"""The server of RDS and what it stands on."""

from __future__ import annotations

from tabular.deploy.aws.infrastructure.database import password, words
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource
from tabular.errors import UnsupportedError

SMALLEST, LARGEST = 20, 65_536  # GiB of gp3
RETENTION, RETENTION_WITH_BACKUP, LONGEST_RETENTION = 7, 30, 35  # days
GIB = 2**30
# RDS's authority of 2024 and on; its predecessor has ended.
AUTHORITY = "rds-ca-rsa2048-g1"


def resources(wanted: Wanted, engine: str) -> Part:
    """Server, subnets, parameters, and copies to read from."""
    return {
        "DatabaseSubnetGroup": resource(
            "AWS::RDS::DBSubnetGroup",
            {
                "DBSubnetGroupDescription": "Private subnets.",
                "SubnetIds": wanted.private_subnets,
            },
            base=True,
        ),
        "DatabaseParameterGroup": resource(
            "AWS::RDS::DBParameterGroup",
            {
                "Description": "Nobody gets in without TLS.",
                "Family": words.family(wanted, engine),
                "Parameters": words.ENGINES[engine].tls,
            },
            base=True,
        ),
        "Database": _server(wanted, engine),
        **{name: _replica(wanted) for name in replica_names(wanted)},
    }


def replica_names(wanted: Wanted) -> list[str]:
    """Logical ids of the copies to read from."""
    return [f"DatabaseReplica{number + 1}" for number in range(wanted.spec.database.read_replicas)]


def gib(size: int) -> int:
    """Whole GiB that hold so many bytes."""
    return -(-size // GIB)


def logs(wanted: Wanted) -> list[str]:
    """Logs that go to CloudWatch: those of the engine, where monitoring is on."""
    if not wanted.spec.monitoring.enabled:
        return []
    return list(words.ENGINES[str(wanted.database_engine)].logs)


def _server(wanted: Wanted, engine: str) -> Document:
    found = _described(wanted, engine)
    if words.is_major(wanted, engine):
        # RDS takes a major version as the usual minor one of it, and this is what lets it change
        # by itself; the linter knows minor ones only.
        found["Metadata"]["cfn-lint"] = {"config": {"ignore_checks": ["E3691", "W3691"]}}
    return found


def _described(wanted: Wanted, engine: str) -> Document:
    disk = _disk(wanted)
    return resource(
        "AWS::RDS::DBInstance",
        {
            "Engine": engine,
            "EngineVersion": words.version(wanted, engine),
            # RDS goes to another major version only where this is said. Somebody who names a
            # version means it; that a later release of ours has another usual one is no wish.
            "AllowMajorVersionUpgrade": True if wanted.spec.database.version else None,
            "AllocatedStorage": str(disk),
            "MaxAllocatedStorage": min(LARGEST, 2 * disk) if disk < LARGEST else None,
            "StorageEncrypted": True,
            "KmsKeyId": wanted.key_arn,
            "MultiAZ": wanted.ha or wanted.spec.database.ha,
            "BackupRetentionPeriod": _retention(wanted),
            "DeletionProtection": wanted.protected,
            "DBSubnetGroupName": ref("DatabaseSubnetGroup"),
            "DBName": words.name(wanted),
            "MasterUsername": words.owner(wanted),
            **password.properties(wanted),
            **_common(wanted),
        },
        snapshot=True,
    )


def _common(wanted: Wanted) -> Document:
    """What the server and its copies have in common."""
    return {
        "DBInstanceClass": words.instance_class(wanted),
        "StorageType": "gp3",
        "CopyTagsToSnapshot": True,
        "AutoMinorVersionUpgrade": True,
        "PubliclyAccessible": False,
        "DBParameterGroupName": ref("DatabaseParameterGroup"),
        "VPCSecurityGroups": [att("DatabaseSecurityGroup", "GroupId")],
        "CACertificateIdentifier": AUTHORITY,
        "EnableCloudwatchLogsExports": logs(wanted) or None,
    }


def _replica(wanted: Wanted) -> Document:
    """A copy to read from; RDS takes over encryption, subnets and version from its source."""
    return resource(
        "AWS::RDS::DBInstance",
        {"SourceDBInstanceIdentifier": ref("Database"), **_common(wanted)},
        # All that it has is in its source; RDS makes no last snapshot of a copy.
        DeletionPolicy="Delete",
        UpdateReplacePolicy="Delete",
    )


def _disk(wanted: Wanted) -> int:
    asked = gib(wanted.spec.database.size or 0)
    if asked > LARGEST:
        raise UnsupportedError(
            f"a database of RDS has up to {LARGEST} GiB, not {asked}",
            where="spec.database.size",
            hint=f"size: {LARGEST}Gi",
        )
    return max(SMALLEST, asked)


def _retention(wanted: Wanted) -> int:
    days = wanted.spec.database.backup_retention_days
    if days is None:
        return RETENTION_WITH_BACKUP if wanted.spec.backup.enabled else RETENTION
    if days > LONGEST_RETENTION:
        raise UnsupportedError(
            f"RDS keeps its own backups for up to {LONGEST_RETENTION} days, not {days}",
            where="spec.database.backup_retention",
            hint=f"backup_retention: {LONGEST_RETENTION}, and longer copies by "
            f"backup: {{enabled: true, retention: {days}d}}",
        )
    return days

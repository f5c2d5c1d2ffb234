"""The database: RDS in private subnets, encrypted, over TLS only, with a password nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.document import Document, Part, att, ref, resource, sub
from tabular.deploy.aws.infrastructure.security.generated import secret
from tabular.deploy.aws.wanted import Wanted
from tabular.deploy.stack import Reduction

PASSWORD_LENGTH = 40  # MySQL of RDS takes up to 41 characters


def resources(wanted: Wanted) -> Part:
    """Server, subnets, parameters and password; nothing where none is made."""
    if wanted.database_engine is None:
        return {}
    return {
        "DatabaseSecret": secret(
            wanted,
            "Owner of the database.",
            PASSWORD_LENGTH,
            kept=True,
            SecretStringTemplate='{"username": "tabular"}',
            GenerateStringKey="password",
        ),
        "DatabaseSubnetGroup": resource(
            "AWS::RDS::DBSubnetGroup",
            {
                "DBSubnetGroupDescription": "Private subnets.",
                "SubnetIds": wanted.private_subnets,
            },
            kept=True,
        ),
        "DatabaseParameterGroup": _parameters(wanted),
        "Database": _database(wanted),
    }


def reductions(wanted: Wanted) -> Iterator[Reduction]:
    """Nothing is given only in part."""
    yield from ()


def outputs(wanted: Wanted) -> Mapping[str, tuple[Any, str]]:
    """Where the database is."""
    if wanted.database_engine is None:
        return {}
    return {"DatabaseAddress": (att("Database", "Endpoint.Address"), "Host of the database.")}


def _parameters(wanted: Wanted) -> Document:
    family, tls = {
        "postgres": ("postgres17", {"rds.force_ssl": "1"}),
        "mysql": ("mysql8.4", {"require_secure_transport": "1"}),
    }[str(wanted.database_engine)]
    return resource(
        "AWS::RDS::DBParameterGroup",
        {"Family": family, "Description": "TLS only.", "Parameters": tls},
        kept=True,
    )


def _database(wanted: Wanted) -> Document:
    engine = str(wanted.database_engine)
    return resource(
        "AWS::RDS::DBInstance",
        {
            "Engine": engine,
            "EngineVersion": {"postgres": "17", "mysql": "8.4"}[engine],
            "DBInstanceClass": wanted.spec.database.instance_class or "db.t4g.medium",
            "AllocatedStorage": "20",
            "StorageType": "gp3",
            "StorageEncrypted": True,
            "KmsKeyId": wanted.key_arn,
            "MultiAZ": wanted.ha or wanted.spec.database.ha,
            "BackupRetentionPeriod": 7,
            "DeletionProtection": wanted.protected,
            "CopyTagsToSnapshot": True,
            "AutoMinorVersionUpgrade": True,
            "PubliclyAccessible": False,
            "DBSubnetGroupName": ref("DatabaseSubnetGroup"),
            "DBParameterGroupName": ref("DatabaseParameterGroup"),
            "VPCSecurityGroups": [att("DatabaseSecurityGroup", "GroupId")],
            "DBName": wanted.spec.database.name or "tabular",
            "MasterUsername": wanted.spec.database.username or "tabular",
            "MasterUserPassword": sub(
                "{{resolve:secretsmanager:${DatabaseSecret}:SecretString:password}}"
            ),
        },
        snapshot=True,
    )

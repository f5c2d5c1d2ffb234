"""The database: private, encrypted, over TLS only, and with a password that is in no template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import database
from tabular.deploy.aws.infrastructure.service import environment
from tabular.deploy.aws.words.document import KEPT
from tabular.errors import TabularError, UnsupportedError, UsageError
from tests.deploy.aws.made import refusal, wanted_of


def made(spec: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    return database.resources(wanted_of({"database": said, **(spec or {})}))


def server(spec: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(spec, **said)["Database"]["Properties"]
    return found


def reduced(spec: dict[str, Any]) -> dict[str, str]:
    return {one.field: one.given for one in database.reductions(wanted_of(spec))}


def refused(
    error: type[TabularError], where: str, spec: dict[str, Any] | None = None, **said: Any
) -> str:
    return refusal(error, where, lambda: made(spec, **said))


# --- Guards


def test_it_is_private_encrypted_and_in_private_subnets() -> None:
    found = server()
    assert found["PubliclyAccessible"] is False
    assert found["StorageEncrypted"] is True
    assert found["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
    assert found["VPCSecurityGroups"] == [{"Fn::GetAtt": ["DatabaseSecurityGroup", "GroupId"]}]
    assert found["DBSubnetGroupName"] == {"Ref": "DatabaseSubnetGroup"}
    assert made()["DatabaseSubnetGroup"]["Properties"]["SubnetIds"] == [
        {"Ref": "PrivateSubnet1"},
        {"Ref": "PrivateSubnet2"},
    ]


@pytest.mark.parametrize(
    ("type_", "version", "family", "tls"),
    [
        ("postgresql", None, "postgres17", {"rds.force_ssl": "1"}),
        ("postgresql", "14", "postgres14", {"rds.force_ssl": "1"}),
        ("postgresql", "16.4", "postgres16", {"rds.force_ssl": "1"}),
        ("mysql", None, "mysql8.4", {"require_secure_transport": "1"}),
        ("mysql", "8.0.41", "mysql8.0", {"require_secure_transport": "1"}),
    ],
)
def test_nobody_gets_in_without_tls(
    type_: str, version: str | None, family: str, tls: dict[str, str]
) -> None:
    said = {"type": type_, **({"version": version} if version else {})}
    group = made(**said)["DatabaseParameterGroup"]["Properties"]
    assert group["Family"] == family
    assert group["Parameters"] == tls
    assert server(**said)["DBParameterGroupName"] == {"Ref": "DatabaseParameterGroup"}


def test_only_a_version_that_is_named_is_gone_to() -> None:
    assert server(version="16")["AllowMajorVersionUpgrade"] is True
    assert "AllowMajorVersionUpgrade" not in server()


def test_it_leaves_a_snapshot_and_what_it_stands_on_stays() -> None:
    parts = made()
    assert parts["Database"]["DeletionPolicy"] == "Snapshot"
    assert parts["Database"]["UpdateReplacePolicy"] == "Snapshot"
    assert all(one["Metadata"][KEPT] for one in parts.values())
    assert parts["DatabaseSecret"]["DeletionPolicy"] == "RetainExceptOnCreate"
    # These go when no database stands on them, as after a change to another version of it.
    for name in ("DatabaseSubnetGroup", "DatabaseParameterGroup"):
        assert "DeletionPolicy" not in parts[name]


@pytest.mark.parametrize(
    ("spec", "protected"),
    [
        ({}, False),
        ({"environment": "production"}, True),
        ({"environment": "production", "security": {"deletion_protection": False}}, False),
        ({"security": {"deletion_protection": True}}, True),
    ],
)
def test_it_refuses_to_be_deleted_in_production(spec: dict[str, Any], protected: bool) -> None:
    assert server(spec)["DeletionProtection"] is protected


# --- As the example for production says


def test_the_database_of_the_example_for_production() -> None:
    found = server(
        {"environment": "production"},
        type="postgresql",
        version="14",
        instance_class="db.r5.xlarge",
        ha=True,
        backup_retention="30d",
    )
    assert found["Engine"] == "postgres"
    assert found["EngineVersion"] == "14"
    assert found["DBInstanceClass"] == "db.r5.xlarge"
    assert found["MultiAZ"] is True
    assert found["BackupRetentionPeriod"] == 30


def test_what_is_usual() -> None:
    found = server()
    assert (found["Engine"], found["EngineVersion"]) == ("postgres", "17")
    assert found["DBInstanceClass"] == "db.t4g.medium"
    assert server({"environment": "production"})["DBInstanceClass"] == "db.m7g.large"
    assert (found["AllocatedStorage"], found["MaxAllocatedStorage"]) == ("20", 40)
    assert found["StorageType"] == "gp3"
    assert found["MultiAZ"] is False
    assert server({"ha": True})["MultiAZ"] is True
    assert found["BackupRetentionPeriod"] == 7
    assert server({"backup": {"enabled": True}})["BackupRetentionPeriod"] == 30


@pytest.mark.parametrize(
    ("size", "gib", "most"),
    [
        ("100Gi", "100", 200),
        ("100G", "94", 188),
        ("50Ti", "51200", 65_536),
        ("64Ti", "65536", None),
    ],
)
def test_the_disk_is_as_large_as_said_and_grows_to_twice_that(
    size: str, gib: str, most: int | None
) -> None:
    found = server(size=size)
    assert found["AllocatedStorage"] == gib
    assert found.get("MaxAllocatedStorage") == most


def test_a_disk_below_the_least_is_told() -> None:
    assert server(size="5Gi")["AllocatedStorage"] == "20"
    assert reduced({"database": {"size": "5Gi"}}) == {"spec.database.size": "20Gi"}
    assert reduced({"database": {"size": "20Gi"}}) == {}


# --- The password


def test_the_password_is_generated_and_nowhere_written_down() -> None:
    parts = made(username="owner")
    generated = parts["DatabaseSecret"]["Properties"]["GenerateSecretString"]
    assert generated == {
        "PasswordLength": 40,
        "ExcludePunctuation": True,
        "SecretStringTemplate": '{"username": "owner"}',
        "GenerateStringKey": "password",
    }
    assert parts["Database"]["Properties"]["MasterUserPassword"] == {
        "Fn::Sub": "{{resolve:secretsmanager:${DatabaseSecret}:SecretString:password}}"
    }
    attachment = parts["DatabaseSecretAttachment"]["Properties"]
    assert attachment["TargetId"] == {"Ref": "Database"}


def url(**said: Any) -> str:
    found: str = environment(wanted_of({"database": said}))["TABULAR_DATABASE_URL"]["Fn::Sub"]
    return found


def test_rds_changes_the_password_where_that_is_asked() -> None:
    parts = made(password_rotation="30d")
    found = parts["Database"]["Properties"]
    assert found["ManageMasterUserPassword"] is True
    assert found["MasterUserSecret"] == {"KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}
    assert "MasterUserPassword" not in found
    assert "DatabaseSecret" not in parts
    secret = ["Database", "MasterUserSecret.SecretArn"]
    assert parts["DatabaseSecretRotation"]["Properties"] == {
        "SecretId": {"Fn::GetAtt": secret},
        "RotationRules": {"AutomaticallyAfterDays": 30},
        "RotateImmediatelyOnUpdate": False,
    }
    assert f"{{aws-sm:${{{'.'.join(secret)}}}#password}}@" in url(password_rotation="30d")


def test_a_password_of_ones_own_is_referred_to() -> None:
    said = {"password": {"secretRef": "aws-sm:db/owner#pw"}}
    parts = made(**said)
    assert "DatabaseSecret" not in parts
    assert (
        parts["Database"]["Properties"]["MasterUserPassword"]
        == "{{resolve:secretsmanager:db/owner:SecretString:pw}}"
    )
    assert "{aws-sm:db/owner#pw}@" in url(**said)


def test_a_password_that_is_written_out_or_kept_elsewhere_is_refused() -> None:
    for given in ("hunter2-hunter2", {"secretRef": "env:DB_PASSWORD"}):
        told = refused(UnsupportedError, "spec.database.password", password=given)
        assert "hunter2" not in told


def test_no_template_has_a_password_in_it() -> None:
    for said in ({}, {"password_rotation": "30d"}, {"password": {"secretRef": "aws-sm:db"}}):
        for name, value in server(**said).items():
            if "Password" in name and value is not True:
                assert "{{resolve:secretsmanager:" in json.dumps(value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UsageError, {"password": {"secretRef": "aws-sm:db"}}),
        (UnsupportedError, {"read_replicas": 1}),
        (UnsupportedError, {"password_rotation": "12h"}),
        (UnsupportedError, {"password_rotation": "1001d"}),
    ],
)
def test_a_change_of_passwords_that_rds_does_not_do_is_refused(
    error: type[TabularError], said: dict[str, Any]
) -> None:
    refused(error, "spec.database.password_rotation", **{"password_rotation": "30d", **said})


# --- Copies to read from


def test_copies_take_over_from_their_source_and_hold_nothing_of_their_own() -> None:
    parts = made(read_replicas=2)
    for name in ("DatabaseReplica1", "DatabaseReplica2"):
        copy = parts[name]
        assert copy["DeletionPolicy"] == "Delete"
        assert copy["Properties"]["SourceDBInstanceIdentifier"] == {"Ref": "Database"}
        assert copy["Properties"]["PubliclyAccessible"] is False
        # RDS refuses to be told again what a copy has from its source.
        assert not copy["Properties"].keys() & {
            "Engine", "EngineVersion", "StorageEncrypted", "KmsKeyId", "MasterUsername",
            "DBName", "DBSubnetGroupName", "BackupRetentionPeriod",
        }  # fmt: skip
    outputs = database.outputs(wanted_of({"database": {"read_replicas": 1}}))
    assert outputs.keys() == {"database", "databaseReplica1"}


# --- Bad input


@pytest.mark.parametrize(
    ("error", "field", "said"),
    [
        (UsageError, "version", {"version": "fourteen"}),
        (UsageError, "version", {"type": "mysql", "version": "84"}),
        (UsageError, "version", {"version": "8.4"}),
        (UsageError, "instance_class", {"instance_class": "r5.xlarge"}),
        (UsageError, "instance_class", {"instance_class": "cache.t4g.small"}),
        (UnsupportedError, "size", {"size": "65Ti"}),
        (UnsupportedError, "backup_retention", {"backup_retention": "36d"}),
        (UnsupportedError, "username", {"username": "admin"}),
        (UnsupportedError, "username", {"username": "rdsadmin"}),
        (UnsupportedError, "username", {"username": "pg_owner"}),
        (UnsupportedError, "username", {"username": "data-owner"}),
        (UnsupportedError, "username", {"type": "mysql", "username": "a" * 17}),
        (UnsupportedError, "name", {"name": "select"}),
        (UnsupportedError, "name", {"name": "1st"}),
        (UnsupportedError, "name", {"name": "a" * 64}),
    ],
)
def test_what_rds_does_not_take_is_refused(
    error: type[TabularError], field: str, said: dict[str, Any]
) -> None:
    refused(error, f"spec.database.{field}", **said)


@pytest.mark.parametrize(
    "said",
    [
        {"username": "postgres"},
        {"type": "mysql", "username": "admin"},
        {"name": "a" * 63},
        {"instance_class": "db.r6i.4xlarge"},
        {"backup_retention": "35d"},
    ],
)
def test_what_rds_takes_is_taken(said: dict[str, Any]) -> None:
    assert server(**said)["MasterUsername"] == said.get("username", "tabular")


# --- What is said of a database that is not made


def test_of_an_external_database_nothing_is_made_and_what_is_said_is_told() -> None:
    spec = {
        "database": {
            "type": "external",
            "url": {"secretRef": "aws-sm:db"},
            "size": "100Gi",
            "ha": True,
        }
    }
    assert database.resources(wanted_of(spec)) == {}
    given = "what the database at spec.database.url has"
    assert reduced(spec) == {"spec.database.ha": given, "spec.database.size": given}


@pytest.mark.parametrize("kind", ["lambda", "batch"])
def test_where_no_api_is_served_there_is_none_and_that_is_told(kind: str) -> None:
    spec = {"compute": {"type": kind}, "database": {"type": "postgresql", "version": "14"}}
    assert database.resources(wanted_of(spec)) == {}
    assert reduced(spec) == {
        "spec.database.type": "no database",
        "spec.database.version": "no database",
    }


def test_logs_of_the_database_go_to_cloudwatch_without_an_end_and_that_is_told() -> None:
    spec = {"monitoring": {"enabled": True, "log_retention": "90d"}}
    assert server(spec)["EnableCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    assert "EnableCloudwatchLogsExports" not in server()
    assert "spec.monitoring.log_retention" in reduced(spec)

"""Key, secrets and roles: who may do what, statement by statement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import security
from tabular.deploy.aws.infrastructure.compute import container
from tabular.deploy.aws.words.document import KEPT
from tabular.errors import UnsupportedError, UsageError
from tests.deploy.aws.made import stack_of, wanted_of

KINDS = ("ecs-fargate", "ec2", "lambda", "batch")
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0f1e2d3c-0000-4000-8000-000000000000"
BOUNDARY = "arn:aws:iam::111122223333:policy/edge"
FULL = {
    "ha": True,
    "monitoring": {"enabled": True, "tracing": True},
    "policy": {"monthly_budget": 100},
    "backup": {"enabled": True},
}


def made(**spec: Any) -> dict[str, Any]:
    return security.resources(wanted_of(spec))


def kind(name: str, **spec: Any) -> dict[str, Any]:
    return {"compute": {"type": name}, **spec}


def statements(role: Any) -> list[dict[str, Any]]:
    return [
        one
        for policy in role["Properties"].get("Policies", [])
        for one in policy["PolicyDocument"]["Statement"]
    ]


def rights(role: Any) -> dict[str, list[str]]:
    """Actions by what they are on, as text."""
    found: dict[str, list[str]] = {}
    for one in statements(role):
        resources = one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]]
        for resource in resources:
            found.setdefault(text_of(resource), []).extend(one["Action"])
    return found


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    ((kind_, inner),) = value.items()
    return ".".join(inner) if kind_ == "Fn::GetAtt" else str(inner)


# --- The key


def test_the_key_rotates_and_a_deletion_can_be_taken_back_for_longer_in_production() -> None:
    key = made(environment="production")["Key"]
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["Properties"]["PendingWindowInDays"] == 30
    assert key["DeletionPolicy"] == "RetainExceptOnCreate"
    assert made()["Key"]["Properties"]["PendingWindowInDays"] == 7


def key_policy(**spec: Any) -> dict[str, dict[str, Any]]:
    document = made(**spec)["Key"]["Properties"]["KeyPolicy"]
    return {one["Sid"]: one for one in document["Statement"]}


def test_without_alarms_only_the_account_and_the_logs_use_the_key() -> None:
    assert key_policy().keys() == {"Account", "Logs"}


def test_every_other_grant_of_the_key_says_for_which_account_or_for_what() -> None:
    found = key_policy(**kind("ec2", **FULL))
    assert found.keys() == {"Account", "Logs", "Alarms", "Disks", "DiskGrants"}
    assert found["Account"]["Principal"] == {
        "AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    }
    own = {"Ref": "AWS::AccountId"}
    assert found["Logs"]["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": {
            "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"
        }
    }
    assert found["Alarms"]["Principal"]["Service"] == [
        "budgets.amazonaws.com",
        "cloudwatch.amazonaws.com",
    ]
    assert found["Alarms"]["Condition"] == {"StringEquals": {"aws:SourceAccount": own}}
    for sid in ("Disks", "DiskGrants"):
        condition = found[sid]["Condition"]["StringEquals"]
        assert condition["kms:CallerAccount"] == own
        assert condition["aws:PrincipalArn"]["Fn::Sub"].endswith("/AWSServiceRoleForAutoScaling")
    assert found["DiskGrants"]["Action"] == ["kms:CreateGrant"]
    assert found["DiskGrants"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    others = (found[sid]["Action"] for sid in ("Logs", "Alarms", "Disks"))
    assert not any("kms:CreateGrant" in actions for actions in others)


def test_batch_lets_eventbridge_speak_to_the_topic_of_alarms() -> None:
    speaking = key_policy(**kind("batch", monitoring={"enabled": True}))["Events"]
    assert speaking["Principal"] == {"Service": "events.amazonaws.com"}
    assert speaking["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_a_key_of_ones_own_is_used_and_none_is_made() -> None:
    stack = stack_of({"security": {"kms_key": KEY}, **FULL})
    assert "Key" not in stack.template["Resources"]
    assert KEY in json.dumps(stack.template["Resources"]["Bucket"])
    assert '["Key", "Arn"]' not in json.dumps(stack.template["Resources"])
    assert '["Key", "Arn"]' in json.dumps(stack_of(FULL).template["Resources"])


@pytest.mark.parametrize(
    "named", ["alias/tabular", "0f1e2d3c-0000-4000-8000-000000000000", "arn:aws:kms:x:1:alias/a"]
)
def test_a_key_that_is_not_named_by_its_arn_is_refused(named: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(security={"kms_key": named})
    assert caught.value.where == "spec.security.kms_key"
    assert f"describe-key --key-id {named}" in (caught.value.hint or "")


def test_a_key_of_another_region_is_refused() -> None:
    with pytest.raises(UsageError, match="eu-central-1"):
        made(security={"kms_key": KEY.replace("eu-west-1", "eu-central-1")})


# --- Secrets


def test_generated_secrets_need_no_escape_anywhere_and_are_encrypted_with_the_key() -> None:
    found = made()
    for name, length in (("SecretKey", 64), ("AdminKey", 48)):
        properties = found[name]["Properties"]
        assert properties["GenerateSecretString"] == {
            "PasswordLength": length,
            "ExcludePunctuation": True,
        }
        assert properties["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
    assert found["SecretKey"]["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.mark.parametrize("name", ["lambda", "batch"])
def test_where_no_api_is_served_there_is_no_administrators_key(name: str) -> None:
    assert "AdminKey" not in made(**kind(name))


# --- Roles


OBJECTS = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
ENCRYPTING = ["kms:Decrypt", "kms:GenerateDataKey", "kms:Decrypt"]
READ = ["secretsmanager:GetSecretValue"]


def test_the_api_announces_jobs_and_takes_none() -> None:
    assert rights(made()["ApiRole"]) == {
        "${Bucket.Arn}/tabular/*": OBJECTS,
        "${Bucket.Arn}": ["s3:ListBucket"],
        "Queue.Arn": ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"],
        "SecretKey": READ,
        "AdminKey": READ,
        "DatabaseSecret": READ,
        "Key.Arn": ENCRYPTING,
    }


def test_a_worker_takes_jobs_and_reads_no_administrators_key() -> None:
    assert rights(made()["WorkerRole"]) == {
        "${Bucket.Arn}/tabular/*": OBJECTS,
        "${Bucket.Arn}": ["s3:ListBucket"],
        "Queue.Arn": [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
        "SecretKey": READ,
        "DatabaseSecret": READ,
        "Key.Arn": ENCRYPTING,
    }


def test_what_starts_a_task_reads_neither_objects_nor_secrets() -> None:
    assert rights(made()["ExecutionRole"]) == {
        "*": ["ecr:GetAuthorizationToken"],
        "arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/inferloop-tabular": [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        ],
        "ApiLogGroup.Arn": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "WorkerLogGroup.Arn": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }


@pytest.mark.parametrize(("name", "role"), [("lambda", "FunctionRole"), ("batch", "JobRole")])
def test_a_job_has_objects_its_key_and_no_queue(name: str, role: str) -> None:
    found = rights(made(**kind(name))[role])
    assert found.pop("FunctionLogGroup.Arn", None) in (
        None,
        ["logs:CreateLogStream", "logs:PutLogEvents"],
    )
    assert found == {
        "${Bucket.Arn}/tabular/*": OBJECTS,
        "${Bucket.Arn}": ["s3:ListBucket"],
        "SecretKey": READ,
        "Key.Arn": ENCRYPTING,
    }


def test_the_key_is_used_through_services_only_and_secrets_are_only_decrypted() -> None:
    for one in statements(made()["ApiRole"]):
        if not one["Action"][0].startswith("kms:"):
            continue
        through = one["Condition"]["StringEquals"]["kms:ViaService"]
        names = [text_of(service).partition(".")[0] for service in through]
        expected = {("kms:Decrypt",): ["secretsmanager"]}.get(tuple(one["Action"]), ["s3", "sqs"])
        assert names == expected


def test_instances_tell_their_own_groups_and_one_namespace() -> None:
    role = made(**kind("ec2", monitoring={"enabled": True}))["InstanceRole"]
    found = {action: one for one in statements(role) for action in one["Action"]}
    completing = found["autoscaling:CompleteLifecycleAction"]
    assert text_of(completing["Resource"]).endswith("autoScalingGroupName/${AWS::StackName}-*")
    assert found["cloudwatch:PutMetricData"]["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "CWAgent"}
    }
    unmeasured = made(**kind("ec2"))["InstanceRole"]
    assert "cloudwatch:PutMetricData" not in json.dumps(statements(unmeasured))


# Calls that know no resource, with the reason; see the user guide "Service Authorization".
RESOURCELESS = {
    "ecr:GetAuthorizationToken",
    "autoscaling:DescribeAutoScalingInstances",
    "cloudwatch:PutMetricData",
    "xray:GetSamplingRules",
    "xray:GetSamplingStatisticSummaries",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


@pytest.mark.parametrize("name", KINDS)
def test_no_role_has_a_wildcard_but_for_calls_that_know_no_resource(name: str) -> None:
    for role in roles(made(**kind(name, **FULL))):
        for one in statements(role):
            assert not any("*" in action for action in one["Action"])
            if one["Resource"] == "*":
                assert set(one["Action"]) <= RESOURCELESS


def roles(parts: dict[str, Any]) -> Iterator[Any]:
    yield from (one for one in parts.values() if one["Type"] == "AWS::IAM::Role")


@pytest.mark.parametrize("name", KINDS)
def test_the_boundary_is_on_every_role_of_the_whole_template(name: str) -> None:
    replica = {
        "replica_bucket": "arn:aws:s3:::copy-of-it",
        "replica_key": KEY.replace("eu-west-1", "us-east-1"),
    }
    spec = kind(
        name,
        **FULL,
        security={"permissions_boundary": BOUNDARY},
        storage={"cross_region": True},
        overrides={"aws": replica},
    )
    found = list(roles(dict(stack_of(spec).template["Resources"])))
    assert len(found) >= 3
    assert {one["Properties"].get("PermissionsBoundary") for one in found} == {BOUNDARY}


def test_a_boundary_that_is_no_policy_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        made(security={"permissions_boundary": "arn:aws:iam::1:role/x"})
    assert caught.value.where == "spec.security.permissions_boundary"


def test_nobody_but_tasks_of_this_account_takes_on_a_role_of_a_task() -> None:
    for name in ("ExecutionRole", "ApiRole", "WorkerRole"):
        (trust,) = made()[name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }


@pytest.mark.parametrize(
    ("repository", "resource"),
    [
        (
            "999988887777.dkr.ecr.us-east-1.amazonaws.com/team/tabular",
            "arn:${AWS::Partition}:ecr:us-east-1:999988887777:repository/team/tabular",
        ),
        ("registry.example.com/tabular", None),
    ],
)
def test_only_the_repository_of_the_image_is_pulled_from(
    repository: str, resource: str | None
) -> None:
    found = rights(made(image={"repository": repository, "tag": "1.0"})["ExecutionRole"])
    pulled = {key for key in found if ":ecr:" in key}
    assert pulled == ({resource} if resource else set())
    assert ("*" in found) == (resource is not None)


# --- What settings refer to, and what roles may read


SPECS: dict[str, dict[str, Any]] = {
    "usual": {},
    "cache": {"cache": {"type": "valkey"}},
    "rotated": {"database": {"password_rotation": "30d"}},
    "own-password": {"database": {"password": {"secretRef": "aws-sm:db/owner#pw"}}},
    "external": {"database": {"type": "external", "url": {"secretRef": "aws-sm:db/url"}}},
}


@pytest.mark.parametrize("program", ["api", "worker"])
@pytest.mark.parametrize("label", SPECS)
def test_a_program_may_read_exactly_the_secrets_that_its_settings_name(
    label: str, program: str
) -> None:
    wanted = wanted_of(SPECS[label])
    settings = json.dumps(container.settings(wanted, program))
    role = security.resources(wanted)[f"{program.capitalize()}Role"]
    readable = {
        resource
        for one in statements(role)
        if one["Action"] == READ
        for resource in map(text_of, one["Resource"])
    }
    named = {
        name.split("}")[0].removeprefix("${").partition("#")[0]
        for name in settings.split("aws-sm:")[1:]
    }
    named = {name.partition('"')[0] for name in named}
    assert {name.partition(":secret:")[2].removesuffix("-??????") or name for name in readable} == (
        named
    )


def test_a_secret_of_ones_own_is_meant_alone_and_decrypted_for_it_alone() -> None:
    role = made(**SPECS["external"])["ApiRole"]
    (decrypting,) = (one for one in statements(role) if "key/*" in json.dumps(one["Resource"]))
    assert decrypting["Action"] == ["kms:Decrypt"]
    arns = decrypting["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]
    assert [text_of(one) for one in arns] == [
        "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:db/url-??????"
    ]


@pytest.mark.parametrize("reference", ["env:DATABASE_URL", "file:/run/secrets/db"])
def test_a_secret_that_is_kept_elsewhere_is_refused(reference: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        made(database={"type": "external", "url": {"secretRef": reference}})
    assert caught.value.where == "spec.database.url"


def test_certificates_of_ones_own_belong_into_the_image() -> None:
    with pytest.raises(UnsupportedError, match="image"):
        stack_of({"security": {"ca_bundle": "certs/ca.pem"}})


# --- As a whole


@pytest.mark.parametrize("name", KINDS)
def test_nothing_has_a_name_of_its_own(name: str) -> None:
    for one in made(**kind(name, **FULL)).values():
        assert not one["Properties"].keys() & {"RoleName", "Name", "InstanceProfileName"}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_kept_is_the_key_and_what_data_is_sealed_with(name: str) -> None:
    parts = made(**kind(name))
    assert {key for key, one in parts.items() if one.get("Metadata", {}).get(KEPT)} == {
        "Key",
        "SecretKey",
    }

"""Security: the key, secrets and roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.export.terraform.place import Piece, Place, settled
from tabular.deploy.aws.export.terraform.references import named_in
from tabular.deploy.aws.export.terraform.rules import (
    Kind,
    Rules,
    attribute,
    block,
    body,
    json,
    only,
    single,
    tags,
    unsaid,
)
from tabular.deploy.export.hcl import Attribute, Call, Expression, Text, identifier

_BETWEEN = (
    "AWS::ECS::TaskDefinition",
    "AWS::EC2::LaunchTemplate",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Role",
)
# What Terraform makes a password with: no value of it is kept in a plan or a state.
_PASSWORD: Rules = {
    "PasswordLength": "password_length",
    "ExcludePunctuation": "exclude_punctuation",
    "ExcludeCharacters": "exclude_characters",
    "ExcludeLowercase": "exclude_lowercase",
    "ExcludeNumbers": "exclude_numbers",
    "ExcludeUppercase": "exclude_uppercase",
    "IncludeSpace": "include_space",
    "RequireEachIncludedType": "require_each_included_type",
    "SecretStringTemplate": unsaid,
    "GenerateStringKey": unsaid,
}


def _generated(place: Place, value: Any) -> Iterator[Piece]:
    """The first value of a secret; that of a secret that runs is nobody's business."""
    if place.adopted:
        return
    made = settled(body(_PASSWORD, value, place))
    yield Piece("ephemeral.aws_secretsmanager_random_password", place.label, made)
    password = f"ephemeral.aws_secretsmanager_random_password.{place.label}.random_password"
    text: Any = Expression(password)
    if "GenerateStringKey" in value:
        key = place.text_of(value, "GenerateStringKey")
        template = place.text_of(value, "SecretStringTemplate")
        given = place.entries(place.references.document(template, place.where))
        text = Call("jsonencode", ({**given, key: text},))
    yield Piece(
        "aws_secretsmanager_secret_version",
        place.label,
        (
            Attribute("secret_id", place.itself("id")),
            Attribute("secret_string_wo", text),
            Attribute("secret_string_wo_version", 1),
        ),
    )


def _policies(place: Place, value: Any) -> Iterator[Piece]:
    for number, (name, rights_) in enumerate(place.named(value, "PolicyName", "PolicyDocument")):
        label = _policy_label(place.id, name, number)
        items = [Attribute("name", name), *json("policy")(place.within(str(number)), rights_)]
        role = Attribute("role", place.itself("name"))
        running = f"{place.adopted}:{name}"
        yield Piece("aws_iam_role_policy", label, settled([role, *items]), running)


def _policy_label(role: str, name: str, number: int) -> str:
    """The first one is called as its role is."""
    return identifier(f"{role}{name.capitalize()}" if number else role)


def _managed_label(role: str, arn: Any) -> str:
    said = arn["Fn::Sub"] if isinstance(arn, Mapping) else arn
    return f"{identifier(role)}_{identifier(said.rpartition('/')[2]).replace('-', '_')}"


def rights(name: str, resources: Mapping[str, Any]) -> Iterator[str]:
    """Addresses of what gives their rights to the roles that something runs with.

    In a template they are part of the role. Here they are not, and a program that starts without
    them fails.
    """
    for found in sorted(_behind(name, resources)):
        properties = resources[found]["Properties"]
        if resources[found]["Type"] == "AWS::IAM::Role":
            for number, one in enumerate(properties.get("Policies", ())):
                label = _policy_label(found, one["PolicyName"], number)
                yield f"aws_iam_role_policy.{label}"
            for arn in properties.get("ManagedPolicyArns", ()):
                yield f"aws_iam_role_policy_attachment.{_managed_label(found, arn)}"


def _behind(name: str, resources: Mapping[str, Any]) -> set[str]:
    """What it runs by: its task or launch template, and their roles."""
    found = {
        one
        for one in named_in(resources[name]["Properties"])
        if one in resources and resources[one]["Type"] in _BETWEEN
    }
    return found.union(*(_behind(one, resources) for one in found))


def _managed(place: Place, value: Any) -> Iterator[Piece]:
    """One for each policy, named after it."""
    for number, one in enumerate(place.listed(value)):
        arn = place.within(str(number)).value(one)
        if not isinstance(arn, str | Text):
            place.refuse("a policy without a name")
        label = _managed_label(place.id, one)
        items = (Attribute("role", place.itself("name")), Attribute("policy_arn", arn))
        known = arn.pieces if isinstance(arn, Text) else (arn,)
        running = Text((f"{place.adopted}/", *known))
        yield Piece("aws_iam_role_policy_attachment", label, items, running)


def _own_policy(place: Place) -> str:
    (role,) = place.properties["Roles"]
    return f"{place.running(role)}:{place.properties['PolicyName']}"


KINDS: Mapping[str, Kind] = {
    "AWS::KMS::Key": Kind(
        "aws_kms_key",
        {
            "Description": "description",
            "EnableKeyRotation": "enable_key_rotation",
            "PendingWindowInDays": "deletion_window_in_days",
            "MultiRegion": "multi_region",
            "KeyPolicy": json("policy"),
            "Tags": tags,
        },
        ref="key_id",
        attributes={"Arn": "arn", "KeyId": "key_id"},
    ),
    "AWS::SecretsManager::Secret": Kind(
        "aws_secretsmanager_secret",
        {
            "Description": "description",
            "KmsKeyId": "kms_key_id",
            "GenerateSecretString": unsaid,
            "Tags": tags,
        },
        beside={"GenerateSecretString": _generated},
        ref="arn",
    ),
    # It writes the address of the database into its secret, which nothing here reads.
    "AWS::SecretsManager::SecretTargetAttachment": Kind(
        "", {"SecretId": unsaid, "TargetId": unsaid, "TargetType": only("AWS::RDS::DBInstance")}
    ),
    "AWS::SecretsManager::RotationSchedule": Kind(
        "aws_secretsmanager_secret_rotation",
        {
            "SecretId": "secret_id",
            "RotateImmediatelyOnUpdate": "rotate_immediately",
            "RotationRules": block(
                "rotation_rules",
                {
                    "AutomaticallyAfterDays": "automatically_after_days",
                    "Duration": "duration",
                    "ScheduleExpression": "schedule_expression",
                },
            ),
        },
    ),
    "AWS::IAM::Role": Kind(
        "aws_iam_role",
        {
            "Description": "description",
            "AssumeRolePolicyDocument": json("assume_role_policy"),
            "PermissionsBoundary": "permissions_boundary",
            "MaxSessionDuration": "max_session_duration",
            "Policies": unsaid,
            "ManagedPolicyArns": unsaid,
            "Tags": tags,
        },
        beside={"Policies": _policies, "ManagedPolicyArns": _managed},
        ref="name",
        attributes={"Arn": "arn"},
    ),
    "AWS::IAM::Policy": Kind(
        "aws_iam_role_policy",
        {
            "PolicyName": "name",
            "Roles": single(attribute("role")),
            "PolicyDocument": json("policy"),
        },
        running=_own_policy,
    ),
    "AWS::IAM::InstanceProfile": Kind(
        "aws_iam_instance_profile",
        {"Roles": single(attribute("role"))},
        ref="name",
        attributes={"Arn": "arn"},
    ),
}

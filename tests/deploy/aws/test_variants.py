"""What a destroy leaves of a template, and what may then be deleted: templates that hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from tabular.deploy.aws.applying.variants import deletable, kept, referred
from tabular.deploy.aws.words.names import METADATA
from tabular.deploy.stack import canonical_json
from tabular.errors import TabularError
from tests.deploy.aws import linted, matrix, rules, strategies
from tests.deploy.aws.made import stack_of

VARIANTS = {"kept": kept, "deletable": deletable}
# Data, what encrypts it, who may read it, and where it stands: nothing of this is made anew.
DATA = {
    "AWS::Backup::BackupVault", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::RDS::DBInstance",
    "AWS::RDS::DBParameterGroup", "AWS::RDS::DBSubnetGroup", "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy", "AWS::SecretsManager::RotationSchedule",
    "AWS::SecretsManager::Secret", "AWS::SecretsManager::SecretTargetAttachment",
    "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::IAM::Policy",
}  # fmt: skip


def require_closed(template: Mapping[str, Any]) -> None:
    """Whatever is referred to is there."""
    there = {*template["Resources"], *template["Parameters"]}
    for name, resource in template["Resources"].items():
        assert set(referred(resource)) <= there, name
    for name, output in template["Outputs"].items():
        assert set(referred(output)) <= there, name


@pytest.mark.parametrize("name", matrix.SPECS)
def test_what_is_kept_refers_only_to_itself(name: str) -> None:
    left = kept(matrix.stack(name).template)
    require_closed(left)
    assert left["Resources"], "CloudFormation takes no empty template"
    assert {one["Type"] for one in left["Resources"].values()} <= DATA
    assert left["Metadata"][METADATA]["retained"] is True
    # Whoever deletes the stack past us still loses nothing.
    assert list(rules.kept_data(left)) == []


@pytest.mark.parametrize("name", matrix.SPECS)
def test_what_is_kept_is_as_it_was(name: str) -> None:
    """A destroy changes none of the data stores."""
    whole = matrix.stack(name).template["Resources"]
    for id_, resource in kept(matrix.stack(name).template)["Resources"].items():
        assert resource == whole[id_]


@pytest.mark.parametrize("name", matrix.SPECS)
def test_every_store_of_data_is_kept(name: str) -> None:
    whole = matrix.stack(name).template["Resources"]
    stores = {
        id_
        for id_, one in whole.items()
        if one["Type"] in rules.DATA and "SourceDBInstanceIdentifier" not in one["Properties"]
    }
    assert stores <= kept(matrix.stack(name).template)["Resources"].keys()


@pytest.mark.parametrize("name", matrix.SPECS)
def test_nothing_guards_what_may_be_deleted(name: str) -> None:
    left = deletable(matrix.stack(name).template)
    require_closed(left)
    assert left["Resources"]
    for id_, resource in left["Resources"].items():
        # RDS lets nobody take away the rotation of its own secrets; they go with the database.
        wanted = "Retain" if resource["Type"].endswith("::RotationSchedule") else "Delete"
        assert resource.get("DeletionPolicy", "Delete") == wanted, id_
        assert resource.get("UpdateReplacePolicy", "Delete") == wanted, id_
        assert resource["Properties"].get("DeletionProtection") in (None, False), id_


def test_a_guard_in_an_override_is_taken_off_too() -> None:
    """`deletion_protection` may come from the spec, from production, or from an override."""
    spec = {"overrides": {"aws": {"Database": {"DeletionProtection": True}}}}
    whole = stack_of(spec).template
    assert whole["Resources"]["Database"]["Properties"]["DeletionProtection"] is True
    left = deletable(whole)["Resources"]["Database"]["Properties"]
    assert left["DeletionProtection"] is False


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", matrix.SPECS)
@pytest.mark.slow
def test_the_linter_finds_nothing(name: str, variant: str) -> None:
    template = VARIANTS[variant](matrix.stack(name).template)
    region = matrix.stack(name).target.region
    found = linted.found(canonical_json(template).decode(), region)
    # Nothing of it names the release, which the stack has to keep: a parameter that a template
    # leaves out loses its value.
    assert found == ["W2001 Parameter Release not used. at Parameters.Release"]


@given(strategies.specs())
@settings(max_examples=60, deadline=None)
def test_what_is_kept_of_any_spec_refers_only_to_itself(spec: dict[str, Any]) -> None:
    try:
        template = stack_of(spec).template
    except TabularError:
        return
    for variant in VARIANTS.values():
        require_closed(variant(template))


def test_references_are_found_wherever_they_stand() -> None:
    value = {
        "a": [{"Ref": "One"}, {"Fn::GetAtt": ["Two", "Arn"]}, {"Fn::GetAtt": "Three.Arn"}],
        "b": {"Fn::Sub": "${Four}-${Five.Arn}-${!Literal}-${AWS::Region}"},
        "c": {"Fn::Sub": ["${own}-${Six}", {"own": {"Ref": "Seven"}}]},
        "DependsOn": ["Eight"],
        "d": {"DependsOn": "Nine", "e": {"Ref": "AWS::StackId"}},
    }
    assert sorted(referred(json.loads(json.dumps(value)))) == sorted(
        ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"]
    )

"""Tags: on everything that takes them, in the form that its type has, and only what AWS takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tabular.deploy.aws.compile import compile_stack
from tabular.deploy.aws.words.tags import KNOWN, MOST_LABELS
from tabular.deploy.spec import Deployment
from tabular.errors import UsageError
from tests.deploy.aws import matrix, schemas, strategies
from tests.deploy.aws.made import REGION

OWN = {"inferloop:deployment": "demo", "inferloop:environment": "development"}


def labelled(labels: dict[str, str], **spec: Any) -> Deployment:
    return Deployment.from_canonical(
        {"metadata": {"name": "demo", "labels": labels}, "spec": {"provider": "aws", **spec}}
    )


def tags_of(properties: dict[str, Any], key: str) -> dict[str, str]:
    """The tags of a resource, whichever form its type has."""
    found = properties.get(key, {})
    if isinstance(found, dict):
        return found
    assert len({one["Key"] for one in found}) == len(found), "a tag twice"
    return {one["Key"]: one["Value"] for one in found}


def test_every_type_that_is_known_is_made_by_some_spec() -> None:
    made = {
        resource["Type"]
        for one in matrix.templates().values()
        for resource in one["Resources"].values()
    }
    assert made == KNOWN


@pytest.mark.parametrize("name", matrix.SPECS)
def test_whatever_takes_tags_carries_them(name: str) -> None:
    template = matrix.stack(name).template
    own = {**OWN, "inferloop:environment": matrix.SPECS[name].get("environment", "development")}
    for id_, resource in template["Resources"].items():
        key = schemas.tag_property(resource["Type"])
        if key is not None:
            found = tags_of(resource["Properties"], key)
            assert own.items() <= found.items(), id_


def test_labels_are_tags_and_no_label_hides_whose_it_is() -> None:
    stack = compile_stack(labelled({"team": "data", "name": "x"}), REGION)
    database = stack.template["Resources"]["Database"]["Properties"]["Tags"]
    assert database == [
        {"Key": "inferloop:deployment", "Value": "demo"},
        {"Key": "inferloop:environment", "Value": "development"},
        {"Key": "name", "Value": "x"},
        {"Key": "team", "Value": "data"},
    ]
    assert stack.tags == {**OWN, "name": "x", "team": "data"}


def test_instances_get_the_tags_of_their_group() -> None:
    group = matrix.stack("ec2").template["Resources"]["ApiGroup"]["Properties"]
    assert {one["Key"]: one["PropagateAtLaunch"] for one in group["Tags"]} == {
        "Name": True,
        "inferloop:deployment": True,
        "inferloop:environment": True,
    }
    template = matrix.stack("ec2").template["Resources"]["ApiLaunchTemplate"]["Properties"]
    (volumes,) = template["LaunchTemplateData"]["TagSpecifications"]
    assert volumes["ResourceType"] == "volume"
    assert {one["Key"] for one in volumes["Tags"]} == {"Name", *OWN}


@pytest.mark.parametrize("value", ["50% of it", "a,b", "price: 5€", "line\nbreak", "a*"])
def test_a_value_that_aws_takes_for_no_tag_is_refused(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_stack(labelled({"note": value}), REGION)
    assert caught.value.where == "metadata.labels.note"
    assert "annotations" in str(caught.value.hint)


def test_more_labels_than_aws_takes_are_refused() -> None:
    many = {f"label-{number}": "x" for number in range(MOST_LABELS + 1)}
    with pytest.raises(UsageError) as caught:
        compile_stack(labelled(many), REGION)
    assert caught.value.where == "metadata.labels"
    assert caught.value.hint
    many.popitem()
    tags = compile_stack(labelled(many), REGION).template["Resources"]["Bucket"]["Properties"]
    assert len(tags["Tags"]) == 50


@given(strategies.labels)
@settings(max_examples=60, deadline=None)
def test_any_labels_become_tags_or_are_refused(labels: dict[str, str]) -> None:
    try:
        stack = compile_stack(labelled(labels), REGION)
    except UsageError as error:
        assert str(error.where).startswith("metadata.labels")
        assert error.hint
        return
    for resource in stack.template["Resources"].values():
        key = schemas.tag_property(resource["Type"])
        if key is not None:
            assert labels.items() <= tags_of(resource["Properties"], key).items()

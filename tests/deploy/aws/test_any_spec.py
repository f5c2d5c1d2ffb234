"""Any spec comes to a template that AWS takes, or to a refusal that says where and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tabular.deploy.aws.account.stacks import stack_name
from tabular.deploy.capability import FieldsError
from tabular.deploy.spec import Deployment, canonical
from tabular.deploy.stack import Stack
from tabular.errors import InputError, RefusedError
from tests.deploy.aws import matrix, rules, schemas, strategies
from tests.deploy.aws.linted import found_in
from tests.deploy.aws.made import deployment_of, stack_of

# CloudFormation's quotas, in its user guide.
MOST_RESOURCES, MOST_OUTPUTS, MOST_BYTES = 500, 200, 1_000_000


def compiled(spec: dict[str, Any], name: str = "demo", region: str = "eu-west-1") -> Stack | None:
    """The stack; None for a spec that is refused as it should be."""
    try:
        return stack_of(spec, name, region)
    except (InputError, RefusedError) as error:
        assert error.hint, error
        if isinstance(error, FieldsError):
            assert error.fields
        else:
            assert str(error.where).startswith(("spec.", "metadata.")), error
        assert "\n" not in error.message
        return None


def require_within_quotas(stack: Stack) -> None:
    assert len(stack.template["Resources"]) <= MOST_RESOURCES
    assert len(stack.template["Outputs"]) <= MOST_OUTPUTS
    assert len(stack.to_bytes()) <= MOST_BYTES


@given(strategies.specs(), strategies.names)
@settings(max_examples=150, deadline=None)
def test_any_spec_keeps_the_rules_or_is_refused_with_a_place_and_a_hint(
    spec: dict[str, Any], name: str
) -> None:
    stack = compiled(spec, name)
    if stack is not None:
        assert rules.broken(stack.template) == []
        require_within_quotas(stack)
        assert len(stack_name(stack.target)) <= 128


@given(strategies.specs())
@settings(max_examples=60, deadline=None)
def test_the_same_spec_gives_the_same_bytes_from_wherever_it_is_read(spec: dict[str, Any]) -> None:
    stack = compiled(spec)
    if stack is not None:
        read_back = Deployment.from_canonical(
            json.loads(json.dumps(canonical(deployment_of(spec))))
        )
        turned = json.loads(json.dumps(spec, sort_keys=True), object_pairs_hook=_reversed)
        assert stack.to_bytes() == stack_of(turned).to_bytes()
        assert stack.spec == canonical(read_back)


def _reversed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


@given(strategies.specs())
@settings(max_examples=4, deadline=None)
def test_the_linter_of_aws_finds_nothing_in_any_spec(spec: dict[str, Any]) -> None:
    stack = compiled(spec)
    if stack is not None:
        assert found_in(stack) == []


@given(strategies.specs())
@settings(max_examples=20, deadline=None)
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_linter_of_aws_finds_nothing_in_many_specs(spec: dict[str, Any]) -> None:
    stack = compiled(spec)
    if stack is not None:
        assert found_in(stack) == []


@pytest.mark.parametrize("name", matrix.SPECS)
@pytest.mark.slow
def test_the_linter_of_aws_finds_nothing_in_the_matrix(name: str) -> None:
    assert found_in(matrix.stack(name)) == []


def test_the_linter_does_find_what_is_wrong() -> None:
    spec = {"compute": {"type": "lambda"}, "overrides": {"aws": {"Function": {"MemorySze": 512}}}}
    (found,) = found_in(stack_of(spec))
    assert "MemorySze" in found


@pytest.mark.parametrize("region", schemas.OPEN)
def test_every_type_is_there_in_every_region_or_is_refused(region: str) -> None:
    for name, spec in matrix.SPECS.items():
        elsewhere = json.loads(json.dumps(spec).replace("eu-west-1", region))
        stack = compiled(elsewhere, region=region)
        if stack is not None:
            missing = {one.type for one in stack.resources} - schemas.types(region).keys()
            assert missing == set(), name


def test_a_budget_is_refused_where_cloudformation_makes_none() -> None:
    asked = {"policy": {"monthly_budget": 100}}
    assert "Budget" in stack_of(asked, region="eu-west-1").template["Resources"]
    with pytest.raises(RefusedError) as caught:
        stack_of(asked, region="eu-north-1")
    assert caught.value.code == "refused.unsupported"
    assert caught.value.where == "spec.policy.monthly_budget"
    assert "eu-west-1" in str(caught.value.hint)

"""China and GovCloud: the same spec, in names that mean something there, and no price by guess."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from tabular.deploy.aws.permissions import handlers, policies
from tabular.deploy.aws.prices import AwsPrices
from tabular.deploy.cost import check_budget, estimate
from tabular.errors import BudgetError, UnsupportedError
from tests.deploy.aws import linted
from tests.deploy.aws.made import refusal, stack_of

PARTS = {"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}
EVERYTHING = {
    "ha": True,
    "monitoring": {"enabled": True},
    "backup": {"enabled": True},
    "networking": {"waf": True, "nat": "none"},
}
SPECS = {
    "fargate": EVERYTHING,
    "ec2": {**EVERYTHING, "compute": {"type": "ec2", "max_instances": 4}},
    "batch": {"compute": {"type": "batch"}},
    "lambda": {"compute": {"type": "lambda"}},
}


@pytest.mark.parametrize("region", PARTS)
@pytest.mark.parametrize("name", SPECS)
def test_a_template_names_nothing_of_the_public_part(region: str, name: str) -> None:
    text = stack_of(SPECS[name], region=region).to_bytes().decode()
    assert "arn:aws:" not in text
    # What is left of its names are principals, which are the same everywhere.
    hosts = set(re.findall(r"[A-Za-z0-9.{}$:-]*\.amazonaws\.com[a-z.]*", text))
    assert all(re.fullmatch(r"[a-z0-9-]+\.amazonaws\.com", host) for host in hosts), hosts


@pytest.mark.parametrize("region", PARTS)
def test_cfn_lint_finds_nothing_in_the_schemas_of_the_region(region: str) -> None:
    assert linted.found_in(stack_of(EVERYTHING, region=region)) == []


def test_interfaces_have_other_names_in_china_for_some_services() -> None:
    def names(region: str) -> dict[str, str]:
        template = stack_of(SPECS["ec2"], region=region).template
        return {
            id_: one["Properties"]["ServiceName"]["Fn::Sub"].replace("${AWS::Region}", region)
            for id_, one in template["Resources"].items()
            if one["Type"] == "AWS::EC2::VPCEndpoint"
        }

    china, government = names("cn-north-1"), names("us-gov-west-1")
    assert china["S3Endpoint"] == "com.amazonaws.cn-north-1.s3"
    assert china["EcrApiEndpoint"] == "cn.com.amazonaws.cn-north-1.ecr.api"
    assert china["SecretsManagerEndpoint"] == "com.amazonaws.cn-north-1.secretsmanager"
    assert china["StsEndpoint"] == "cn.com.amazonaws.cn-north-1.sts"
    assert all(name.startswith("com.amazonaws.us-gov-west-1.") for name in government.values())


@pytest.mark.parametrize("part", PARTS.values())
def test_a_deployers_rights_are_about_the_part_that_is_deployed_to(part: str) -> None:
    text = json.dumps(policies(handlers(), ["db/owner"], part))
    assert set(re.findall(r"arn:([a-z-]+):", text)) == {part}


@pytest.mark.parametrize(("region", "words"), [("cn-north-1", "in yuan"), ("us-gov-west-1", "Gov")])
def test_what_it_costs_there_is_not_known_and_a_limit_refuses_it(region: str, words: str) -> None:
    cost = estimate(stack_of({}, region=region), AwsPrices())
    assert cost.total == 0
    assert "NatGateway1" in cost.unpriced
    with pytest.raises(BudgetError) as caught:
        check_budget(cost, Decimal(5000))
    assert "NatGateway1" in str(caught.value)
    stack = stack_of({}, region=region)
    (gateway,) = [one for one in stack.resources if one.id == "NatGateway1"]
    assert words in str(AwsPrices().price(gateway, stack))


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"])
def test_parts_that_nothing_was_made_for_are_refused(region: str) -> None:
    said = refusal(UnsupportedError, "spec.region", lambda: stack_of({}, region=region))
    assert region in said

"""Everything that a template says stands in the configuration, or the export says what does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.aws.export import FORMATS
from tabular.deploy.aws.export.terraform import terraform
from tabular.deploy.aws.export.terraform.kinds import KINDS
from tabular.deploy.aws.words.tags import KNOWN
from tabular.deploy.stack import Stack
from tabular.errors import InputError, RefusedError, UnsupportedError
from tests.deploy.aws import matrix, strategies
from tests.deploy.aws.export.bed import changed
from tests.deploy.aws.made import stack_of

# Values that Terraform says in another way, or that mean what it does anyway.
OTHERWISE = frozenset(
    {
        *("internet-facing", "internal", "DISABLED", "ENABLED"),  # true and false
        *(
            "routing.http.drop_invalid_header_fields.enabled",
            "deregistration_delay.timeout_seconds",
        ),
        '{"username": "tabular"}',  # of which the password becomes a part
        "$LATEST",
        "PT15M",
        "SNS",
        "VPC",
        "AWS::RDS::DBInstance",  # of an attachment, which README names
    }
)


def text_of(stack: Stack) -> str:
    """All of a configuration."""
    return "\n".join(one.decode() for one in terraform(stack).values())


def said(value: Any) -> Iterator[str]:
    """Plain texts and numbers of a template's properties, without references."""
    match value:
        case Mapping():
            for key, inner in value.items():
                if not (key == "Ref" or key.startswith("Fn::")):
                    yield from said(inner)
        case list():
            for inner in value:
                yield from said(inner)
        case bool():
            pass
        case int() | float():
            yield f"{value:g}" if isinstance(value, float) else str(value)
        case str():
            yield value


@pytest.mark.parametrize("name", matrix.SPECS)
def test_every_value_of_a_template_is_in_the_configuration(name: str) -> None:
    stack = matrix.stack(name)
    text = text_of(stack)
    missing = {
        f"{id_}: {value}"
        for id_, resource in stack.template["Resources"].items()
        for value in said(resource["Properties"])
        if value not in OTHERWISE and not _is_in(value, text)
    }
    assert missing == set()


def _is_in(value: str, text: str) -> bool:
    if value.startswith(("{{resolve:", '{"username": ')):
        return True  # tests of secrets look at these
    return json.dumps(value, ensure_ascii=False)[1:-1].replace("${", "$${") in text


def test_the_tables_have_every_type_that_a_template_may_have() -> None:
    assert set(KINDS) == KNOWN


@given(strategies.specs())
@settings(max_examples=60, deadline=None)
def test_any_spec_that_compiles_is_exported(spec: dict[str, Any]) -> None:
    try:
        stack = stack_of(spec)
    except (InputError, RefusedError):
        return
    assert terraform(stack)["outputs.tf"]


def refused(type_: str, properties: Mapping[str, Any], **spec: Any) -> UnsupportedError:
    """What is said of a property that an override brings in."""
    stack = stack_of({**spec, "overrides": {"aws": {type_: properties}}})
    with pytest.raises(UnsupportedError) as caught:
        terraform(stack)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("type_", "properties", "where"),
    [
        ("Queue", {"FifoQueue": True}, "Queue (AWS::SQS::Queue).FifoQueue"),
        (
            "ApiService",
            {"DeploymentConfiguration": {"Alarms": {"Enable": True}}},
            "ApiService (AWS::ECS::Service).DeploymentConfiguration.Alarms",
        ),
        (
            "ApiTask",
            {"ContainerDefinitions": [{"Name": "api", "Ulimits": []}]},
            "ApiTask (AWS::ECS::TaskDefinition).ContainerDefinitions.Ulimits",
        ),
        (
            "LoadBalancer",
            {"LoadBalancerAttributes": [{"Key": "zonal_shift", "Value": "true"}]},
            "LoadBalancer (AWS::ElasticLoadBalancingV2::LoadBalancer)"
            ".LoadBalancerAttributes.zonal_shift",
        ),
        (
            "Bucket",
            {"VersioningConfiguration": {"MfaDelete": "Enabled"}},
            "Bucket (AWS::S3::Bucket).VersioningConfiguration.MfaDelete",
        ),
        ("Vpc", {"CidrBlock": {"Fn::If": ["x", "y"]}}, "Vpc (AWS::EC2::VPC).CidrBlock"),
        ("Vpc", {"CidrBlock": {"Other": "thing"}}, "Vpc (AWS::EC2::VPC).CidrBlock"),
        ("Vpc", {"CidrBlock": {"Ref": "Nobody"}}, "Vpc (AWS::EC2::VPC).CidrBlock"),
        (
            "Vpc",
            {"CidrBlock": {"Fn::GetAtt": ["Bucket", "WebsiteURL"]}},
            "Vpc (AWS::EC2::VPC).CidrBlock",
        ),
        (
            "ServiceToDatabase",
            {"SourceSecurityGroupId": {"Ref": "ServiceSecurityGroup"}},
            "ServiceToDatabase (AWS::EC2::SecurityGroupEgress).DestinationSecurityGroupId",
        ),
        (
            "LoadBalancer",
            {"Scheme": "sideways"},
            "LoadBalancer (AWS::ElasticLoadBalancingV2::LoadBalancer).Scheme",
        ),
    ],
)
def test_what_is_not_known_is_an_error_that_names_it(
    type_: str, properties: Mapping[str, Any], where: str
) -> None:
    assert refused(type_, properties).where == where


def test_a_type_that_is_not_known_is_an_error_that_names_it() -> None:
    odd = changed(matrix.stack("lambda"), "Odd", attributes={"Type": "AWS::IoT::Thing"})
    with pytest.raises(UnsupportedError) as caught:
        terraform(odd)
    assert caught.value.where == "Odd (AWS::IoT::Thing)"


def test_an_attribute_of_a_resource_that_is_not_known_is_an_error() -> None:
    odd = changed(matrix.stack("lambda"), "Function", attributes={"Condition": "Sometimes"})
    with pytest.raises(UnsupportedError) as caught:
        terraform(odd)
    assert caught.value.where == "Function (AWS::Lambda::Function).Condition"


@pytest.mark.parametrize("name", ["ec2", "ec2 with graphics processors"])
def test_a_boot_script_is_the_same_to_the_letter(name: str) -> None:
    stack = matrix.stack(name)
    scripts = [
        one["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][1]
        for _, one in sorted(stack.template["Resources"].items())
        if one["Type"] == "AWS::EC2::LaunchTemplate"
    ]
    text = terraform(stack)["compute.tf"].decode()
    written = re.findall(r"base64encode\(<<EOT\n(.*?\n)EOT\n", text, re.DOTALL)
    assert len(written) == len(scripts) == 2
    for script, heredoc in zip(scripts, written, strict=True):
        pieces = (
            re.escape(piece.replace("${", "$${").replace("%{", "%%{"))
            if isinstance(piece, str)
            else r"[^\n]+?"
            for piece in script
        )
        assert re.fullmatch("".join(pieces), heredoc)


def test_a_value_that_is_overridden_is_exported() -> None:
    stack = stack_of({"overrides": {"aws": {"Database": {"EnablePerformanceInsights": True}}}})
    assert re.search(r"performance_insights_enabled += true", text_of(stack))


@pytest.mark.parametrize("name", ["fargate", "ec2", "lambda, watched", "batch on instances"])
def test_the_order_in_a_template_does_not_matter(name: str) -> None:
    """CloudFormation keeps the template with its keys sorted."""
    stack = matrix.stack(name)
    template = json.loads(stack.to_bytes())
    stored = Stack(stack.target, template, (), stack.spec, dict(reversed(stack.tags.items())))
    assert terraform(stored) == terraform(stack)


def test_the_provider_offers_it() -> None:
    assert FORMATS["terraform"] is terraform


ODD: list[Any] = [None, True, 3, "odd", [], ["odd"], {}, {"Odd": 1}, [{"Odd": 1}], [[1]]]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in a value."""
    yield path
    inner = value.items() if isinstance(value, Mapping) else ()
    for key, one in enumerate(value) if isinstance(value, list) else inner:
        yield from places(one, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with something else at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_what_makes_no_sense_is_refused_or_written_and_never_a_crash(data: st.DataObject) -> None:
    stack = matrix.stack(data.draw(st.sampled_from(["fargate", "ec2", "lambda, watched"])))
    name = data.draw(st.sampled_from(sorted(stack.template["Resources"])))
    resource = stack.template["Resources"][name]
    path = data.draw(st.sampled_from([one for one in places(resource["Properties"]) if one]))
    odd = put(resource["Properties"], path, data.draw(st.sampled_from(ODD)))
    try:
        terraform(changed(stack, name, attributes={"Properties": odd}))
    except UnsupportedError as error:
        assert error.where

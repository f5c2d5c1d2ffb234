"""`spec.overrides.aws`: laid over what was compiled, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular.deploy.aws.words.overrides import OPTIONS, check
from tabular.errors import SpecError, UsageError
from tests.deploy.aws import matrix, rules
from tests.deploy.aws.made import stack_of

BASE = stack_of({"compute": {"instances": 2}}).template["Resources"]


def laid(given_: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Resources with this block."""
    found: dict[str, Any] = stack_of(
        {"compute": {"instances": 2}, "overrides": {"aws": given_}, **spec}
    ).template["Resources"]
    return found


def test_a_type_means_every_resource_of_it_and_no_other() -> None:
    found = laid({"AWS::EC2::Subnet": {"AssignIpv6AddressOnCreation": False}})
    for name, resource in found.items():
        changed = "AssignIpv6AddressOnCreation" in resource["Properties"]
        assert changed == (resource["Type"] == "AWS::EC2::Subnet"), name


def test_a_logical_id_means_that_one() -> None:
    found = laid({"PrivateSubnet1": {"AssignIpv6AddressOnCreation": False}})
    assert [name for name in BASE if found[name] != BASE[name]] == ["PrivateSubnet1"]


def test_blocks_go_into_blocks_and_lists_are_replaced() -> None:
    found = laid(
        {
            "Bucket": {"VersioningConfiguration": {"Status": "Enabled"}},
            "ApiService": {
                "DeploymentConfiguration": {"MaximumPercent": 150},
                "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
            },
        }
    )
    assert found["Bucket"]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    before = BASE["ApiService"]["Properties"]["DeploymentConfiguration"]
    after = found["ApiService"]["Properties"]["DeploymentConfiguration"]
    assert after == {**before, "MaximumPercent": 150}
    strategy = found["ApiService"]["Properties"]["CapacityProviderStrategy"]
    assert strategy == [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]


def test_only_properties_can_be_said_and_tags_stay() -> None:
    found = laid({"Bucket": {"ObjectLockEnabled": True}})
    assert found["Bucket"]["DeletionPolicy"] == BASE["Bucket"]["DeletionPolicy"]
    assert found["Bucket"]["Properties"]["Tags"] == BASE["Bucket"]["Properties"]["Tags"]


def test_the_one_that_is_named_wins_over_its_type_whatever_the_order() -> None:
    narrow = {"Queue": {"DelaySeconds": 5}}
    wide = {"AWS::SQS::Queue": {"DelaySeconds": 1}}
    for given_ in ({**narrow, **wide}, {**wide, **narrow}):
        found = laid(given_)
        assert found["Queue"]["Properties"]["DelaySeconds"] == 5
        assert found["DeadLetterQueue"]["Properties"]["DelaySeconds"] == 1


def test_what_an_override_opens_is_seen_by_the_rules() -> None:
    world = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
    spec = {"overrides": {"aws": {"ServiceSecurityGroup": {"SecurityGroupIngress": [world]}}}}
    found = rules.broken(stack_of(spec).template)
    assert len(found) == 2
    assert all("ServiceSecurityGroup" in one for one in found)


@pytest.mark.parametrize(
    ("given_", "where", "hint"),
    [
        ({"Databse": {"MultiAZ": True}}, "spec.overrides.aws.Databse", "Database"),
        ({"AWS::RDS::DBCluster": {"A": 1}}, "spec.overrides.aws.AWS::RDS::DBCluster", "mean"),
        ({"AWS::Nope::Nothing": {}}, "spec.overrides.aws.AWS::Nope::Nothing", "export"),
        ({"replica_buckt": "x"}, "spec.overrides.aws.replica_buckt", "replica_bucket"),
        ({"hosted-zone": {}}, "spec.overrides.aws.hosted-zone", "hosted_zone_id"),
        ({"Database": True}, "spec.overrides.aws.Database", "MultiAZ"),
        ({"Database": ["MultiAZ"]}, "spec.overrides.aws.Database", "MultiAZ"),
        ({"replica_key": {"a": 1}}, "spec.overrides.aws.replica_key", "key"),
        ({"hosted_zone_id": ""}, "spec.overrides.aws.hosted_zone_id", "zone"),
    ],
)
def test_what_means_nothing_is_refused(given_: dict[str, Any], where: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        laid(given_)
    assert caught.value.code == "usage.invalid"
    assert caught.value.where == where
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["ecs-fargate", "lambda", "batch"])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_nothing_reads_is_refused(name: str, kind: str) -> None:
    value = {
        "hosted_zone_id": "Z0123456789ABCDEFGHIJ",
        "replica_bucket": "arn:aws:s3:::copy",
        "replica_key": matrix.REPLICA_KEY,
    }[name]
    with pytest.raises(UsageError) as caught:
        laid({name: value}, compute={"type": kind})
    assert caught.value.where == f"spec.overrides.aws.{name}"
    assert caught.value.hint


def test_a_secret_is_refused_before_anything_is_compiled() -> None:
    with pytest.raises(SpecError, match="looks like a secret"):
        laid({"Database": {"MasterUserPassword": "correct horse"}})


@given(
    st.dictionaries(
        st.text(max_size=12) | st.sampled_from([*OPTIONS, "Database", "AWS::S3::Bucket"]),
        st.none() | st.booleans() | st.text(max_size=5) | st.dictionaries(st.text(), st.integers()),
        max_size=3,
    )
)
def test_any_block_is_taken_or_refused_at_its_place(given_: dict[str, Any]) -> None:
    try:
        check(given_)
    except UsageError as error:
        assert str(error.where).startswith("spec.overrides.aws.")
        assert error.hint

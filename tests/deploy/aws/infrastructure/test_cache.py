"""The cache: private, encrypted on its way and at rest, with a token, and as large as asked."""

from __future__ import annotations

from typing import Any

import pytest

from tabular.deploy.aws.infrastructure import cache
from tabular.errors import TabularError, UnsupportedError, UsageError
from tests.deploy.aws.made import wanted_of

VALKEY = {"type": "valkey"}


def group(spec: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    parts = cache.resources(wanted_of({"cache": {**VALKEY, **said}, **(spec or {})}))
    found: dict[str, Any] = parts["Cache"]["Properties"]
    return found


def test_everything_in_it_and_on_its_way_is_encrypted_and_asks_for_a_token() -> None:
    found = group()
    assert found["TransitEncryptionEnabled"] is True
    assert found["TransitEncryptionMode"] == "required"
    assert found["AtRestEncryptionEnabled"] is True
    assert found["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
    assert found["AuthToken"] == {"Fn::Sub": "{{resolve:secretsmanager:${CacheSecret}}}"}


def test_redis_before_7_is_not_told_a_mode_which_it_refuses() -> None:
    found = group(type="redis", version="6.2")
    assert found["TransitEncryptionEnabled"] is True  # which then takes nothing else
    assert "TransitEncryptionMode" not in found
    assert group(type="redis")["TransitEncryptionMode"] == "required"


def test_the_token_is_made_of_letters_and_digits() -> None:
    parts = cache.resources(wanted_of({"cache": VALKEY}))
    assert parts["CacheSecret"]["Properties"]["GenerateSecretString"] == {
        "PasswordLength": 48,
        "ExcludePunctuation": True,
    }


def test_it_lies_in_private_subnets_behind_its_own_group() -> None:
    parts = cache.resources(wanted_of({"cache": VALKEY}))
    assert parts["CacheSubnetGroup"]["Properties"]["SubnetIds"] == [
        {"Ref": "PrivateSubnet1"},
        {"Ref": "PrivateSubnet2"},
    ]
    assert group()["SecurityGroupIds"] == [{"Fn::GetAtt": ["CacheSecurityGroup", "GroupId"]}]
    assert group()["CacheSubnetGroupName"] == {"Ref": "CacheSubnetGroup"}


@pytest.mark.parametrize(
    ("spec", "said", "servers"),
    [
        ({}, {}, 1),
        ({}, {"replicas": 2}, 3),
        ({}, {"ha": True}, 2),
        ({"ha": True}, {}, 2),
        ({"ha": True}, {"replicas": 3}, 4),
    ],
)
def test_more_than_one_server_takes_over_by_itself_from_another_zone(
    spec: dict[str, Any], said: dict[str, Any], servers: int
) -> None:
    found = group(spec, **said)
    assert found["NumCacheClusters"] == servers
    assert found["AutomaticFailoverEnabled"] is found["MultiAZEnabled"] is (servers > 1)
    # From one server to more it is made anew, by a property that only a new one takes.
    assert found.get("NetworkType") == ("ipv4" if servers > 1 else None)


@pytest.mark.parametrize(
    ("type_", "said", "engine", "version"),
    [
        ("valkey", None, "valkey", "8.0"),
        ("valkey", "7.2", "valkey", "7.2"),
        ("redis", None, "redis", "7.1"),
        ("redis", "6.2", "redis", "6.2"),
    ],
)
def test_engine_and_version(type_: str, said: str | None, engine: str, version: str) -> None:
    found = group(type=type_, **({"version": said} if said else {}))
    assert (found["Engine"], found["EngineVersion"]) == (engine, version)


@pytest.mark.parametrize(
    ("size", "node"),
    [
        ("512Mi", "cache.t4g.micro"),
        ("513Mi", "cache.t4g.small"),
        ("2Gi", "cache.t4g.medium"),
        ("13Gi", "cache.r7g.large"),
        ("14Gi", "cache.r7g.xlarge"),
        ("400Gi", "cache.r7g.16xlarge"),
    ],
)
def test_the_smallest_node_with_so_much_memory(size: str, node: str) -> None:
    assert group(size=size)["CacheNodeType"] == node


def test_a_node_that_is_named_is_taken_and_production_begins_with_a_larger_one() -> None:
    assert group(instance_class="cache.r6g.large")["CacheNodeType"] == "cache.r6g.large"
    assert group()["CacheNodeType"] == "cache.t4g.micro"
    assert group({"environment": "production"})["CacheNodeType"] == "cache.t4g.small"


@pytest.mark.parametrize(
    ("error", "field", "said"),
    [
        (UnsupportedError, "version", {"type": "redis", "version": "7.2"}),
        (UnsupportedError, "version", {"version": "7.1"}),
        (UsageError, "version", {"version": "latest"}),
        (UnsupportedError, "size", {"size": "500Gi"}),
        (UsageError, "instance_class", {"instance_class": "db.t4g.small"}),
        (UsageError, "instance_class", {"instance_class": "cache.t4g.small", "size": "1Gi"}),
    ],
)
def test_what_elasticache_does_not_have_is_refused(
    error: type[TabularError], field: str, said: dict[str, Any]
) -> None:
    with pytest.raises(error) as caught:
        group(**said)
    assert caught.value.where == f"spec.cache.{field}"
    assert caught.value.hint


def test_several_api_tasks_get_one_to_count_together_unasked() -> None:
    assert cache.resources(wanted_of({})) == {}
    assert "Cache" in cache.resources(wanted_of({"compute": {"max_instances": 2}}))


def test_a_cache_in_memory_makes_nothing_and_says_what_that_means() -> None:
    wanted = wanted_of(
        {"cache": {"type": "memory", "size": "1Gi"}, "compute": {"max_instances": 3}}
    )
    assert cache.resources(wanted) == {}
    told = {one.field: one.given for one in cache.reductions(wanted)}
    assert "each of 3" in told["spec.cache.type"]
    assert told["spec.cache.size"] == "memory of each task"


def test_where_no_api_is_served_there_is_none_and_that_is_told() -> None:
    wanted = wanted_of({"compute": {"type": "batch"}, "cache": {"type": "redis", "size": "1Gi"}})
    assert cache.resources(wanted) == {}
    assert [one.field for one in cache.reductions(wanted)] == [
        "spec.cache.size",
        "spec.cache.type",
    ]

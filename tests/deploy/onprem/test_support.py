"""Every field of the spec is decided, in words, and what is refused stays refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tabular.deploy.capability import FieldsError, Support, lookup
from tabular.deploy.onprem.support import CAPABILITIES, CHOICES, REASONS
from tabular.deploy.spec.model.compute import ComputeType
from tabular.deploy.spec.model.messaging import Cache, Queue
from tabular.deploy.spec.model.storage import DatabaseType, StorageType
from tabular.deploy.spec.walk import keys
from tabular.errors import UnsupportedError
from tests.deploy.onprem.made import stack_of

# What a file can say: a block says nothing but what is in it, and a list is one leaf.
LEAVES = sorted(
    {
        key.path.removeprefix("spec.").partition("[")[0]
        for key in keys()
        if key.path.startswith("spec.") and key.block is None
    }
)
UNKNOWN = "does not know the field"


@pytest.mark.parametrize("path", LEAVES)
def test_every_field_is_decided(path: str) -> None:
    found = lookup(CAPABILITIES, path)
    assert UNKNOWN not in found.note
    if found.support is not Support.NATIVE:
        assert found.note


def test_no_entry_is_about_a_field_that_is_not_there() -> None:
    known = {key.path.removeprefix("spec.") for key in keys()}
    assert set(CAPABILITIES) <= known


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("compute.type", get_args(ComputeType)),
        ("storage.type", get_args(StorageType)),
        ("database.type", get_args(DatabaseType)),
        ("cache.type", get_args(Cache.model_fields["type"].annotation)),
        ("queue.type", get_args(Queue.model_fields["type"].annotation)),
    ],
)
def test_every_word_is_given_or_refused_with_what_is(path: str, words: tuple[str, ...]) -> None:
    block, _, name = path.partition(".")
    for word in set(words) - set(CHOICES[path]):
        spec: dict[str, Any] = {block: {name: word}}
        with pytest.raises(UnsupportedError, match=word) as refused:
            stack_of(spec)
        assert refused.value.where == f"spec.{path}"
        assert all(str(one) in str(refused.value.hint) for one in CHOICES[path] if one)
        if word in REASONS.get(path, {}):
            assert REASONS[path][word] in refused.value.message


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"region": "eu-west-1"}, "region"),
        ({"compute": {"instance_type": "m5.large"}}, "compute.instance_type"),
        ({"compute": {"spot": {"share": 50}}}, "compute.spot.share"),
        ({"storage": {"versioning": True}}, "storage.versioning"),
        ({"storage": {"lifecycle": {"expire": "90d"}}}, "storage.lifecycle.expire"),
        ({"database": {"backup_retention": 30}}, "database.backup_retention"),
        ({"cache": {"type": "redis", "replicas": 1}}, "cache.replicas"),
        ({"networking": {"cidr": "10.0.0.0/16"}}, "networking.cidr"),
        ({"security": {"kms_key": "alias/x"}}, "security.kms_key"),
    ],
)
def test_what_is_not_given_is_refused_by_name(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(FieldsError) as refused:
        stack_of(spec)
    assert path in {field for field, _ in refused.value.fields}


def test_what_says_no_asks_for_nothing() -> None:
    assert stack_of({"storage": {"versioning": False, "cross_region": False}, "ha": False})

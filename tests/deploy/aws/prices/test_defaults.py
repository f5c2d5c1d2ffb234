"""Whatever size the compilers choose by themselves has a price wherever there is a list.

Else `--max-monthly-cost` would refuse a deployment that names no size at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from tabular.deploy.aws.infrastructure.cache import NODES
from tabular.deploy.aws.prices import AwsPrices
from tabular.deploy.aws.prices.table import shipped
from tabular.deploy.cost import check_budget, estimate
from tests.deploy.aws.made import stack_of

REGIONS = shipped().regions
# Copies of S3 have a price of their own that was never read there; `--live-prices` asks for it.
NO_PRICE_OF_COPIES = {"ap-northeast-1", "ap-south-1", "ap-southeast-1", "eu-west-2"}

SERVED: Mapping[str, Mapping[str, Any]] = {
    f"{kind} {environment} {engine} {cache}{' ha' * ha}": {
        "environment": environment,
        "ha": ha,
        "database": {"type": engine},
        "cache": {"type": cache},
        "compute": {"type": kind},
    }
    for kind, environment, engine, cache, ha in itertools.product(
        ("ecs-fargate", "ec2"),
        ("development", "production"),
        ("postgresql", "mysql"),
        ("valkey", "redis"),
        (False, True),
    )
}
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "nothing said": {},
    "nothing but production": {"environment": "production"},
    "batch": {"compute": {"type": "batch"}},
    "function": {"compute": {"type": "lambda"}},
    "a large disk on Fargate": {"compute": {"type": "ecs-fargate", "disk": "200Gi"}},
    "a large disk on instances": {"compute": {"type": "ec2", "disk": "1Ti"}},
    "graphics processors": {"compute": {"type": "ec2", "gpu": "required"}},
    "older objects elsewhere": {
        "storage": {"lifecycle": {"transition_to_ia": 30, "transition_to_glacier": 90}}
    },
}
SPECS = {**SERVED, **OTHERS}


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("name", SPECS)
def test_nothing_is_unpriced(name: str, region: str) -> None:
    cost = estimate(stack_of(SPECS[name], region=region), AwsPrices())
    assert cost.unknown == ()
    check_budget(cost, cost.total)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("engine", ["valkey", "redis"])
def test_each_node_that_a_cache_grows_to_has_a_price(engine: str, region: str) -> None:
    before = 0
    for node in NODES:
        found = shipped().find("cache", f"{engine}/{node}", region)
        assert found is not None, node
        assert found.amount > before, f"{node} is larger and costs no more"
        before = found.amount


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("gib", [2, 4, 8])
@pytest.mark.parametrize("cores", [1, 2, 4, 8, 16, 32, 48, 64, 96])
def test_each_instance_type_that_a_size_comes_to_has_a_price(
    cores: int, gib: int, region: str
) -> None:
    spec = {"compute": {"type": "ec2", "cpu": cores, "memory": f"{cores * gib}Gi"}}
    assert estimate(stack_of(spec, region=region), AwsPrices()).unknown == ()


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("cores", [4, 8, 16, 32, 64])
def test_each_graphics_processor_that_a_size_comes_to_has_a_price(cores: int, region: str) -> None:
    spec = {"compute": {"type": "ec2", "gpu": "required", "cpu": cores}}
    assert estimate(stack_of(spec, region=region), AwsPrices()).unknown == ()


@pytest.mark.parametrize("region", REGIONS)
def test_backups_have_a_price_or_say_which_one_is_missing(region: str) -> None:
    spec = {"environment": "production", "backup": {"enabled": True}}
    cost = estimate(stack_of(spec, region=region), AwsPrices())
    missing = [one.resource for one in cost.unknown]
    assert missing == (["BackupVault"] if region in NO_PRICE_OF_COPIES else [])
    for one in cost.unknown:
        assert f"no price of storage backup_gb is known in {region}" in one.reason
        assert "copies of Bucket; --live-prices asks AWS for it" in one.reason

"""Cores and memory: only what AWS sells, the nearest that fits, and a hint that works."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.deploy.aws.prices.table import shipped
from tabular.deploy.aws.words import sizes
from tabular.deploy.spec.quantities import parse_cores, parse_size
from tabular.errors import UsageError
from tests.deploy.aws.rules import FARGATE, sold

MIB = 2**20
PAIRS = [(cores, mib) for cores, known in FARGATE.items() for mib in sorted(known)]
# From the pages of the instance types on aws.amazon.com: vCPUs and GiB.
PUBLISHED = {
    "t3.micro": (2, 1), "t3.small": (2, 2), "t3.medium": (2, 4), "t3.large": (2, 8),
    "c6i.large": (2, 4), "c6i.xlarge": (4, 8), "c6i.2xlarge": (8, 16), "c6i.4xlarge": (16, 32),
    "c6i.8xlarge": (32, 64), "c6i.12xlarge": (48, 96), "c6i.16xlarge": (64, 128),
    "c6i.24xlarge": (96, 192), "m6i.large": (2, 8), "m6i.xlarge": (4, 16),
    "m6i.2xlarge": (8, 32), "m6i.4xlarge": (16, 64), "m6i.8xlarge": (32, 128),
    "m6i.12xlarge": (48, 192), "m6i.16xlarge": (64, 256), "m6i.24xlarge": (96, 384),
    "r6i.large": (2, 16), "r6i.xlarge": (4, 32), "r6i.2xlarge": (8, 64), "r6i.4xlarge": (16, 128),
    "r6i.8xlarge": (32, 256), "r6i.12xlarge": (48, 384), "r6i.16xlarge": (64, 512),
    "r6i.24xlarge": (96, 768),
}  # fmt: skip
GPU = {
    "g4dn.xlarge": (4, 16), "g4dn.2xlarge": (8, 32), "g4dn.4xlarge": (16, 64),
    "g4dn.8xlarge": (32, 128), "g4dn.16xlarge": (64, 256),
}  # fmt: skip

cores_asked = st.decimals("0.001", 128, places=3) | st.sampled_from(
    [Decimal(one) for one in ("0.25", "0.5", "1", "2", "4", "8", "16")]
)
bytes_asked = st.integers(1, 900 * 2**30) | st.integers(1, 900).map(lambda gib: gib * 2**30)


@pytest.mark.parametrize(("cores", "mib"), PAIRS)
def test_every_pair_that_fargate_runs_is_taken_as_it_is(cores: float, mib: int) -> None:
    assert sizes.fargate(Decimal(str(cores)), mib * MIB) == (int(cores * 1024), mib)


@pytest.mark.parametrize("cores", FARGATE)
def test_every_other_memory_is_refused_with_the_nearest(cores: float) -> None:
    for mib in {*range(256, 125_000, 256)} - FARGATE[cores]:
        with pytest.raises(UsageError) as caught:
            sizes.fargate(Decimal(str(cores)), mib * MIB)
        assert caught.value.where == "spec.compute.memory"
        named = [parse_size(text) // MIB for text in re.findall("[0-9]+Mi", str(caught.value.hint))]
        assert set(named) <= FARGATE[cores]
        distance = min(abs(one - mib) for one in FARGATE[cores])
        assert distance in [abs(one - mib) for one in named]


@given(cores_asked, bytes_asked | st.none())
def test_any_cores_are_run_or_refused_with_some_that_are(
    cores: Decimal, memory: int | None
) -> None:
    try:
        units, mib = sizes.fargate(cores, memory)
    except UsageError as error:
        assert error.where in ("spec.compute.cpu", "spec.compute.memory")
        if error.where == "spec.compute.cpu":
            (named,) = re.findall(r"cpu: ([0-9.]+)", str(error.hint))
            assert float(parse_cores(named)) in FARGATE
            assert float(cores) not in FARGATE
        return
    assert units == cores * 1024
    assert mib in FARGATE[units / 1024]
    if memory is not None:
        assert mib * MIB >= memory > (mib - 1) * MIB


@given(bytes_asked | st.none())
def test_memory_alone_gets_the_fewest_cores_that_have_it(memory: int | None) -> None:
    try:
        units, mib = sizes.fargate(None, memory)
    except UsageError as error:
        assert memory is not None
        assert memory > 122_880 * MIB
        assert error.where == "spec.compute.memory"
        assert "ec2" in str(error.hint)
        return
    wanted = memory if memory is not None else 4096 * MIB
    fitting = [
        (cores, one)
        for cores, known in FARGATE.items()
        for one in known
        if cores >= 1 and one * MIB >= wanted
    ]
    assert (units / 1024, mib) == min(fitting)


def test_the_seeds_units_are_what_fargate_calls_them() -> None:
    """`cpu: 4096`, `memory: 16384` of the seed are 4 cores and 16 GiB."""
    assert sizes.fargate(Decimal(4), parse_size("16Gi")) == (4096, 16_384)


@given(cores_asked | st.none(), bytes_asked | st.none(), st.booleans())
def test_the_instance_type_has_what_is_asked_and_none_that_has_costs_less(
    cores: Decimal | None, memory: int | None, gpu: bool
) -> None:
    offers = GPU if gpu else PUBLISHED
    least = Decimal(2) if cores is None else cores
    gib = Decimal(memory if memory is not None else 8 * 2**30 if cores is None else 0) / 2**30
    fitting = {name for name, (has, holds) in offers.items() if has >= least and holds >= gib}
    try:
        found = sizes.instance_type(cores, memory, gpu=gpu)
    except UsageError as error:
        assert not fitting
        assert error.where in ("spec.compute.cpu", "spec.compute.memory")
        assert "instance_type" in str(error.hint)
        return
    assert found in fitting
    assert _price(found) == min(_price(name) for name in fitting)


def _price(name: str) -> Decimal:
    rate = shipped().find("ec2", name, "us-east-1")
    assert rate is not None, name
    return rate.amount


@pytest.mark.parametrize("name", [*PUBLISHED, *GPU])
def test_what_is_chosen_is_sold_and_is_no_arm(name: str) -> None:
    assert name in sold("aws_ec2_instance", "instancetype_enum.json")
    assert sizes.INSTANCE_TYPE.fullmatch(name)
    assert not sizes.ARM.match(name)


def test_the_shape_of_a_type_is_that_of_every_type_that_is_sold() -> None:
    every = sold("aws_ec2_instance", "instancetype_enum.json")
    assert [one for one in sorted(every) if not sizes.INSTANCE_TYPE.fullmatch(one)] == []
    arm = {one.partition(".")[0] for one in every if sizes.ARM.match(one)}
    assert {"m6g", "m7g", "c7gn", "r8g", "t4g"} <= arm
    # Graphics processors are no ARM processors, though their names begin with a g.
    assert not arm & {"g4dn", "g5", "g6", "m6i", "c6a", "r5b", "i4i"}


@given(st.decimals("0.001", 128, places=3), st.integers(1, 200))
@settings(max_examples=50)
def test_the_same_is_always_the_same(cores: Decimal, gib: int) -> None:
    def asked() -> str:
        try:
            return sizes.instance_type(cores, gib * 2**30)
        except UsageError as error:
            return str(error)

    assert asked() == asked()

"""The shipped files: small, dated, and with a price for everything they name."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest

from tabular.deploy.aws.prices.table import EDITION, shipped

FILES = sorted(
    file
    for file in resources.files("tabular.deploy.aws.prices").iterdir()
    if file.name.endswith(".json")
)
REGIONS = {
    "us-east-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-central-1", "ap-southeast-1",
    "ap-northeast-1", "ap-south-1",
}  # fmt: skip


def blocks(file: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Region, group and block of prices."""
    data = json.loads(file.read_text("utf-8"))
    assert (data["edition"], data["currency"]) == (EDITION, "USD")
    return [
        (region, group, block)
        for region, groups in data["regions"].items()
        for group, found in groups.items()
        for block in found
    ]


def test_the_list_is_small_enough_to_ship() -> None:
    assert sum(len(file.read_bytes()) for file in FILES) < 150_000


def test_there_are_prices_of_the_usual_regions() -> None:
    assert set(shipped().regions) == REGIONS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_price_is_above_zero_and_dated_once(file: Any) -> None:
    seen = set()
    for region, group, block in blocks(file):
        assert block["by"]
        dates = [block[key] for key in ("checked", "known") if key in block]
        assert len(dates) == 1
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", dates[0])
        assert dates[0] <= EDITION
        for name, amount in block["prices"].items():
            assert Decimal(amount) > 0
            assert (region, group, name) not in seen
            seen.add((region, group, name))
    assert seen


# Instances of one family cost by their size; one that does not is a typing error. The prices of
# graphics processors and of sizes cut to four places are not like that.
@pytest.mark.parametrize("region", sorted(REGIONS))
@pytest.mark.parametrize("family", ["t3", "m5", "m6i", "c5", "c6i", "r5", "r6i"])
def test_a_size_twice_as_large_costs_twice_as_much(family: str, region: str) -> None:
    def price(size: str) -> Decimal:
        found = shipped().find("ec2", f"{family}.{size}", region)
        assert found is not None
        return found.amount

    assert price("xlarge") == 2 * price("large")
    assert price("2xlarge") == 4 * price("large")


def test_no_price_is_far_from_that_in_virginia() -> None:
    """A slip of the decimal point would be; what is sent between regions really is in Asia."""
    table = shipped()
    for file in FILES:
        for region, group, block in blocks(file):
            for name, amount in block["prices"].items():
                base = table.find(group, name, "us-east-1")
                if base is not None and group != "typical" and name != "region_gb":
                    ratio = Decimal(amount) / base.amount
                    assert Decimal("0.66") < ratio < Decimal("1.7"), (region, group, name)

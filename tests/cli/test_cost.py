"""`cost estimate`, as a user runs it: without an account, and nothing is touched."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.deploy.aws.prices.price_list import CORE, price_list

AWS = """\
apiVersion: synthdata.inferloop.io/v1
kind: Deployment
metadata: {name: shop}
spec:
  provider: aws
  region: us-east-1
  storage: {size: 2Ti}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.yaml"
    path.write_text(AWS)
    return path


def test_a_deployment_is_priced_without_an_account(file: Path, tmp_path: Path) -> None:
    answer = run("cost", "estimate", str(file), "--json", home=tmp_path)
    assert answer.code == 0, answer.err
    cost = answer.json["monthly_cost"]
    assert answer.json["target"] == "aws/us-east-1/development/shop"
    assert cost["currency"] == "USD"
    assert cost["unpriced"] == []
    amounts = [Decimal(item["amount"]) for item in cost["items"]]
    assert Decimal(cost["total"]) == sum(amounts) > 50
    assert any("spec.storage.size: 2048 GB" in item["basis"] for item in cost["items"])
    assert all("20" in item["source"] for item in cost["items"])
    assert {one["kind"] for one in answer.json["alternatives"]} == {"spot", "commitment"}


def test_the_table_ends_with_the_sum(file: Path, tmp_path: Path) -> None:
    answer = run("cost", "estimate", str(file), home=tmp_path)
    assert answer.code == 0, answer.err
    assert "NatGateway1" in answer.out
    assert "a month (730 h, without tax), by prices of" in answer.out
    assert "one year, nothing upfront" in answer.out


def test_what_has_no_price_is_named_and_the_sum_is_a_lower_bound(
    file: Path, tmp_path: Path
) -> None:
    flags = ("--region", "eu-central-1", "--set", "spec.database.instance_class=db.x2g.large")
    answer = run("cost", "estimate", str(file), *flags, home=tmp_path)
    assert answer.code == 0, answer.err
    assert (
        "Database: no database class postgres/db.x2g.large is known in eu-central-1" in answer.out
    )
    assert "at least $" in answer.out
    assert "--live-prices" in answer.err
    told = run("cost", "estimate", str(file), *flags, "--json", home=tmp_path).json
    assert "Database" in told["monthly_cost"]["unpriced"]
    assert "db.x2g.large" in told["monthly_cost"]["reasons"]["Database"]


def test_hardware_of_ones_own_has_no_price_list(tmp_path: Path) -> None:
    assert run("cost", "estimate", "--json", home=tmp_path).json["monthly_cost"] is None
    assert "your own hardware" in run("cost", "estimate", home=tmp_path).out
    live = run("cost", "estimate", "--live-prices", home=tmp_path)
    assert live.code == 3
    assert "standalone has no live prices" in live.err


def test_live_prices_need_credentials_and_say_how_to_get_some(file: Path, tmp_path: Path) -> None:
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true"}
    answer = run("cost", "estimate", str(file), "--live-prices", home=tmp_path, extra=nowhere)
    assert answer.code == 1
    assert "there are no AWS credentials" in answer.err
    assert "aws configure" in answer.err


def test_live_prices_are_the_vendors_and_are_remembered(file: Path, tmp_path: Path) -> None:
    flags = ("cost", "estimate", str(file), "--region", "eu-west-1", "--json", "--live-prices")
    with price_list() as prices:
        answer = run(*flags, home=tmp_path, extra=prices.environment())
        assert answer.code == 0, answer.err
        first = len(prices.asked)
        assert {filters["regionCode"] for _, filters in prices.asked} == {"eu-west-1"}
        again = run(*flags, home=tmp_path, extra=prices.environment())
        assert again.json == answer.json
        assert len(prices.asked) == first > 0
    items = answer.json["monthly_cost"]["items"]
    cores = [one for one in items if "vCPU" in one["basis"]]
    assert cores
    assert all(f"at ${CORE}" in one["basis"] for one in cores)
    assert all(one["source"].startswith("AWS Pricing API, asked 20") for one in cores)
    # What is not asked for is of the list that ships.
    assert any("checked 20" in one["source"] for one in items)


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_a_plan_without_live_prices_refuses_before_it_looks(command: str, tmp_path: Path) -> None:
    answer = run(command, "--live-prices", "--home", str(tmp_path / "place"), home=tmp_path)
    assert answer.code == 3
    assert "standalone has no live prices" in answer.err
    assert "leave out --live-prices" in answer.err
    assert not (tmp_path / "place").exists()

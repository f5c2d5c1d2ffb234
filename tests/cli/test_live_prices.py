"""`plan` by the vendor's own prices: on an emulator of AWS, beside a price list of its own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.deploy.aws.prices.price_list import CORE, price_list
from tests.testbed.ministack import MiniStack

AWS = """\
apiVersion: synthdata.inferloop.io/v1
kind: Deployment
metadata: {name: priced}
spec:
  provider: aws
  region: eu-west-1
  image: {repository: registry.example.com/tabular, tag: 1.0.0}
"""


@pytest.mark.slow
def test_a_plan_and_its_limit_go_by_live_prices(
    ministack: MiniStack, aws_account: str, tmp_path: Path
) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(AWS)
    flags = ("plan", "--config", str(file), "--max-monthly-cost", "5000", "--json")
    environment = ministack.environment(aws_account)
    by_list = run(*flags, home=tmp_path, extra=environment)
    assert by_list.code == 0, by_list.err
    with price_list() as prices:
        asking = {**environment, "AWS_ENDPOINT_URL_PRICING": prices.url}
        by_vendor = run(*flags, "--live-prices", home=tmp_path, extra=asking)
        shown = run(*flags[:3], "--live-prices", home=tmp_path, extra=asking)
    assert by_vendor.code == 3, "a core for $50 an hour is over the limit"
    assert "is over the limit of $5,000.00" in by_vendor.json["error"]["message"]
    costs = [one.json["monthly_cost"] for one in (by_list, by_vendor)]
    cheap, dear = (Decimal(one["total"]) for one in costs)
    assert cheap < 5000 < dear
    assert f"at ${CORE}" in str(costs[1]["items"])
    assert {one["resource"] for one in costs[0]["items"]} == {
        one["resource"] for one in costs[1]["items"]
    }
    assert shown.code == 0, shown.err
    assert f"cost: ${dear:,.2f} a month" in shown.out
    assert "with a commitment of one year $" in " ".join(shown.out.split())
    assert "on spot $" in " ".join(shown.out.split())

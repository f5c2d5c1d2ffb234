"""Costs add up, and what nobody has a price for is never counted as zero."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from tabular.deploy.cost import CostEstimate, LineItem, check_budget, estimate
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.target import Target
from tabular.errors import BudgetError


class Prices:
    """Disks have a price, networks are free, nothing is known of the rest."""

    def price(self, resource: Resource) -> Iterable[LineItem] | None:
        if resource.type == "Network":
            return ()
        if resource.type == "Disk":
            amount = Decimal("0.10") * int(resource.properties["gb"])
            return (LineItem(resource.id, amount, "GB x 730 h", "list of 2026-11-01"),)
        return None


def _stack(*resources: Resource) -> Stack:
    return Stack(Target("x", "n", "e"), template={}, resources=resources, spec={})


DISK = Resource("data", "Disk", {"gb": 100})
NETWORK = Resource("net", "Network", {})
UNKNOWN = Resource("gpu", "Accelerator", {})


def test_known_prices_add_up() -> None:
    cost = estimate(_stack(DISK, NETWORK, Resource("log", "Disk", {"gb": 5})), Prices())
    assert cost.total == Decimal("10.50")
    assert cost.unpriced == ()
    check_budget(cost, Decimal("10.50"))


def test_over_the_budget_is_refused() -> None:
    cost = estimate(_stack(DISK), Prices())
    with pytest.raises(BudgetError, match=r"\$10\.00 a month is over the limit of \$9\.99"):
        check_budget(cost, Decimal("9.99"))


def test_an_unknown_price_never_fits_a_budget() -> None:
    cost = estimate(_stack(DISK, UNKNOWN), Prices())
    assert cost.unpriced == ("gpu",)
    with pytest.raises(BudgetError, match="gpu"):
        check_budget(cost, Decimal(1_000_000))


def test_no_price_list_never_fits_a_budget() -> None:
    with pytest.raises(BudgetError, match="no price list"):
        check_budget(None, Decimal(1))


def test_nothing_costs_nothing() -> None:
    assert CostEstimate(()).total == 0

"""Costs add up, and what nobody has a price for is never counted as zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from tabular.deploy.cost import (
    Alternative,
    CostEstimate,
    LineItem,
    Unpriced,
    check_budget,
    estimate,
)
from tabular.deploy.stack import Resource, Stack
from tabular.deploy.target import Target
from tabular.errors import BudgetError


class Prices:
    """Disks have a price, networks are free, nothing is known of the rest.

    A mirrored disk is as large as the one it is a copy of, which only the stack knows.
    """

    def price(self, resource: Resource, stack: Stack) -> Iterable[LineItem] | Unpriced:
        if resource.type == "Network":
            return ()
        if resource.type == "Disk":
            amount = Decimal("0.10") * int(resource.properties["gb"])
            return (LineItem(resource.id, amount, "GB x 730 h", "list of 2026-11-01"),)
        if resource.type == "Mirror":
            of = next(one for one in stack.resources if one.id == resource.properties["of"])
            return [replace(item, resource=resource.id) for item in self.price(of, stack)]
        return Unpriced(resource.id, f"there is no price of {resource.type}")


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


def test_what_a_resource_refers_to_is_priced_with_the_stack() -> None:
    cost = estimate(_stack(DISK, Resource("copy", "Mirror", {"of": "data"})), Prices())
    assert [(item.resource, item.amount) for item in cost.items] == [("data", 10), ("copy", 10)]


def test_over_the_budget_is_refused() -> None:
    cost = estimate(_stack(DISK), Prices())
    with pytest.raises(BudgetError, match=r"\$10\.00 a month is over the limit of \$9\.99"):
        check_budget(cost, Decimal("9.99"))


def test_an_unknown_price_never_fits_a_budget() -> None:
    cost = estimate(_stack(DISK, UNKNOWN), Prices())
    assert cost.unpriced == ("gpu",)
    assert cost.total == Decimal("10.00")
    with pytest.raises(BudgetError, match=r"gpu \(there is no price of Accelerator\)"):
        check_budget(cost, Decimal(1_000_000))


class Renting(Prices):
    """Disks may be rented by the year as well."""

    def alternatives(self, resource: Resource, stack: Stack) -> tuple[Alternative, ...]:
        if resource.type != "Disk":
            return ()
        listed = Decimal("0.10") * int(resource.properties["gb"])
        return (Alternative(resource.id, "commitment", listed / 2, listed, "GB", "a list"),)


def test_other_ways_to_buy_stand_beside_the_sum() -> None:
    cost = estimate(_stack(DISK, NETWORK), Renting())
    assert cost.total == Decimal("10.00")
    assert [(one.resource, one.amount) for one in cost.alternatives] == [("data", Decimal(5))]
    assert estimate(_stack(DISK), Prices()).alternatives == ()


def test_no_price_list_never_fits_a_budget() -> None:
    with pytest.raises(BudgetError, match="no price list"):
        check_budget(None, Decimal(1))


def test_nothing_costs_nothing() -> None:
    assert CostEstimate(()).total == 0

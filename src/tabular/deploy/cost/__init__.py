"""What a stack costs a month: line items with their source, and never a guess.

A resource without a known price is listed as unpriced, never counted as zero. Providers bring
a :class:`PriceBook`; this module only adds up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tabular.deploy.stack import Resource, Stack
from tabular.errors import BudgetError

__all__ = ["CostEstimate", "LineItem", "PriceBook", "check_budget", "estimate"]


@dataclass(frozen=True, slots=True)
class LineItem:
    """Monthly price of one resource.

    Attributes:
        resource: id of the resource.
        amount: US dollars for 730 hours.
        basis: what was counted, e.g. ``2 x m5.large x 730 h``.
        source: where the unit price is from, with its date.
    """

    resource: str
    amount: Decimal
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Monthly cost of a stack.

    Attributes:
        items: one for each priced resource.
        unpriced: ids of resources whose price nobody knows.
    """

    items: tuple[LineItem, ...]
    unpriced: tuple[str, ...] = ()

    @property
    def total(self) -> Decimal:
        """Sum of the known items, in US dollars a month; a lower bound if any is unpriced."""
        return sum((item.amount for item in self.items), Decimal(0))


class PriceBook(Protocol):
    """Prices of one provider."""

    def price(self, resource: Resource) -> Iterable[LineItem] | None:
        """Line items of a resource, empty if it is free of charge, None if not known."""
        ...


def estimate(stack: Stack, prices: PriceBook) -> CostEstimate:
    """Price every resource of a stack."""
    items: list[LineItem] = []
    unpriced: list[str] = []
    for resource in stack.resources:
        found = prices.price(resource)
        if found is None:
            unpriced.append(resource.id)
        else:
            items.extend(found)
    return CostEstimate(tuple(items), tuple(unpriced))


def check_budget(cost: CostEstimate | None, limit: Decimal) -> None:
    """Refuse what costs more than ``limit`` US dollars a month, or cannot be priced.

    Raises:
        BudgetError: over the limit, or a resource has no known price.
    """
    if cost is None:
        raise BudgetError(
            "this provider has no price list, so the monthly cost cannot be checked",
            hint="leave out --max-monthly-cost for hardware of your own",
        )
    if cost.unpriced:
        names = ", ".join(cost.unpriced)
        raise BudgetError(
            f"no price is known for {names}",
            hint="leave out --max-monthly-cost, or choose sizes the price list knows",
        )
    if cost.total > limit:
        raise BudgetError(
            f"${cost.total:,.2f} a month is over the limit of ${limit:,.2f}",
            hint="raise --max-monthly-cost, or ask for less in spec.compute",
        )

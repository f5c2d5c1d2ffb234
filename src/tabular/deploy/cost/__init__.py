"""What a stack costs a month: line items with their source, and never a guess.

A resource without a known price is listed as unpriced with the reason, never counted as zero.
Providers bring a :class:`PriceBook`; this module only adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from tabular.deploy.stack import Resource, Stack
from tabular.errors import BudgetError

__all__ = [
    "Alternative",
    "AsksPrices",
    "CostEstimate",
    "KnowsAlternatives",
    "LineItem",
    "PriceBook",
    "Unpriced",
    "check_budget",
    "estimate",
]


@dataclass(frozen=True, slots=True)
class LineItem:
    """Monthly price of one resource, or of one thing that is counted of it.

    Attributes:
        resource: id of the resource.
        amount: US dollars for 730 hours.
        basis: what was counted, e.g. ``2 x m5.large x 730 h``; says so where it is assumed.
        source: where the unit price is from, with its date.
    """

    resource: str
    amount: Decimal
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A resource that costs something nobody here knows.

    Attributes:
        resource: its id.
        reason: why there is no price.
    """

    resource: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """What the same would cost if it were bought in another way; an estimate, never added up.

    Attributes:
        resource: id of the resource.
        kind: ``spot`` or ``commitment`` (one year, nothing upfront).
        amount: US dollars for 730 hours.
        instead_of: the list price of the same, US dollars for 730 hours.
        basis: what was counted.
        source: where the estimate is from, with its date.
    """

    resource: str
    kind: str
    amount: Decimal
    instead_of: Decimal
    basis: str
    source: str


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Monthly cost of a stack.

    Attributes:
        items: one or more for each priced resource that is not free.
        unknown: the resources whose price nobody knows, with the reason.
        alternatives: other ways to buy the same, where the price book knows any.
    """

    items: tuple[LineItem, ...]
    unknown: tuple[Unpriced, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def total(self) -> Decimal:
        """Sum of the known items, in US dollars a month; a lower bound if any is unpriced."""
        return sum((item.amount for item in self.items), Decimal(0))

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Ids of the resources whose price nobody knows."""
        return tuple(one.resource for one in self.unknown)


class PriceBook(Protocol):
    """Prices of one provider."""

    def price(self, resource: Resource, stack: Stack) -> Iterable[LineItem] | Unpriced:
        """Line items of a resource, empty if it is free of charge.

        Args:
            resource: what is priced.
            stack: what it belongs to: its region, its spec and the resources it refers to.
        """
        ...


@runtime_checkable
class KnowsAlternatives(Protocol):
    """What a price book may offer besides: other ways to buy the same."""

    def alternatives(self, resource: Resource, stack: Stack) -> tuple[Alternative, ...]:
        """Estimates, shown beside the price and never added to it."""
        ...


@runtime_checkable
class AsksPrices(Protocol):
    """What a provider may offer besides its list: the vendor's own prices of today."""

    def live_prices(self) -> PriceBook:
        """A book that asks the vendor when it is asked; needs credentials then."""
        ...


def estimate(stack: Stack, prices: PriceBook) -> CostEstimate:
    """Price every resource of a stack."""
    items: list[LineItem] = []
    unknown: list[Unpriced] = []
    for resource in stack.resources:
        found = prices.price(resource, stack)
        if isinstance(found, Unpriced):
            unknown.append(found)
        else:
            items.extend(found)
    return CostEstimate(tuple(items), tuple(unknown), tuple(_alternatives(stack, prices)))


def _alternatives(stack: Stack, prices: PriceBook) -> Iterator[Alternative]:
    if isinstance(prices, KnowsAlternatives):
        for resource in stack.resources:
            yield from prices.alternatives(resource, stack)


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
    if cost.unknown:
        reasons = "; ".join(f"{one.resource} ({one.reason})" for one in cost.unknown)
        raise BudgetError(
            f"no price is known for {reasons}",
            hint="try --live-prices, choose sizes the price list knows, "
            "or leave out --max-monthly-cost",
        )
    if cost.total > limit:
        raise BudgetError(
            f"${cost.total:,.2f} a month is over the limit of ${limit:,.2f}",
            hint="raise --max-monthly-cost, or ask for less in spec.compute",
        )

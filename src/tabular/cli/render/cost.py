"""What a stack costs, for people and for programs; `plan` and `cost` show the same."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from tabular.cli.output import stdout

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.cost import Alternative, CostEstimate

OWN_HARDWARE = "your own hardware, no price list applies"


def cost_as_dict(cost: CostEstimate | None) -> dict[str, Any] | None:
    """Plain data for ``--json``; amounts are texts, so that no cent is rounded away."""
    if cost is None:
        return None
    return {
        "currency": "USD",
        "total": str(cost.total),
        "unpriced": list(cost.unpriced),
        "reasons": {one.resource: one.reason for one in cost.unknown},
        "items": [
            {
                "resource": i.resource,
                "amount": str(i.amount),
                "basis": i.basis,
                "source": i.source,
            }
            for i in cost.items
        ],
    }


def alternative_as_dict(alternative: Alternative) -> dict[str, str]:
    """Plain data for ``--json``."""
    return {
        "resource": alternative.resource,
        "kind": alternative.kind,
        "amount": str(alternative.amount),
        "instead_of": str(alternative.instead_of),
        "basis": alternative.basis,
        "source": alternative.source,
    }


def print_unpriced(cost: CostEstimate) -> None:
    """What has no price, with the reason."""
    for one in cost.unknown:
        stdout.print(f"  [yellow]price unknown[/]: {escape(one.resource)}: {escape(one.reason)}")


def print_cost(cost: CostEstimate) -> None:
    """Every line with what was counted, what has no price, the sum, and where prices are from."""
    shown = Table(box=None, padding=(0, 2), header_style="dim")
    shown.add_column("resource")
    shown.add_column("USD a month", justify="right")
    shown.add_column("counted")
    for item in cost.items:
        shown.add_row(escape(item.resource), f"{item.amount:,.2f}", escape(item.basis))
    stdout.print(shown)
    print_unpriced(cost)
    least = "at least " if cost.unknown else ""
    stdout.print(f"[bold]{least}${cost.total:,.2f} a month[/] (730 h, without tax), by prices of")
    for source in sorted({item.source for item in cost.items}):
        stdout.print(f"  {escape(source)}", style="dim")


def print_ways(found: Sequence[Alternative]) -> None:
    """In one line what other ways to buy come to; nothing where there are none."""
    words = {"commitment": "with a commitment of one year", "spot": "on spot"}
    ways = []
    for kind, how in words.items():
        listed = sum((one.instead_of for one in found if one.kind == kind), Decimal(0))
        paid = sum((one.amount for one in found if one.kind == kind), Decimal(0))
        if listed:
            ways.append(f"{how} ${paid:,.2f} instead of ${listed:,.2f}")
    if ways:
        stdout.print(f"    machines, estimated: {'; '.join(ways)}", style="dim")


def print_alternatives(found: Sequence[Alternative]) -> None:
    """Other ways to buy, beside what each is instead of."""
    if not found:
        return
    stdout.print("\nThe same bought in another way, estimated:")
    shown = Table(box=None, padding=(0, 2), header_style="dim")
    shown.add_column("resource")
    shown.add_column("how")
    shown.add_column("USD a month", justify="right")
    shown.add_column("instead of", justify="right")
    words = {"spot": "spot", "commitment": "one year, nothing upfront"}
    for one in found:
        amounts = (f"{one.amount:,.2f}", f"{one.instead_of:,.2f}")
        shown.add_row(escape(one.resource), words[one.kind], *amounts)
    stdout.print(shown)

"""`cost estimate`: what a deployment would cost a month, before there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tabular.cli.output import JsonFlag, print_json, stdout, tell
from tabular.cli.place import Reach, reach_flags
from tabular.cli.render.cost import (
    OWN_HARDWARE,
    alternative_as_dict,
    cost_as_dict,
    print_alternatives,
    print_cost,
)
from tabular.cli.spec_flags import LivePricesFlag, read_spec, spec_flags
from tabular.deploy.names import DEFAULT_PROVIDER

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.spec import Overrides

cost = typer.Typer(help="What a deployment costs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(cost, name="cost")


@cost.command("estimate")
@reach_flags
@spec_flags
def estimate(
    *,
    flags: Overrides,
    reach: Reach,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The deployment file; defaults if none.")
    ] = None,
    live_prices: LivePricesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what a deployment would cost a month, line by line, and what is assumed of its use.

    Needs no account: prices are of the list that ships with this release, each with its date. What
    has no price is named, not counted as nothing. With --json stdout carries {"target",
    "monthly_cost", "alternatives"}; "monthly_cost" is null for hardware of your own.
    """
    from tabular.deploy.cost import estimate as add_up
    from tabular.deploy.located import located

    loaded = read_spec(file, flags)
    with located(loaded):
        provider = loaded.deployment.spec.provider or DEFAULT_PROVIDER
        orchestrator = reach.within(loaded.deployment).connect(provider)
        if live_prices:
            orchestrator.use_live_prices()
        stack = orchestrator.provider.compile(loaded.deployment)
    prices = orchestrator.prices
    found = None if prices is None else add_up(stack, prices)
    others = () if found is None else found.alternatives
    if as_json:
        print_json(
            {
                "target": stack.target.id,
                "monthly_cost": cost_as_dict(found),
                "alternatives": [alternative_as_dict(one) for one in others],
            }
        )
        return
    stdout.print(f"[bold]Cost of {escape(stack.target.id)}[/]")
    if found is None:
        stdout.print(OWN_HARDWARE, style="dim")
        return
    print_cost(found)
    print_alternatives(others)
    if found.unknown and not live_prices:
        tell("--live-prices asks the vendor for what the list does not have", style="dim")

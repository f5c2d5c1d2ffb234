"""`keys create`: an administrator's key for a running platform, shown once."""

from __future__ import annotations

from typing import Annotated

import typer

from tabular.cli.output import JsonFlag, print_json, stderr
from tabular.cli.place import Place, place_flags

keys = typer.Typer(help="API keys of a running platform.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(keys, name="keys")


@keys.command("create")
@place_flags
def create(
    *,
    place: Place,
    label: Annotated[str, typer.Argument(help="Name of the key, as lists show it.")] = "admin",
    as_json: JsonFlag = False,
) -> None:
    """Create an administrator's key. It is printed once and kept nowhere."""
    key = place.orchestrator.issue_api_key(place.find().target, label)
    if as_json:
        print_json({"name": label, "api_key": key})
        return
    typer.echo(key)
    stderr.print("Keep it now: it is not shown again.", style="dim")

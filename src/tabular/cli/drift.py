"""`drift`: what was changed behind the engine's back."""

from __future__ import annotations

import typer

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.place import Place, place_flags
from tabular.cli.render.status import drift_as_dict, print_drift


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("drift")(drift)


@place_flags
def drift(
    *,
    place: Place,
    as_json: JsonFlag = False,
) -> None:
    """Compare what was applied with what is there. Exit code 2 if they differ."""
    found = place.engine.drift(place.find().target)
    if as_json:
        print_json([drift_as_dict(item) for item in found])
    elif not found:
        stdout.print("No drift.")
    else:
        print_drift(found)
    if found:
        raise typer.Exit(2)

"""`drift`: what was changed behind the engine's back."""

from __future__ import annotations

import typer
from rich.markup import escape

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.place import Place, place_flags
from tabular.cli.render.status import drift_as_dict


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
    for item in () if as_json else found:
        stdout.print(f"[yellow]{'gone' if item.gone else 'changed'}[/] {escape(item.resource)}")
        for change in item.properties:
            stdout.print(
                f"  {change.path}: applied {change.before}, now {change.after}", markup=False
            )
    if found:
        raise typer.Exit(2)

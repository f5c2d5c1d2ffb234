"""`destroy`: take a deployment down."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json, stdout, tell
from tabular.cli.place import Place, YesFlag, place_flags
from tabular.cli.render.events import show_events
from tabular.errors import NotFoundError


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("destroy")(destroy)


@place_flags
def destroy(
    *,
    place: Place,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete the data stores too. Not to be undone.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove what the deployment owns, and only that. Data is kept unless --delete-data.

    Needs no arguments where one deployment runs. Removing what is gone already is no error.
    """
    try:
        target = place.find().target
    except NotFoundError as gone:
        if as_json:
            print_json({"destroyed": None, "data": None})
        else:
            tell(f"{escape(gone.message)}: nothing to destroy")
        return
    fate = "and its data, for good" if delete_data else "and keep its data"
    confirm(f"Destroy {target.id} {fate}?", yes=yes)
    show_events(place.orchestrator.destroy(target, delete_data=delete_data), as_json=as_json)
    if as_json:
        print_json({"destroyed": target.id, "data": "deleted" if delete_data else "kept"})
        return
    stdout.print(f"Destroyed {escape(target.id)}.")
    if not delete_data:
        stdout.print("Its data is kept: deploy it again, or destroy it with --delete-data.")

"""`destroy`: take a deployment down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json, stdout, tell
from tabular.cli.place import Place, YesFlag, place_flags
from tabular.cli.render.events import show_events
from tabular.errors import NotFoundError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy import Event


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
    kept: list[str] = []
    events = _noting(place.orchestrator.destroy(target, delete_data=delete_data), kept)
    show_events(events, as_json=as_json)
    if as_json:
        data = "deleted" if delete_data else "kept" if kept else None
        print_json({"destroyed": target.id, "data": data})
        return
    stdout.print(f"Destroyed {escape(target.id)}.")
    if kept:
        stdout.print("Its data is kept: deploy it again, or destroy it with --delete-data.")


def _noting(events: Iterable[Event], kept: list[str]) -> Iterator[Event]:
    """The events, and in the list what they say was kept: only that may be told."""
    from tabular.deploy import EventStatus

    for event in events:
        if event.status is EventStatus.KEPT:
            kept.append(event.resource)
        yield event

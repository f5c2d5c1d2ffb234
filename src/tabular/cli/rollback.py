"""`rollback`: the release before, back into service."""

from __future__ import annotations

import typer

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json
from tabular.cli.place import Place, TimeoutFlag, YesFlag, place_flags
from tabular.cli.render.events import show_events
from tabular.cli.render.status import print_status, status_as_dict


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("rollback")(rollback)


@place_flags
def rollback(
    *,
    place: Place,
    timeout: TimeoutFlag = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Put the release before the present one back into service. Data is not touched."""
    orchestrator, target = place.reconnect(timeout=timeout), place.find().target
    question = (
        f"Roll {target.id} back to the release before? "
        "It brings back the spec, not the code that is installed, nor data"
    )
    confirm(question, yes=yes)
    show_events(orchestrator.rollback(target), as_json=as_json)
    status = place.engine.status(target)
    if as_json:
        print_json(status_as_dict(status))
    else:
        print_status(status)

"""`logs`: what the components of a deployment wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tabular.cli.app import INTERRUPTED
from tabular.cli.output import JsonFlag, OutputError, print_text
from tabular.cli.place import Place, place_flags
from tabular.errors import TabularError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.provider import LogLine


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("logs")(logs)


@place_flags
def logs(
    *,
    place: Place,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    tail: Annotated[int, typer.Option("--tail", min=0, help="Lines of each component.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Print the last lines of each component's log; `-f` follows until interrupted.

    Following ends with exit code 4 when the deployment is destroyed. With --json each line is
    one JSON object, the last one too: an `error` that says why there are no more.
    """
    target = place.find().target
    try:
        for line in place.engine.logs(target, follow=follow, tail=tail):
            print_text(line_text(line, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except OutputError:
        raise
    except TabularError as error:
        if not as_json:
            raise
        print_text(json.dumps({"error": error.as_dict()}))
        raise typer.Exit(error.exit_code) from None


def line_text(line: LogLine, *, as_json: bool) -> str:
    """A line as commands print it."""
    if not as_json:
        return f"{line.component} | {line.text}"
    time = None if line.time is None else line.time.isoformat()
    return json.dumps({"component": line.component, "time": time, "text": line.text})

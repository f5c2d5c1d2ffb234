"""`logs`: what the components of a deployment wrote."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tabular.cli.output import JsonFlag
from tabular.cli.place import (
    DEFAULT_PROVIDER,
    EnvironmentFlag,
    HomeFlag,
    NameFlag,
    ProviderFlag,
    connect,
)
from tabular.cli.render.events import INTERRUPTED
from tabular.deploy.provider import LogLine
from tabular.errors import TabularError


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("logs")(logs)


def logs(
    provider: ProviderFlag = DEFAULT_PROVIDER,
    name: NameFlag = None,
    environment: EnvironmentFlag = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    tail: Annotated[int, typer.Option("--tail", min=0, help="Lines of each component.")] = 50,
    home: HomeFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the last lines of each component's log; `-f` follows until interrupted.

    Following ends with exit code 4 when the deployment is destroyed. With --json each line is
    one JSON object, the last one too: an `error` that says why there are no more.
    """
    orchestrator = connect(provider, home)
    target = orchestrator.find(name, environment).target
    try:
        for line in orchestrator.provider.engine.logs(target, follow=follow, tail=tail):
            typer.echo(_as_json(line) if as_json else f"{line.component} | {line.text}")
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except TabularError as error:
        if not as_json:
            raise
        typer.echo(json.dumps({"error": error.as_dict()}))
        raise typer.Exit(error.exit_code) from None


def _as_json(line: LogLine) -> str:
    time = None if line.time is None else line.time.isoformat()
    return json.dumps({"component": line.component, "time": time, "text": line.text})

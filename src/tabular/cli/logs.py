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
    """Print the last lines of each component's log; `-f` follows until interrupted."""
    orchestrator = connect(provider, home)
    target = orchestrator.find(name, environment).target
    for line in orchestrator.provider.engine.logs(target, follow=follow, tail=tail):
        if as_json:
            time = None if line.time is None else line.time.isoformat()
            typer.echo(json.dumps({"component": line.component, "time": time, "text": line.text}))
        else:
            typer.echo(f"{line.component} | {line.text}")

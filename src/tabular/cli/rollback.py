"""`rollback`: the release before, back into service."""

from __future__ import annotations

import typer

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json
from tabular.cli.place import (
    DEFAULT_PROVIDER,
    EnvironmentFlag,
    HomeFlag,
    NameFlag,
    ProviderFlag,
    YesFlag,
    connect,
)
from tabular.cli.render.events import show_events
from tabular.cli.render.status import print_status, status_as_dict


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("rollback")(rollback)


def rollback(
    provider: ProviderFlag = DEFAULT_PROVIDER,
    name: NameFlag = None,
    environment: EnvironmentFlag = None,
    yes: YesFlag = False,
    home: HomeFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Put the release before the present one back into service. Data is not touched."""
    orchestrator = connect(provider, home)
    target = orchestrator.find(name, environment).target
    confirm(f"Roll {target.id} back to the release before?", yes=yes)
    show_events(orchestrator.rollback(target), as_json=as_json)
    status = orchestrator.provider.engine.status(target)
    if as_json:
        print_json(status_as_dict(status))
    else:
        print_status(status)

"""`status` and `list`: what runs."""

from __future__ import annotations

from dataclasses import replace

import typer

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.place import (
    Place,
    ProviderFlag,
    Reach,
    RegionFlag,
    place_flags,
    reach_flags,
)
from tabular.cli.render.status import print_list, print_status, status_as_dict
from tabular.deploy.names import DEFAULT_PROVIDER


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("status")(status)
    app.command("list")(list_deployments)


@place_flags
def status(
    *,
    place: Place,
    as_json: JsonFlag = False,
) -> None:
    """Show one deployment: state, release, address, each resource.

    Exit code 5 if it is not up: degraded, failed, deployed for the first time just now, or
    destroyed with its data kept.
    """
    from tabular.deploy.provider import State

    found = place.find()
    if as_json:
        print_json(status_as_dict(found))
    else:
        print_status(found)
    # Under an update, what ran before goes on serving.
    updating = found.state is State.APPLYING and found.release and found.outputs
    if found.state is not State.READY and not updating:
        raise typer.Exit(5)


@reach_flags
def list_deployments(
    *,
    reach: Reach,
    provider: ProviderFlag = DEFAULT_PROVIDER,
    region: RegionFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """List all deployments that can be seen from here."""
    found = replace(reach, region=region).connect(provider).provider.engine.list()
    if as_json:
        print_json([status_as_dict(item) for item in found])
    elif found:
        print_list(found)
    else:
        stdout.print("Nothing is deployed. `inferloop-tabular deploy` starts the platform here.")

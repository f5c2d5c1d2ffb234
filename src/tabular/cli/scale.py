"""`scale`: another number of instances or workers for what runs, without its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabular.cli.deploy import go
from tabular.cli.output import JsonFlag
from tabular.cli.place import Place, RuntimeFlag, TimeoutFlag, YesFlag, place_flags
from tabular.cli.render.events import show_events
from tabular.errors import NotFoundError, UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy import Deployment, Status


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("scale")(scale)


@place_flags
def scale(
    *,
    place: Place,
    instances: Annotated[
        int | None, typer.Option("--instances", min=1, help="API instances from now on.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Workers from now on.")
    ] = None,
    runtime: RuntimeFlag = None,
    timeout: TimeoutFlag = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Change how many instances or workers run; everything else stays as it was deployed.

    Needs no file: the deployment carries its spec. It is planned, shown and asked as by `deploy`,
    and `rollback` takes it back. The next `deploy` of a file has that file's numbers again.
    """
    from tabular.deploy import Gate

    said = {"instances": instances, "workers": workers}
    numbers = {key: number for key, number in said.items() if number is not None}
    if not numbers:
        raise UsageError("nothing is said about how many", hint="pass --instances or --workers")
    orchestrator = place.reconnect(runtime=runtime, timeout=timeout)
    # What runs is gone on with first: it may lead to another spec than serves now.
    show_events(orchestrator.attach(place.find().target), as_json=as_json)
    go(orchestrator, _scaled(place.find(), numbers), Gate(), yes=yes, as_json=as_json)


def _scaled(status: Status, numbers: dict[str, int]) -> Deployment:
    """The spec that was deployed, with other numbers."""
    from tabular.deploy import Deployment, State

    if status.state is State.RETAINED:
        raise NotFoundError(
            "only its data is left, nothing runs there",
            where=status.target.id,
            hint="deploy it again first",
            code="not-found.deployment",
        )
    return Deployment.scaled(status.spec, numbers)

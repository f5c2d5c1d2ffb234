"""`rollback`: the release before, back into service, after a look at what that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabular.cli.confirm import confirm
from tabular.cli.output import JsonFlag, print_json
from tabular.cli.place import Place, TimeoutFlag, YesFlag, place_flags
from tabular.cli.render.events import show_events
from tabular.cli.render.plan import plan_as_dict, print_plan
from tabular.cli.render.status import print_status, status_as_dict
from tabular.errors import BusyError, RefusedError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy import Gate, Plan


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("rollback")(rollback)


@place_flags
def rollback(
    *,
    place: Place,
    allow_data_loss: Annotated[
        bool,
        typer.Option(
            "--allow-data-loss", help="Go back even if data stores of now are not those of before."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the plan.")] = False,
    timeout: TimeoutFlag = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Put the release before the present one back into service: its spec and its code.

    Shows what changes and asks. Data is not moved: what was written since stays where the two
    releases share a data store; a rollback to other data stores needs --allow-data-loss.
    Exit codes: 3 refused, nothing touched; 5 failed, the message says what serves now.
    """
    from tabular.deploy import Gate

    orchestrator, target = place.reconnect(timeout=timeout), place.find().target
    try:
        made = orchestrator.plan_rollback(target)
    except BusyError as busy:
        if busy.code != "refused.abandoned" or dry_run:
            raise
        show_events(orchestrator.attach(target), as_json=as_json)
        made = orchestrator.plan_rollback(target)
    gate = Gate(allow_data_loss=allow_data_loss)
    _judge(made, gate, dry_run=dry_run, as_json=as_json)
    if dry_run:
        return
    confirm(f"Roll {target.id} back to this?", yes=yes)
    show_events(orchestrator.rollback(made, gate), as_json=as_json)
    status = place.engine.status(target)
    if as_json:
        print_json(status_as_dict(status))
    else:
        print_status(status)


def _judge(made: Plan, gate: Gate, *, dry_run: bool, as_json: bool) -> None:
    """Show the plan, then let it through or refuse it; stdout has one document at most."""
    if not as_json:
        print_plan(made)
    if not (as_json and dry_run):
        gate.require_rollback(made)
        return
    try:
        gate.require_rollback(made)
    except RefusedError as refused:
        print_json({**plan_as_dict(made), "error": refused.as_dict()})
        raise typer.Exit(refused.exit_code) from None
    print_json(plan_as_dict(made))

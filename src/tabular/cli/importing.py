"""`import`: what is there already becomes the deployment's own, after a look at what that means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tabular.cli.confirm import confirm
from tabular.cli.deploy import connect
from tabular.cli.output import JsonFlag, print_json, stdout, tell
from tabular.cli.place import Reach, YesFlag, reach_flags
from tabular.cli.render.events import show_events
from tabular.cli.render.status import drift_as_dict, print_drift
from tabular.cli.spec_flags import ConfigFlag, read_spec, spec_flags

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.importing import ImportPlan, Unlike
    from tabular.deploy.spec import Overrides


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("import")(import_)


@reach_flags
@spec_flags
def import_(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="On AWS LOGICAL_ID=PHYSICAL_ID, such as Bucket=our-old-bucket; parts of an id "
            "that has several are joined by |. On Kubernetes PersistentVolumeClaim/NAME.",
        ),
    ],
    *,
    flags: Overrides,
    reach: Reach,
    config: ConfigFlag = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the plan.")] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Take what exists already into a deployment, so that the spec owns it from then on.

    Nothing is made, changed, replaced or deleted. Shows what is adopted and asks; then tells where
    it is not as the spec says, as far as that can be read. The next `plan` has it as its own.
    Exit codes: 3 it cannot be adopted, nothing touched; 5 it failed, and was taken back.
    """
    from tabular.deploy.located import located

    loaded = read_spec(config, flags)
    with located(loaded):
        orchestrator = connect(loaded, reach)
        made = orchestrator.plan_import(loaded.deployment, what)
    if not as_json:
        _print(made)
    if dry_run:
        if as_json:
            print_json(_as_dict(made))
        return
    confirm(f"Adopt this into {made.stack.target.id}?", yes=yes)
    show_events(orchestrator.adopt(made), as_json=as_json)
    found = orchestrator.unlike(made)
    if as_json:
        unlike = {
            "by_deploy": [drift_as_dict(one) for one in found.by_deploy],
            "by_hand": [drift_as_dict(one) for one in found.by_hand],
        }
        print_json({**_as_dict(made), "unlike": unlike})
    else:
        _tell(made, found)


def _print(made: ImportPlan) -> None:
    stdout.print(f"[bold]Import into {escape(made.stack.target.id)}[/]")
    for one in made.adoptions:
        stdout.print(f"  [blue]=[/] {escape(one.resource)} [dim]{escape(one.type)}[/]", end="")
        stdout.print(f": {escape(one.physical)}")
        for name, why in one.later:
            stdout.print(f"      the next deploy sets {escape(name)}: {escape(why)}")
        for word in one.unread:
            stdout.print(f"      nobody can compare {escape(word)}: see yourself that it is right")
    stdout.print(f"{len(made.adoptions)} to adopt; nothing is made, changed or deleted.")


def _tell(made: ImportPlan, found: Unlike) -> None:
    stdout.print(f"[green]{len(made.adoptions)} adopted into {escape(made.stack.target.id)}[/]")
    if found.by_deploy:
        stdout.print("The next deploy makes it what the spec says:")
        print_drift(found.by_deploy, "the spec says")
    if found.by_hand:
        stdout.print("No deploy makes it what the spec says; change it there, or the spec:")
        print_drift(found.by_hand, "the spec says")
    if not found.by_deploy and not found.by_hand:
        stdout.print("As far as can be compared, all is as the spec says.")
    tell("  next  `inferloop-tabular plan`, `deploy`", style="dim")


def _as_dict(made: ImportPlan) -> dict[str, Any]:
    return {
        "target": made.stack.target.id,
        "adopt": [
            {
                "resource": one.resource,
                "type": one.type,
                "physical": one.physical,
                "later": [{"property": name, "reason": why} for name, why in one.later],
                "unread": list(one.unread),
            }
            for one in made.adoptions
        ],
    }

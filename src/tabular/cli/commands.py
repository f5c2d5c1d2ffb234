"""What the command tree does with names that it does not have yet, and with an interrupt.

Both are told by the tree as a whole, so that no command has to think of them.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from tabular.cli.app import INTERRUPTED
from tabular.cli.output import tell
from tabular.errors import UsageError

# Commands that users of other versions know, and what does their work in this one.
_LATER = {
    "deploy-multi": (
        "command for several places",
        "write one file for each place, and `inferloop-tabular deploy --config FILE` each of them",
    ),
    "migrate": (
        "command that moves a deployment",
        "`deploy` at the new place, then `backup create` from the old and `backup restore` into "
        "the new one",
    ),
}


class Commands(TyperGroup):
    """The root of the tree."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name.

        Raises:
            UsageError: it comes with a later version.
        """
        if cmd_name in _LATER:
            what, instead = _LATER[cmd_name]
            raise UsageError(
                f"this version has no {what} yet",
                where=cmd_name,
                hint=instead,
                code="usage.not-yet",
            )
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Typer would say no word of an interrupt."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            tell("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None

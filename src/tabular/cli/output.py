"""How every command speaks: results on stdout, everything else on stderr, JSON when asked.

One place, so that `--json` has one shape, `NO_COLOR` and a missing terminal are honoured
everywhere, and a pipe never receives a progress bar.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from tabular.errors import TabularError
from tabular.synth.hints import COMMAND_LINE, told

# Rich takes 80 columns where there is no terminal, and would cut tables in a log or a pipe.
_PIPE_WIDTH = 240
stdout = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH
)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_error(error: TabularError, *, as_json: bool = False) -> None:
    """The error on stderr, or as a JSON document on stdout for programs."""
    hint = told(error.hint, COMMAND_LINE)
    if as_json:
        print_json({"error": {**error.as_dict(), "hint": hint}})
        return
    place = f"{error.where}: " if error.where else ""
    stderr.print(f"[bold red]error[/] {error.code}", end=" ")
    stderr.print(f"{place}{error.message}", markup=False)
    if hint:
        stderr.print(f"  hint: {hint}", markup=False, style="dim")

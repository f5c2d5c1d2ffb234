"""`config explain`: which value each key ends up with, and who said so."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.cli.spec_flags import read_spec, spec_flags

if TYPE_CHECKING:  # the model of a spec is imported by the command that reads one
    from tabular.deploy.spec import Explained, Overrides

MAX_VALUE = 40

config = typer.Typer(help="What a deployment file means.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.add_typer(config, name="config")


@config.command("explain")
@spec_flags
def explain(
    *,
    flags: Overrides,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A deployment file of any form; defaults if none."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the keys that nobody has set.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show every effective value and where it came from: default, file:line:column, or flag.

    Keys are named as in the portable form; where a file says it in other words, those are shown.
    A secret that is written out in the file is not shown.
    """
    from tabular.deploy.spec import explain as effective
    from tabular.deploy.spec.explain import DEFAULT

    loaded = read_spec(file, flags)
    rows = list(effective(loaded))
    if as_json:
        print_json(
            {
                "file": None if file is None else str(file),
                "form": loaded.form,
                "notes": loaded.notes,
                "values": [asdict(row) for row in rows],
            }
        )
        return
    shown = [row for row in rows if everything or row.value not in (None, [], {})]
    keys = max(len(row.key) for row in shown)
    values = min(MAX_VALUE, max(len(_value(row)) for row in shown))
    for row in shown:
        line = Text.assemble(row.key.ljust(keys), "  ", (_value(row).ljust(values), "bold"), "  ")
        stdout.print(line + Text(_origin(row), style="dim" if row.origin == DEFAULT else ""))


def _value(row: Explained) -> str:
    return row.value if isinstance(row.value, str) else json.dumps(row.value, ensure_ascii=False)


def _origin(row: Explained) -> str:
    return f"{row.origin}  {row.note}" if row.note else row.origin

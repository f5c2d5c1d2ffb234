"""`export`: a deployment file in the words of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabular.cli.output import JsonFlag, print_json, print_text, stdout
from tabular.cli.outputs import write_text
from tabular.errors import InputError, UsageError

# Written out: to ask the formats themselves would import the whole spec for a help text.
NAMES = ("grafana", "prometheus", "alerts", "otel-collector")


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("export")(export)


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A deployment file of any form.")],
    format: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(NAMES)}.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the files; stdout if none.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write what other tools need to go with a deployment: dashboards, scraping, alerts.

    The same file gives the same bytes. Without --out, a format of one file goes to stdout. With
    --json stdout carries {"format", "out", "files"}, "files" by name with their text.
    """
    from tabular.deploy.export import format_named
    from tabular.deploy.spec import load

    chosen = format_named(format)
    files = {
        name: content.decode() for name, content in chosen.build(load(file).deployment).items()
    }
    if out is not None:
        _write(out, files)
    if as_json:
        shown = None if out is None else str(out)
        print_json({"format": chosen.name, "out": shown, "files": files})
    elif out is not None:
        for name in files:
            stdout.print(str(out / name), markup=False)
    elif len(files) == 1:
        print_text(next(iter(files.values())), end=False)
    else:
        raise UsageError(
            f"{chosen.name} gives {len(files)} files: {', '.join(files)}",
            hint="name a folder for them: --out DIR",
        )


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder cannot be made: {error.strerror}", where=str(target.parent)
            ) from error
        write_text(target, text)

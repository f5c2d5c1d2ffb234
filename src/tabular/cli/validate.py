"""`validate`: everything that is wrong with a deployment file, without touching anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tabular.cli.output import JsonFlag, print_json, stdout, tell
from tabular.errors import SpecError


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("validate")(validate)


def validate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A deployment file of any form; - is stdin.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Check a deployment file: exit code 0 if it is valid, 1 with every problem if not.

    Portable, flat, multi-cloud and Helm values files are told apart by their keys. With --json
    stdout carries {"file", "valid", "form", "name", "notes", "problems"}.
    """
    from tabular.deploy.located import check_overrides
    from tabular.deploy.spec import ProblemsError, load, load_text
    from tabular.deploy.spec.source import STDIN, read_stdin

    try:
        loaded = load_text(read_stdin(), STDIN) if str(file) == "-" else load(file)
        check_overrides(loaded)
    except SpecError as error:
        if not as_json:
            raise
        listed = error.problems if isinstance(error, ProblemsError) else ()
        problems: list[dict[str, Any]] = [problem.as_dict() for problem in listed]
        print_json({"file": str(file), "valid": False, "problems": problems or [_plain(error)]})
        raise typer.Exit(error.exit_code) from None
    name = loaded.deployment.metadata.name
    if as_json:
        print_json(
            {
                "file": str(file),
                "valid": True,
                "form": loaded.form,
                "name": name,
                "notes": loaded.notes,
                "problems": [],
            }
        )
        return
    for note in loaded.notes:
        tell(note, markup=False, style="dim")
    stdout.print(f"{loaded.name}: valid ({loaded.form} form, deployment {name})", markup=False)


def _plain(error: SpecError) -> dict[str, Any]:
    """A file that could not be read at all, in the shape of a problem."""
    return {
        "where": error.where,
        "line": None,
        "column": None,
        "key": "",
        "message": error.message,
        "hint": error.hint or "",
    }

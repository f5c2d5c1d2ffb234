"""`init`: a deployment file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabular.cli.output import JsonFlag, print_json, stdout
from tabular.errors import ConflictError, UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("init")(init)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.")] = Path(
        "deployment.yaml"
    ),
    name: Annotated[str, typer.Option("--name", help="Name of the deployment.")] = "tabular",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a commented deployment file that `validate` accepts."""
    from tabular.deploy.spec import load_text
    from tabular.deploy.spec.starter import starter

    text = starter(name)
    load_text(text, str(file))
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConflictError(
            "the file is there already", where=str(file), hint="pass --force to replace it"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(file)) from error
    if as_json:
        print_json({"file": str(file), "name": name})
        return
    stdout.print(f"wrote {file}", markup=False)
    stdout.print(f"  next  `inferloop-tabular validate {file}`", markup=False)

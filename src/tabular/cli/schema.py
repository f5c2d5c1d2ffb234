"""`schema`: the format of deployment files, for editors and for the reference."""

from __future__ import annotations

from typing import Annotated

import typer

from tabular.cli.output import print_json, print_text
from tabular.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("schema")(schema)


def schema(
    form: Annotated[
        str, typer.Option("--format", help="json (JSON Schema) or markdown (tables of all keys).")
    ] = "json",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Print the format of portable deployment files, as JSON Schema (draft 2020-12).

    For completion in an editor: write it to a file and name that file in the first line of a
    deployment: `# yaml-language-server: $schema=deployment.schema.json`.
    """
    from tabular.deploy.spec.schema import json_schema, markdown

    if form not in ("json", "markdown"):
        raise UsageError(f"there is no format {form!r}", hint="--format json or markdown")
    if as_json or form == "json":
        print_json(json_schema())
    else:
        print_text(markdown())

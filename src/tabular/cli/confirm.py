"""Asking before something is changed, and never hanging where nobody can answer."""

from __future__ import annotations

import sys

import typer

from tabular.errors import UsageError


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal; pass with ``yes``.

    Raises:
        UsageError: nobody can be asked.
        typer.Exit: the answer was no (exit code 1).
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this asks before it acts, and there is no terminal to ask on",
            hint="pass --yes",
            code="usage.no-terminal",
        )
    if not typer.confirm(question, err=True):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(1)

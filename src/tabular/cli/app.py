"""The command tree. A command is a module of this folder; this file only lists them."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tabular.cli import (
    config,
    deploy,
    destroy,
    doctor,
    drift,
    evaluate,
    fit,
    generate,
    init,
    keys,
    logs,
    profile,
    rollback,
    sample,
    schema,
    status,
    validate,
)
from tabular.cli.output import print_error
from tabular.errors import TabularError, TooLargeError
from tabular.version import __version__

app = typer.Typer(
    name="inferloop-tabular",
    help="Synthetic tables, and the platform that makes them, anywhere.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"inferloop-tabular {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Synthetic tables, and the platform that makes them, anywhere."""


# One line per command module, in the order that --help shows.
fit.register(app)
sample.register(app)
generate.register(app)
evaluate.register(app)
profile.register(app)
init.register(app)
validate.register(app)
schema.register(app)
config.register(app)
deploy.register(app)
status.register(app)
logs.register(app)
drift.register(app)
rollback.register(app)
destroy.register(app)
keys.register(app)
doctor.register(app)


def main() -> None:
    """Entry point of ``inferloop-tabular``: runs a command, turns our errors into exit codes."""
    as_json = "--json" in sys.argv
    try:
        app()
    except TabularError as error:
        print_error(error, as_json=as_json)
        raise SystemExit(error.exit_code) from None
    except MemoryError:
        lacking = TooLargeError(
            "not enough memory for this", hint="take fewer rows, or a machine with more memory"
        )
        print_error(lacking, as_json=as_json)
        # Threads of Arrow that found no memory can wait for each other for ever at exit.
        sys.stdout.flush()
        os._exit(lacking.exit_code)

"""The command tree. A command is a module of this folder; this file only lists them."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.rich_utils import rich_format_error

from tabular.cli import (
    backup,
    config,
    deploy,
    destroy,
    doctor,
    drift,
    evaluate,
    export,
    fit,
    generate,
    init,
    keys,
    logs,
    profile,
    rollback,
    sample,
    scale,
    schema,
    status,
    validate,
)
from tabular.cli.output import print_error, stderr
from tabular.errors import TabularError, TooLargeError, UsageError
from tabular.version import __version__

CHANGES = 2
# Typer brings a Click of its own in some versions and uses the package in others.
_CommandLineError: Any = typer.BadParameter.__mro__[1]

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
export.register(app)
scale.register(app)
rollback.register(app)
destroy.register(app)
keys.register(app)
backup.register(app)
doctor.register(app)


def main() -> None:
    """Entry point of ``inferloop-tabular``: runs a command, turns errors into exit codes."""
    as_json = "--json" in sys.argv
    try:
        raise SystemExit(app(standalone_mode=False))
    except TabularError as error:
        print_error(error, as_json=as_json)
        code = error.exit_code
    except _CommandLineError as error:
        code = _wrong_command_line(error, as_json=as_json)
    except typer.Abort:
        stderr.print("Aborted.")
        code = 1
    except MemoryError:
        lacking = TooLargeError(
            "not enough memory for this", hint="take fewer rows, or a machine with more memory"
        )
        print_error(lacking, as_json=as_json)
        # Threads of Arrow that found no memory can wait for each other for ever at exit.
        sys.stdout.flush()
        os._exit(lacking.exit_code)
    # As Terraform's users expect: 2 says that there are changes, and never that something failed.
    raise SystemExit(1 if "--detailed-exitcode" in sys.argv and code == CHANGES else code)


def _wrong_command_line(error: Any, *, as_json: bool) -> int:
    """Tell what Typer found wrong with the arguments; the exit code."""
    if as_json:
        command = error.ctx.command_path if error.ctx else app.info.name
        told = UsageError(error.format_message(), hint=f"see `{command} --help`")
        print_error(told, as_json=True)
    else:
        rich_format_error(error)
    return int(error.exit_code)

"""The command tree. A command is a module of this folder; this file only lists them."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer

from tabular.cli import (
    aws,
    backup,
    bundle,
    config,
    cost,
    deploy,
    destroy,
    doctor,
    drift,
    evaluate,
    export,
    fit,
    generate,
    image,
    importing,
    init,
    jobs,
    keys,
    logs,
    onprem,
    profile,
    rollback,
    sample,
    scale,
    schema,
    status,
    validate,
)
from tabular.cli.app import INTERRUPTED
from tabular.cli.commands import Commands
from tabular.cli.net import internal
from tabular.cli.output import OutputError, host_failure, on_full_disk, print_error, settle, tell
from tabular.errors import TabularError, TooLargeError, UsageError
from tabular.version import __version__

CHANGES = 2
# What a shell shows for a program that SIGPIPE ended: its reader had enough.
READER_GONE = 141
# Typer brings a Click of its own in some versions and uses the package in others.
_CommandLineError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="inferloop-tabular",
    cls=Commands,
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
cost.register(app)
deploy.register(app)
status.register(app)
logs.register(app)
drift.register(app)
importing.register(app)
export.register(app)
scale.register(app)
rollback.register(app)
destroy.register(app)
keys.register(app)
backup.register(app)
doctor.register(app)
jobs.register(app)
image.register(app)
bundle.register(app)
aws.register(app)
onprem.register(app)


def run() -> int:
    """Run the command of ``sys.argv``; its exit code, whatever the streams still take."""
    try:
        return _run()
    finally:
        settle()


def _run() -> int:
    """Run a command; errors become messages and exit codes."""
    as_json = "--json" in sys.argv
    try:
        return int(app(standalone_mode=False) or 0)
    except OutputError as error:
        if error.reader_gone:
            return READER_GONE
        code = _failed(error, as_json=False)
    except TabularError as error:
        code = _failed(on_full_disk(error), as_json=as_json)
    except _CommandLineError as error:
        code = _wrong_command_line(error, as_json=as_json)
    except typer.Abort as error:
        # Ctrl-C at a question, or the end of what is typed.
        interrupted = isinstance(error.__context__, KeyboardInterrupt)
        tell("Interrupted." if interrupted else "Aborted.")
        code = INTERRUPTED if interrupted else 1
    except OSError as error:
        code = _failed(host_failure(error) or internal(error), as_json=as_json)
    except MemoryError:
        lacking = TooLargeError(
            "not enough memory for this", hint="take fewer rows, or a machine with more memory"
        )
        _failed(lacking, as_json=as_json)
        # Threads of Arrow that found no memory can wait for each other for ever at exit.
        sys.stdout.flush()
        os._exit(lacking.exit_code)
    except Exception as error:  # noqa: BLE001 - the last net
        code = _failed(internal(error), as_json=as_json)
    # As Terraform's users expect: 2 says that there are changes, and never that something failed.
    return 1 if "--detailed-exitcode" in sys.argv and code == CHANGES else code


def _failed(error: TabularError, *, as_json: bool) -> int:
    """Tell an error; its exit code, which says the same where nothing can be told."""
    try:
        print_error(error, as_json=as_json)
    except OutputError:
        print_error(error)
    return error.exit_code


def _wrong_command_line(error: Any, *, as_json: bool) -> int:
    """Tell what Typer found wrong with the arguments; the exit code."""
    if as_json:
        command = error.ctx.command_path if error.ctx else app.info.name
        told = UsageError(error.format_message(), hint=f"see `{command} --help`")
        _failed(told, as_json=True)
    else:
        from typer.rich_utils import rich_format_error

        with contextlib.suppress(OSError):
            rich_format_error(error)
    return int(error.exit_code)

"""How every command speaks: results on stdout, everything else on stderr, JSON when asked.

One place, so that `--json` has one shape, `NO_COLOR` and a missing terminal are honoured
everywhere, a pipe never receives a progress bar, and a stdout that takes nothing more is an error
that says what was done.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tabular.errors import EngineError, TabularError
from tabular.synth.hints import COMMAND_LINE, told

# Rich takes 80 columns where there is no terminal, and would cut tables in a log or a pipe.
_PIPE_WIDTH = 240
_FULL = (errno.ENOSPC, errno.EDQUOT)


class OutputError(EngineError):
    """Stdout takes nothing more.

    Args:
        reason: what the system said.
        done: what was done though it cannot be shown, a whole sentence; "" if nothing changed.
        hint: how to see it after all.
    """

    code = "engine.output"

    def __init__(self, reason: OSError, *, done: str = "", hint: str | None = None) -> None:
        message = f"the output cannot be written: {reason.strerror or reason}"
        super().__init__(
            f"{message}. {done}" if done else message,
            where="stdout",
            hint=hint or "free some space or write it elsewhere, and run the same command again",
        )
        self.reason = reason
        # Who reads `… | head -1` wants no word of it, unless something would be lost.
        self.reader_gone = isinstance(reason, BrokenPipeError) and not done

    def but(self, done: str, hint: str) -> OutputError:
        """The same, with what was done nevertheless."""
        return OutputError(self.reason, done=done, hint=hint)


class _Stdout(Console):
    """Rich's console, whose failures are ours: it would end the program at a broken pipe."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise OutputError(error) from error

    def on_broken_pipe(self) -> None:
        """Called where the error is handled: passes it on."""
        raise  # noqa: PLE0704 - Rich calls this within its except clause


stdout = _Stdout(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH
)
_WIDE = stdout.options.update(width=10_000)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def print_text(text: str, *, end: bool = True) -> None:
    """A text on stdout as it is, and a line end unless it brings its own."""
    try:
        typer.echo(text, nl=end)
    except OSError as error:
        raise OutputError(error) from error


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print_text(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def new_table(*columns: str, wraps: str = "") -> Table:
    """An empty table whose names, ids and addresses stay whole.

    Args:
        columns: their headers.
        wraps: the one among them that is prose, and may go on in the next line.
    """
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in columns:
        table.add_column(name, no_wrap=name != wraps, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """A table on stdout; on a terminal too narrow for it, its rows one below the other."""
    for column in table.columns:
        if column.no_wrap:
            cells = (column.header, *column.cells)
            column.min_width = max(stdout.measure(cell, options=_WIDE).maximum for cell in cells)
    least = stdout.measure(table, options=_WIDE).minimum
    if not stdout.is_terminal:
        stdout.print(table, width=max(stdout.width, least))
    elif least <= stdout.width:
        stdout.print(table)
    else:
        _print_stacked(table)


def _print_stacked(table: Table) -> None:
    first, *others = table.columns
    cells = [list(column.cells) for column in others]
    for row, name in enumerate(first.cells):
        stdout.print(name)
        for column, values in zip(others, cells, strict=True):
            if values[row]:
                stdout.print(f"  [dim]{column.header}[/]", values[row])


def tell(text: str, **options: Any) -> None:
    """A message on stderr; where nobody can be told, the work goes on."""
    with contextlib.suppress(OSError):
        stderr.print(text, **options)


def print_error(error: TabularError, *, as_json: bool = False) -> None:
    """The error on stderr, or as a JSON document on stdout for programs."""
    hint = told(error.hint, COMMAND_LINE)
    if as_json:
        print_json({"error": {**error.as_dict(), "hint": hint}})
        return
    place = f"{error.where}: " if error.where else ""
    tell(f"[bold red]error[/] {error.code}", end=" ")
    tell(f"{place}{error.message}", markup=False)
    if hint:
        tell(f"  hint: {hint}", markup=False, style="dim")


def on_full_disk(error: TabularError) -> TabularError:
    """The same, as the host's failure where a full disk is its reason.

    Whoever writes a file blames the file, and knows nothing of exit codes.
    """
    cause = error.__cause__
    full = isinstance(cause, OSError) and cause.errno in _FULL
    if not full or error.exit_code == EngineError.exit_code:
        return error
    there = f" on the disk of {error.where}" if error.where else ""
    return EngineError(
        error.message,
        where=error.where,
        hint=error.hint or f"free some space{there}, or name a file on another disk",
        code=error.code if error.code.startswith("engine.") else "engine.storage",
    )


def settle() -> None:
    """Drop what a stream did not take: Python would try again when it ends, and end with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)
            stream.flush()


def host_failure(error: OSError) -> TabularError | None:
    """The words for a disk or an output that is full; None for any other failure, a bug."""
    try:
        sys.stdout.flush()
    except OSError as stuck:
        return OutputError(stuck)
    if error.errno not in _FULL:
        return None
    return EngineError(
        f"the output, or a file, cannot be written: {error.strerror}",
        where=str(error.filename) if error.filename else None,
        hint="free some space, and run the same command again",
        code="engine.storage",
    )

"""Writes docs/cli.md from the command tree itself, so that it cannot fall behind (`make docs`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperArgument, TyperGroup, TyperOption

from tabular.cli.tree import app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

HEAD = """\
# The command line

Written by `make docs` from the commands themselves.

Results go to stdout, progress and messages to stderr. Every command takes `--json`: one JSON
document on stdout, `{"error": {"code", "message", "where", "hint"}}` if it failed. Without a
terminal there are no bars and no questions; `NO_COLOR` is honoured.

| exit code | means |
|---|---|
| 0 | done |
| 1 | the input was wrong, or a check found something; nothing was touched |
| 2 | the command line was wrong; or, where it says so, there are changes |
| 3 | refused: a policy, the budget, `--strict`, a stale plan, another apply; nothing was touched |
| 4 | there is no such deployment |
| 5 | the engine or the host failed, or a disk or the output is full; the message says what serves |
| 70 | a bug: nobody foresaw this; the message names a file with what to report |
| 130 | interrupted; an apply goes on, and the same command attaches to it again |
| 141 | who read the output went away before its end, such as `head`; nothing else failed |
"""


def render() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    return HEAD + "".join(_command(root, ("inferloop-tabular",)))


def _command(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _command(child, (*path, name))
        return
    arguments = [p for p in command.params if isinstance(p, TyperArgument)]
    options = [p for p in command.params if isinstance(p, TyperOption)]
    usage = " ".join([*path, *(_argument(argument) for argument in arguments)])
    yield f"\n## `{usage}`\n\n{_text(command.help)}\n"
    if options:
        yield "\n| option | |\n|---|---|\n"
        for option in options:
            names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
            yield f"| {names} | {_text(option.help)} |\n"


def _argument(argument: TyperArgument) -> str:
    name = (argument.metavar or argument.name or "").strip("[]").upper()
    return name if argument.required else f"[{name}]"


def _text(text: str | None) -> str:
    return (text or "").strip().replace("|", "&#124;").replace("\b", "")


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote {TARGET.name}")

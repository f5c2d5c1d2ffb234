"""Progress bars of the commands that work on tables: on stderr, and on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tabular.cli.output import stderr


@contextmanager
def bar(title: str) -> Iterator[Callable[[float], None]]:
    """Shows a bar; yields what to call with the fraction done.

    Args:
        title: what is going on.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )
    with shown:
        task = shown.add_task(title, total=1.0)
        yield lambda fraction: shown.update(task, completed=fraction)

"""Events as they come: a live table on a terminal, plain lines without one, JSON lines on wish."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable

import typer
from rich.markup import escape
from rich.table import Table

from tabular.cli.app import INTERRUPTED
from tabular.cli.output import stderr, tell
from tabular.deploy.events import Event, EventStatus

STYLES = {
    EventStatus.IN_PROGRESS: "cyan",
    EventStatus.COMPLETE: "green",
    EventStatus.FAILED: "bold red",
    EventStatus.ROLLING_BACK: "yellow",
    EventStatus.ROLLED_BACK: "yellow",
    EventStatus.KEPT: "blue",
}


def show_events(events: Iterable[Event], *, as_json: bool) -> None:
    """Consume the stream and draw it on stderr; errors of the stream pass through.

    Args:
        events: from an engine; whatever it raises is the caller's to report.
        as_json: where no terminal is, one JSON object a line on stderr, for programs that watch.

    Raises:
        typer.Exit: interrupted (130); where the engine is not in this process, it goes on.
    """
    try:
        if stderr.is_terminal:
            _show_live(events)
        else:
            for event in events:
                # Raw, as a log takes it; where stderr is full the work goes on untold.
                with contextlib.suppress(OSError):
                    typer.echo(_json_line(event) if as_json else _line(event), err=True)
    except KeyboardInterrupt:
        tell("Interrupted half-way. The same command again goes on with what was begun.")
        raise typer.Exit(INTERRUPTED) from None


def _json_line(event: Event) -> str:
    return json.dumps(event.as_dict(), sort_keys=True)


def _line(event: Event) -> str:
    reason = f": {event.reason}" if event.reason else ""
    name = event.resource or "deployment"
    return f"{event.time:%H:%M:%S} {name} {event.status.value.replace('_', ' ')}{reason}"


def _show_live(events: Iterable[Event]) -> None:
    from rich.live import Live

    latest: dict[str, Event] = {}
    with Live(_table(latest), console=stderr, refresh_per_second=8) as live:
        for event in events:
            latest[event.resource] = event
            live.update(_table(latest))


def _table(latest: dict[str, Event]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, event in latest.items():
        style = STYLES[event.status]
        table.add_row(
            f"{event.time:%H:%M:%S}",
            escape(name or "deployment"),
            f"[{style}]{event.status.value.replace('_', ' ')}[/]",
            escape(event.reason),
        )
    return table

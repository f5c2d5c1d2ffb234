"""The state of deployments, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from tabular.cli.output import new_table, print_table, stdout

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.provider import Drift, Status

# By the value of a state.
STATE_STYLES = {
    "ready": "green",
    "applying": "cyan",
    "degraded": "yellow",
    "failed": "bold red",
    "retained": "blue",
}


def status_as_dict(status: Status) -> dict[str, Any]:
    """Plain data for ``--json``; the same keys for every provider."""
    return {
        "target": status.target.id,
        "provider": status.target.provider,
        "name": status.target.name,
        "environment": status.target.environment,
        "region": status.target.region,
        "state": status.state.value,
        "detail": status.detail,
        "release": status.release,
        "updated": status.updated.isoformat(),
        "outputs": dict(status.outputs),
        "resources": [
            {"id": r.id, "type": r.type, "state": r.state, "detail": r.detail}
            for r in status.resources
        ],
    }


def print_status(status: Status) -> None:
    """One deployment with its resources."""
    style = STATE_STYLES[status.state.value]
    stdout.print(
        f"[bold]{escape(status.target.id)}[/]  [{style}]{status.state.value}[/]  "
        f"release {escape(status.release or 'none yet')}"
    )
    if status.detail:
        stdout.print(f"  {escape(status.detail)}")
    for name, value in sorted(status.outputs.items()):
        stdout.print(f"  {escape(name)}: {escape(value)}")
    table = new_table("resource", "type", "state", "detail", wraps="detail")
    for resource in status.resources:
        table.add_row(
            *(escape(v) for v in (resource.id, resource.type, resource.state)),
            escape(resource.detail),
        )
    print_table(table)


def print_list(found: Iterable[Status]) -> None:
    """One line for each deployment."""
    table = new_table("deployment", "state", "release", "updated", "url")
    for status in found:
        table.add_row(
            escape(status.target.id),
            f"[{STATE_STYLES[status.state.value]}]{status.state.value}[/]",
            escape(status.release or "-"),
            f"{status.updated:%Y-%m-%d %H:%M} UTC",
            escape(status.outputs.get("url", "-")),
        )
    print_table(table)


def drift_as_dict(drift: Drift) -> dict[str, Any]:
    """Plain data for ``--json``."""
    return {
        "resource": drift.resource,
        "type": drift.type,
        "gone": drift.gone,
        "properties": [
            {"path": p.path, "before": p.before, "after": p.after} for p in drift.properties
        ],
    }


def print_drift(found: Iterable[Drift], words: str = "applied") -> None:
    """What is not as it was applied, or as ``words`` say, resource by resource."""
    for item in found:
        stdout.print(f"[yellow]{'gone' if item.gone else 'changed'}[/] {escape(item.resource)}")
        for change in item.properties:
            stdout.print(
                f"  {change.path}: {words} {change.before}, now {change.after}", markup=False
            )

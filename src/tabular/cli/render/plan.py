"""A plan as a person reads it before saying yes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from tabular.cli.output import stdout
from tabular.cli.render.cost import OWN_HARDWARE, cost_as_dict, print_unpriced, print_ways

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.plan import Change, Plan
    from tabular.deploy.policy import Finding

# By the value of an action; what is not here is no change.
SIGNS = {
    "create": "[green]+[/]",
    "update": "[yellow]~[/]",
    "replace": "[red]-/+[/]",
    "delete": "[red]-[/]",
}
SHOWN_VALUE = 80
_IN_DOCUMENT = re.compile(r"spec\.(spec|metadata)\.")


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """Plain data for ``--json``; the same keys for every provider."""
    return {
        "target": plan.stack.target.id,
        "fingerprint": plan.fingerprint,
        "changes": [
            {
                "action": change.action.value,
                "resource": change.resource,
                "type": change.type,
                "loses_data": change.loses_data,
                "properties": [
                    {"path": p.path, "before": p.before, "after": p.after}
                    for p in change.properties
                ],
            }
            for change in plan.changes
        ],
        "reductions": [
            {"field": r.field, "asked": r.asked, "given": r.given, "reason": r.reason}
            for r in plan.stack.reductions
        ],
        "findings": [finding_as_dict(one) for one in plan.findings],
        "monthly_cost": cost_as_dict(plan.cost),
        "empty": plan.is_empty,
    }


def finding_as_dict(finding: Finding) -> dict[str, Any]:
    """Plain data for ``--json``."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "where": finding.where,
        "message": finding.message,
        "hint": finding.hint,
        "waiver": finding.waiver,
        "blocks": finding.blocks,
    }


def print_plan(plan: Plan) -> None:
    """Changes, reductions, findings, cost, and a summary line, on stdout."""
    stdout.print(f"[bold]Plan for {escape(plan.stack.target.id)}[/]")
    for change in plan.changes:
        if change.action.value in SIGNS:
            _print_change(change)
    for reduction in plan.stack.reductions:
        stdout.print(
            f"  [yellow]reduced[/] {escape(reduction.field)}: asked {escape(reduction.asked)}, "
            f"given {escape(reduction.given)} ({escape(reduction.reason)})"
        )
    for finding in plan.findings:
        show_finding(finding, stdout.print)
    _print_cost(plan)
    actions = Counter(change.action.value for change in plan.changes)
    counts = [f"{actions[word]} to {word}" for word in SIGNS if actions[word]]
    stdout.print("Nothing to change." if plan.is_empty else f"{', '.join(counts)}.")


def show_finding(finding: Finding, show: Callable[..., None]) -> None:
    """What a rule found and how to mend it, or why it is waived.

    Args:
        finding: of the policy.
        show: prints a line of markup, to stdout or stderr.
    """
    colour = "red" if finding.blocks else "yellow"
    show(
        f"  [{colour}]{finding.severity.value}[/] {finding.rule} "
        f"{escape(finding.where)}: {escape(finding.message)}"
    )
    mend = f"waived: {finding.waiver}" if finding.waiver else f"hint: {finding.hint}"
    show(f"    {escape(mend)}", style="dim")


def _print_change(change: Change) -> None:
    warning = " [bold red](its data is lost)[/]" if change.loses_data else ""
    sign = SIGNS[change.action.value]
    stdout.print(f"  {sign} {escape(change.resource)} [dim]{escape(change.type)}[/]{warning}")
    if change.action.value in ("update", "replace"):
        for item in change.properties:
            # Of a description the property is the whole document, which has a `spec` of its own.
            path = item.path.removeprefix("spec.") if _IN_DOCUMENT.match(item.path) else item.path
            stdout.print(f"      {escape(path)}: {_short(item.before)} -> {_short(item.after)}")


def _print_cost(plan: Plan) -> None:
    if plan.cost is None:
        stdout.print(f"  cost: {OWN_HARDWARE}", style="dim")
        return
    stdout.print(f"  cost: ${plan.cost.total:,.2f} a month")
    print_ways(plan.cost.alternatives)
    print_unpriced(plan.cost)


def _short(value: Any) -> str:
    nested = isinstance(value, Mapping | list | tuple)
    text = json.dumps(value, default=_plain) if nested else str(value)
    text = "(none)" if value is None else text
    return escape(text if len(text) <= SHOWN_VALUE else text[: SHOWN_VALUE - 1] + "…")


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)

"""Rules that a plan must pass before anything is touched.

Rules look at the portable spec and at the compiled template, whatever the vendor, so that one
unsafe line is caught the same way everywhere. A waiver is written into the spec with its reason,
shown in every plan, and can run out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

from tabular.deploy.capability import CapabilityTable, Support, lookup
from tabular.deploy.policy.finding import Finding, Severity
from tabular.deploy.policy.rules import RULES, UNWAIVABLE
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import Stack
from tabular.errors import PolicyError, nearest

__all__ = ["RULES", "Finding", "Severity", "check", "require_allowed"]


def check(
    deployment: Deployment,
    stack: Stack,
    *,
    capabilities: CapabilityTable | None = None,
    today: date | None = None,
) -> tuple[Finding, ...]:
    """Apply every rule, then the spec's waivers.

    Args:
        deployment: the spec.
        stack: what it was compiled to.
        capabilities: of the provider: a hint advises no field that it refuses.
        today: waivers that expire before it do not count; the current UTC date by default.
    """
    today = today or datetime.now(UTC).date()
    found = [
        _fitting(finding, capabilities or {})
        for rule in RULES.values()
        for finding in rule(deployment, stack)
    ]
    waived = {
        waiver.rule: waiver.reason
        for waiver in deployment.spec.policy.waivers
        if (waiver.expires is None or waiver.expires >= today) and waiver.rule not in UNWAIVABLE
    }
    return (
        *(replace(finding, waiver=waived.get(finding.rule)) for finding in found),
        *_waiver_findings(deployment, found, today),
    )


def _fitting(finding: Finding, capabilities: CapabilityTable) -> Finding:
    """The finding with what this provider has instead of a field that it refuses."""
    field = finding.where.removeprefix("spec.")
    if not capabilities or field == finding.where:
        return finding
    found = lookup(capabilities, field)
    return (
        finding if found.support is not Support.UNSUPPORTED else replace(finding, hint=found.note)
    )


def require_allowed(findings: Iterable[Finding]) -> None:
    """Let the findings through or refuse.

    Raises:
        PolicyError: names every finding that blocks and how to mend it.
    """
    blocking = [finding for finding in findings if finding.blocks]
    if blocking:
        listed = "; ".join(f"{f.rule} at {f.where}: {f.message} ({f.hint})" for f in blocking)
        raise PolicyError(
            f"{len(blocking)} policy rule(s) forbid it: {listed}",
            hint="mend the spec, or add {rule, reason} to spec.policy.waivers",
        )


def _waiver_findings(
    deployment: Deployment, found: Iterable[Finding], today: date
) -> Iterator[Finding]:
    """A waiver that waives nothing hides a typing error or outlived its cause."""
    rules = {finding.rule for finding in found}
    for index, waiver in enumerate(deployment.spec.policy.waivers):
        where = f"spec.policy.waivers[{index}]"
        if waiver.rule not in RULES:
            yield Finding(
                "unknown-waiver",
                Severity.ERROR,
                where,
                f"no rule is called {waiver.rule!r}",
                f"{nearest(waiver.rule, RULES)}rules: {', '.join(RULES)}",
            )
        elif waiver.rule in UNWAIVABLE:
            yield Finding(
                "unknown-waiver",
                Severity.ERROR,
                where,
                f"{waiver.rule} cannot be waived",
                UNWAIVABLE[waiver.rule],
            )
        elif waiver.expires is not None and waiver.expires < today:
            yield Finding(
                "expired-waiver",
                Severity.WARNING,
                where,
                f"the waiver of {waiver.rule} ran out on {waiver.expires}",
                "mend the cause, or renew the waiver",
            )
        elif waiver.rule not in rules:
            yield Finding(
                "unused-waiver",
                Severity.WARNING,
                where,
                f"{waiver.rule} holds; the waiver waives nothing",
                "remove it",
            )

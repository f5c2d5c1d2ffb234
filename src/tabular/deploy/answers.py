"""What every engine answers in the same words, whoever keeps the state behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tabular.deploy.importing import ImportPlan
from tabular.deploy.plan import Plan, diff_properties
from tabular.deploy.provider import Drift
from tabular.deploy.stack import Resource
from tabular.deploy.target import Target
from tabular.errors import NotFoundError, StalePlanError


def nothing_at(target: Target) -> NotFoundError:
    """Nothing is deployed there."""
    return NotFoundError(
        f"nothing is deployed as {target.environment}/{target.name}",
        where=target.id,
        hint="`inferloop-tabular list` shows what runs",
        code="not-found.deployment",
    )


def no_release_before(target: Target) -> NotFoundError:
    """There is nothing to roll back to."""
    return NotFoundError(
        "there is no release before the present one",
        where=target.id,
        hint="deploy the spec you want",
        code="not-found.release",
    )


def require_fresh(plan: Plan | ImportPlan, basis: str) -> None:
    """Refuse a plan that was made against something else than what runs now.

    Args:
        plan: to be applied.
        basis: fingerprint of what runs, as `Plan.basis` would have it now.

    Raises:
        StalePlanError: they differ.
    """
    if plan.basis != basis:
        raise StalePlanError(
            "what runs is not what the plan was made against",
            where=plan.stack.target.id,
            hint="plan again, look at it, and apply that",
        )


def require_same(plan: Plan, now: Plan) -> None:
    """Refuse a plan that, made again now, would be another one.

    Raises:
        StalePlanError: they differ in what they lead to, or in what they were made against.
    """
    require_fresh(plan, now.basis)
    if plan.fingerprint != now.fingerprint:
        raise StalePlanError(
            "the plan leads to another release than it would now",
            where=plan.stack.target.id,
            hint="plan again, look at it, and apply that",
        )


def drift_between(applied: Iterable[Resource], found: Mapping[str, Resource]) -> Iterator[Drift]:
    """Every applied resource that is gone or has other properties now.

    Args:
        applied: as the engine was told.
        found: by id, as they are.
    """
    for resource in applied:
        now = found.get(resource.id)
        if now is None:
            yield Drift(resource.id, resource.type, gone=True)
        elif changes := diff_properties(resource.properties, now.properties):
            yield Drift(resource.id, resource.type, changes)

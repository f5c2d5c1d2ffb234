"""The contract of `tabular.deploy.provider` as checks; every provider passes all of them.

A check is a plain function of a harness, so that `test_conformance.py` can run each one also
against a provider that breaks just that rule.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tabular.deploy.events import Event, EventStatus
from tabular.deploy.plan import Action, Plan
from tabular.deploy.provider import State
from tabular.deploy.spec import Deployment
from tabular.errors import ApplyError, NotFoundError, StalePlanError, UnsupportedError
from tests.conformance.harness import Harness

Check = Callable[[Harness], None]


def _plan(harness: Harness, deployment: Deployment) -> Plan:
    provider = harness.provider()
    return provider.engine.preview(provider.compile(deployment))


def _deploy(harness: Harness, deployment: Deployment) -> list[Event]:
    return list(harness.provider().engine.apply(_plan(harness, deployment)))


def same_spec_same_bytes(harness: Harness) -> None:
    """Two clients compile the same spec to the same bytes, fingerprint and resources."""
    first = harness.provider().compile(harness.deployment())
    second = harness.provider().compile(harness.deployment())
    assert first.to_bytes() == second.to_bytes()
    assert first.fingerprint == second.fingerprint
    assert first.resources == second.resources


def unsupported_fields_are_refused(harness: Harness) -> None:
    """A field the provider cannot give is an error that names it, and nothing is made."""
    before = harness.observe()
    with pytest.raises(UnsupportedError) as caught:
        harness.provider().compile(harness.unsupported())
    assert caught.value.hint
    assert harness.observe() == before


def preview_touches_nothing(harness: Harness) -> None:
    """A plan of a first deploy creates every resource, and makes none."""
    before = harness.observe()
    plan = _plan(harness, harness.deployment())
    assert {c.resource for c in plan.changes if c.action is Action.CREATE} == {
        resource.id for resource in plan.stack.resources
    }
    assert harness.observe() == before


def apply_does_what_the_plan_said(harness: Harness) -> None:
    """What the plan creates exists afterwards, the events say so, and it serves."""
    deployment = harness.deployment()
    plan = _plan(harness, deployment)
    events = list(harness.provider().engine.apply(plan))
    created = {c.resource for c in plan.changes if c.action is Action.CREATE}
    assert harness.observed(deployment) == created
    assert created <= {e.resource for e in events if e.status is EventStatus.COMPLETE}
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    status = harness.provider().engine.status(plan.stack.target)
    assert status.state is State.READY
    assert harness.serving(deployment)


def second_plan_is_empty(harness: Harness) -> None:
    """Planning and applying the same spec again changes nothing."""
    deployment = harness.deployment()
    _deploy(harness, deployment)
    before, served = harness.observe(), harness.serving(deployment)
    plan = _plan(harness, deployment)
    assert plan.is_empty, plan.changes
    list(harness.provider().engine.apply(plan))
    assert harness.observe() == before
    assert harness.serving(deployment) == served


def update_changes_what_the_plan_says(harness: Harness) -> None:
    """An update plans some change, loses no data store, and serves something new."""
    _deploy(harness, harness.deployment())
    served = harness.serving(harness.deployment())
    plan = _plan(harness, harness.changed())
    assert not plan.is_empty
    assert not any(change.loses_data for change in plan.changes)
    list(harness.provider().engine.apply(plan))
    assert harness.serving(harness.changed()) not in (None, served)
    assert _plan(harness, harness.changed()).is_empty


def stale_plan_is_refused(harness: Harness) -> None:
    """A plan made before somebody else's apply is refused and touches nothing."""
    stale = _plan(harness, harness.changed())
    _deploy(harness, harness.deployment())
    before = harness.observe()
    with pytest.raises(StalePlanError):
        list(harness.provider().engine.apply(stale))
    assert harness.observe() == before


def killed_client_reattaches(harness: Harness) -> None:
    """After kill -9 of the client in the middle, another sees it through; nothing twice."""
    deployment = harness.deployment()
    plan = _plan(harness, deployment)
    harness.apply_and_die(plan)
    engine = harness.provider().engine
    list(engine.attach(plan.stack.target))
    again = _plan(harness, deployment)
    list(harness.provider().engine.apply(again))
    assert harness.observed(deployment) == {r.id for r in plan.stack.resources}
    assert harness.provider().engine.status(plan.stack.target).state is State.READY
    assert harness.serving(deployment)
    assert _plan(harness, deployment).is_empty


def failed_update_keeps_the_old_release(harness: Harness) -> None:
    """An update that does not come up is undone; the old release goes on serving."""
    deployment = harness.deployment()
    _deploy(harness, deployment)
    served, before = harness.serving(deployment), harness.observed(deployment)
    seen: list[Event] = []
    with pytest.raises(ApplyError) as caught:
        seen.extend(harness.provider().engine.apply(_plan(harness, harness.failing())))
    assert caught.value.rolled_back
    assert caught.value.message
    assert harness.serving(deployment) == served
    assert harness.observed(deployment) == before
    assert _plan(harness, deployment).is_empty


def rollback_restores_the_release_before(harness: Harness) -> None:
    """After an update, rollback puts the first release back."""
    _deploy(harness, harness.deployment())
    target = harness.provider().target(harness.deployment())
    with pytest.raises(NotFoundError):
        list(harness.provider().engine.rollback(target))
    first = harness.serving(harness.deployment())
    _deploy(harness, harness.changed())
    list(harness.provider().engine.rollback(target))
    assert harness.serving(harness.deployment()) == first
    assert _plan(harness, harness.deployment()).is_empty


def drift_is_seen(harness: Harness) -> None:
    """What was changed behind the provider's back is named; before, there is none."""
    deployment = harness.deployment()
    _deploy(harness, deployment)
    target = harness.provider().target(deployment)
    assert harness.provider().engine.drift(target) == ()
    harness.disturb(deployment)
    assert harness.provider().engine.drift(target)


def destroy_removes_all_and_only_its_own(harness: Harness) -> None:
    """Destroy with data leaves the place as it was; a neighbour and a look-alike stay."""
    neighbour = harness.deployment("conform-2")
    _deploy(harness, neighbour)
    harness.add_foreign(harness.deployment())
    before, served = harness.observe(), harness.serving(neighbour)
    _deploy(harness, harness.deployment())
    target = harness.provider().target(harness.deployment())
    list(harness.provider().engine.destroy(target, delete_data=True))
    assert harness.observe() == before
    assert harness.serving(neighbour) == served
    assert target not in [s.target for s in harness.provider().engine.list()]


def destroy_keeps_data_unless_told(harness: Harness) -> None:
    """Without ``delete_data`` exactly the data stores stay, and a new deploy finds them."""
    deployment = harness.deployment()
    stack = harness.provider().compile(deployment)
    stateful = {resource.id for resource in stack.resources if resource.stateful}
    assert stateful, "a platform without a data store tests nothing here"
    _deploy(harness, deployment)
    events = list(harness.provider().engine.destroy(stack.target, delete_data=False))
    assert harness.observed(deployment) == stateful
    assert {e.resource for e in events if e.status is EventStatus.KEPT} == stateful
    assert harness.provider().engine.status(stack.target).state is State.RETAINED
    _deploy(harness, deployment)
    assert harness.provider().engine.status(stack.target).state is State.READY


def destroying_what_is_gone_is_no_error(harness: Harness) -> None:
    """Destroy twice, or what never was, ends well."""
    deployment = harness.deployment()
    target = harness.provider().target(deployment)
    list(harness.provider().engine.destroy(target, delete_data=True))
    _deploy(harness, deployment)
    list(harness.provider().engine.destroy(target, delete_data=True))
    list(harness.provider().engine.destroy(target, delete_data=True))
    with pytest.raises(NotFoundError):
        harness.provider().engine.status(target)


def a_deployment_describes_itself(harness: Harness) -> None:
    """Another client reads the spec back from the place and compiles the same bytes."""
    deployment = harness.deployment()
    plan = _plan(harness, deployment)
    list(harness.provider().engine.apply(plan))
    provider = harness.provider()
    (status,) = provider.engine.list()
    assert status.target == plan.stack.target
    again = provider.compile(Deployment.from_canonical(status.spec))
    assert again.to_bytes() == plan.stack.to_bytes()


CHECKS: tuple[Check, ...] = (
    same_spec_same_bytes,
    unsupported_fields_are_refused,
    preview_touches_nothing,
    apply_does_what_the_plan_said,
    second_plan_is_empty,
    update_changes_what_the_plan_says,
    stale_plan_is_refused,
    killed_client_reattaches,
    failed_update_keeps_the_old_release,
    rollback_restores_the_release_before,
    drift_is_seen,
    destroy_removes_all_and_only_its_own,
    destroy_keeps_data_unless_told,
    destroying_what_is_gone_is_no_error,
    a_deployment_describes_itself,
)

"""The contract of `tabular.deploy.provider` as checks; every provider passes all of them.

A check is a plain function of a harness, so that `test_conformance.py` can run each one also
against a provider that breaks just that rule. What breaks a rule is a `ContractViolation` that
names it; any other error is a fault of the provider or of the harness, and is not caught here.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tabular.deploy.events import Event, EventStatus
from tabular.deploy.plan import Action, Plan
from tabular.deploy.provider import State
from tabular.deploy.spec import Deployment, canonical
from tabular.errors import (
    ApplyError,
    NotFoundError,
    StalePlanError,
    TabularError,
    UnsupportedError,
)
from tests.conformance.harness import Harness

Check = Callable[[Harness], None]
ROOT = Path(__file__).resolve().parents[2]


class ContractViolation(AssertionError):
    """A provider does not keep a rule.

    Args:
        rule: name of the check.
        said: what it did instead.
    """

    def __init__(self, rule: str, said: str) -> None:
        super().__init__(f"{rule}: {said}")
        self.rule = rule


class _Unmet(Exception):
    """A condition of the check under way does not hold."""


def rule(check: Check) -> Check:
    """Make a check speak in its own name."""

    @functools.wraps(check)
    def run(harness: Harness) -> None:
        try:
            check(harness)
        except _Unmet as unmet:
            raise ContractViolation(check.__name__, str(unmet)) from unmet.__cause__

    return run


def _require(condition: object, said: str) -> None:
    if not condition:
        raise _Unmet(said)


@contextmanager
def _refused(kind: type[TabularError], said: str) -> Iterator[list[TabularError]]:
    """The block ends with this error, which is then in the list; else ``said`` is what is wrong."""
    caught: list[TabularError] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    except TabularError as error:
        raise _Unmet(f"{said}: {type(error).__name__}: {error.message}") from error
    _require(caught, said)


@contextmanager
def _fine(said: str) -> Iterator[None]:
    """The block ends without an error of ours."""
    try:
        yield
    except TabularError as error:
        raise _Unmet(f"{said}: {type(error).__name__}: {error.message}") from error


def _plan(harness: Harness, deployment: Deployment) -> Plan:
    provider = harness.provider()
    return provider.engine.preview(provider.compile(deployment))


def _deploy(harness: Harness, deployment: Deployment) -> list[Event]:
    return list(harness.provider().engine.apply(_plan(harness, deployment)))


def _plan_back(harness: Harness) -> Plan:
    provider = harness.provider()
    with _fine("a second release cannot be rolled back"):
        return provider.engine.preview_rollback(provider.target(harness.deployment()))


def _touched(plan: Plan) -> set[str]:
    return {change.resource for change in plan.changes if change.action is not Action.NOOP}


def _created(plan: Plan) -> set[str]:
    return {change.resource for change in plan.changes if change.action is Action.CREATE}


def _names(resources: Iterable[str]) -> str:
    return ", ".join(sorted(resources)) or "nothing"


COMPILE_APART = """
import importlib, json, sys
from pathlib import Path
from tabular.deploy.spec import Deployment
from tabular.deploy.stack import canonical_json

module, name = sys.argv[1].split(":")
harness = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
stack = harness.provider().compile(Deployment.from_canonical(json.loads(sys.argv[3])))
sys.stdout.buffer.write(stack.to_bytes() + b"\\n" + canonical_json(stack.as_dict()))
"""


def _compiled_apart(harness: Harness, folder: str, **environment: str) -> bytes:
    """What a process of its own compiles, in a folder and an environment of its own."""
    cwd = harness.root / folder
    cwd.mkdir(parents=True, exist_ok=True)
    spec = json.dumps(canonical(harness.deployment()))
    done = subprocess.run(
        [sys.executable, "-c", COMPILE_APART, harness.maker, str(harness.root), spec],
        cwd=cwd,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "HOME": str(cwd)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@rule
def same_spec_same_bytes(harness: Harness) -> None:
    """Wherever and by whichever process a spec is compiled: the same bytes and resources."""
    here = _compiled_apart(harness, "here", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C.UTF-8")
    there = _compiled_apart(
        harness, "there", PYTHONHASHSEED="4711", TZ="Asia/Kolkata", LC_ALL="tr_TR.UTF-8"
    )
    _require(here == there, "two processes compile the same spec to different bytes")


@rule
def unsupported_fields_are_refused(harness: Harness) -> None:
    """A field the provider cannot give is an error that names it, and nothing is made."""
    before = harness.observe()
    with _refused(UnsupportedError, "a field that cannot be given was dropped") as caught:
        harness.provider().compile(harness.unsupported())
    _require(caught[0].hint, "the refusal does not say what to do instead")
    _require(harness.observe() == before, "the refusal left something behind")


@rule
def preview_touches_nothing(harness: Harness) -> None:
    """A plan of a first deploy creates every resource, and makes none."""
    before = harness.observe()
    plan = _plan(harness, harness.deployment())
    wanted = {resource.id for resource in plan.stack.resources}
    _require(_created(plan) == wanted, "the first plan does not create every resource")
    _require(harness.observe() == before, "the preview touched something")


@rule
def apply_does_what_the_plan_said(harness: Harness) -> None:
    """What the plan creates exists afterwards, the events say so, and it serves."""
    deployment = harness.deployment()
    plan = _plan(harness, deployment)
    events = list(harness.provider().engine.apply(plan))
    created, there = _created(plan), harness.observed(deployment)
    _require(there == created, f"planned {_names(created)}, there is {_names(there)}")
    told = {e.resource for e in events if e.status is EventStatus.COMPLETE}
    _require(created <= told, f"no event says that {_names(created - told)} is there")
    numbers = [event.sequence for event in events]
    _require(numbers == list(range(1, len(events) + 1)), f"events are numbered {numbers}")
    state = harness.provider().engine.status(plan.stack.target).state
    _require(state is State.READY, f"applied, and the state is {state}")
    _require(harness.serving(deployment), "applied, and nothing serves")


@rule
def second_plan_is_empty(harness: Harness) -> None:
    """Planning and applying the same spec again changes nothing."""
    deployment = harness.deployment()
    _deploy(harness, deployment)
    plan = _plan(harness, deployment)
    _require(plan.is_empty, "the second plan of the same spec is not empty")
    before, served = harness.observe(), harness.serving(deployment)
    list(harness.provider().engine.apply(plan))
    _require(harness.observe() == before, "an empty plan changed something")
    _require(harness.serving(deployment) == served, "an empty plan changed what serves")


@rule
def update_changes_what_the_plan_says(harness: Harness) -> None:
    """An update plans some change, loses no data store, and serves something new."""
    _deploy(harness, harness.deployment())
    served = harness.serving(harness.deployment())
    plan = _plan(harness, harness.changed())
    _require(not plan.is_empty, "the plan of a change is empty")
    lost = [change.resource for change in plan.changes if change.loses_data]
    _require(not lost, f"the update loses {_names(lost)}")
    list(harness.provider().engine.apply(plan))
    now = harness.serving(harness.changed())
    _require(now not in (None, served), "the update was applied and the old release serves")
    again = _plan(harness, harness.changed())
    _require(again.is_empty, "there is something left to do after the update")


@rule
def stale_plan_is_refused(harness: Harness) -> None:
    """A plan made before somebody else's apply is refused and touches nothing."""
    stale = _plan(harness, harness.changed())
    _deploy(harness, harness.deployment())
    before = harness.observe()
    with _refused(StalePlanError, "a stale plan was applied"):
        list(harness.provider().engine.apply(stale))
    _require(harness.observe() == before, "the refused plan touched something")


@rule
def killed_client_reattaches(harness: Harness) -> None:
    """After kill -9 of the client in the middle, another sees it through; nothing twice."""
    deployment = harness.deployment()
    plan = _plan(harness, deployment)
    harness.apply_and_die(plan)
    list(harness.provider().engine.attach(plan.stack.target))
    state = harness.provider().engine.status(plan.stack.target).state
    _require(state is State.READY, f"attached to the end, and the state is {state}")
    _require(_plan(harness, deployment).is_empty, "attached to the end, and more is to be done")
    list(harness.provider().engine.apply(_plan(harness, deployment)))
    wanted, there = {r.id for r in plan.stack.resources}, harness.observed(deployment)
    _require(there == wanted, f"wanted {_names(wanted)}, there is {_names(there)}")
    _require(harness.serving(deployment), "attached to the end, and nothing serves")


@rule
def failed_update_keeps_the_old_release(harness: Harness) -> None:
    """An update that does not come up is undone; the old release goes on serving."""
    deployment = harness.deployment()
    _deploy(harness, deployment)
    served, before = harness.serving(deployment), harness.observed(deployment)
    with _refused(ApplyError, "an update that cannot come up did not fail") as caught:
        list(harness.provider().engine.apply(_plan(harness, harness.failing())))
    failed = caught[0]
    undone = isinstance(failed, ApplyError) and failed.rolled_back
    _require(undone, "the failed update does not say that it was undone")
    _require(failed.message, "the failed update does not say why")
    _require(harness.serving(deployment) == served, "the old release does not serve any more")
    _require(harness.observed(deployment) == before, "the failed update left something behind")
    _require(_plan(harness, deployment).is_empty, "the old release is not what is planned against")


@rule
def rollback_restores_the_release_before(harness: Harness) -> None:
    """After an update, rollback puts the first release back."""
    _deploy(harness, harness.deployment())
    target = harness.provider().target(harness.deployment())
    with _refused(NotFoundError, "a rollback of a first release was planned"):
        harness.provider().engine.preview_rollback(target)
    first = harness.serving(harness.deployment())
    _deploy(harness, harness.changed())
    list(harness.provider().engine.rollback(_plan_back(harness)))
    now = harness.serving(harness.deployment())
    _require(now == first, "rolled back, and the first release does not serve")
    again = _plan(harness, harness.deployment())
    _require(again.is_empty, "rolled back, and planned against another release")


@rule
def rollback_is_planned_first(harness: Harness) -> None:
    """A rollback's plan leads to the release before, says what changes, and touches nothing."""
    _deploy(harness, harness.deployment())
    first = harness.provider().compile(harness.deployment())
    forward = _plan(harness, harness.changed())
    list(harness.provider().engine.apply(forward))
    before = harness.observe()
    back = _plan_back(harness)
    _require(harness.observe() == before, "the plan of a rollback touched something")
    _require(back.stack.to_bytes() == first.to_bytes(), "it leads to another release")
    forth, changed = _touched(forward), _touched(back)
    _require(forth <= changed, f"it leaves out {_names(forth - changed)}")
    stateful = {resource.id for resource in first.resources if resource.stateful}
    said = {change.resource for change in back.changes if change.stateful}
    _require(stateful <= said, f"it does not say that data is in {_names(stateful - said)}")


@rule
def stale_rollback_is_refused(harness: Harness) -> None:
    """A rollback that was planned before somebody else's apply is refused and touches nothing."""
    _deploy(harness, harness.deployment())
    _deploy(harness, harness.changed())
    stale = _plan_back(harness)
    _deploy(harness, harness.deployment())
    before = harness.observe()
    with _refused(StalePlanError, "a stale rollback was carried out"):
        list(harness.provider().engine.rollback(stale))
    _require(harness.observe() == before, "the refused rollback touched something")


@rule
def drift_is_seen(harness: Harness) -> None:
    """What was changed behind the provider's back is named; before, there is none."""
    deployment = harness.deployment()
    _deploy(harness, deployment)
    target = harness.provider().target(deployment)
    _require(harness.provider().engine.drift(target) == (), "drift where nothing was changed")
    harness.disturb(deployment)
    _require(harness.provider().engine.drift(target), "a change behind its back is not seen")


@rule
def destroy_removes_all_and_only_its_own(harness: Harness) -> None:
    """Destroy with data leaves the place as it was; a neighbour and a look-alike stay."""
    neighbour = harness.deployment("conform-2")
    _deploy(harness, neighbour)
    harness.add_foreign(harness.deployment())
    before, served = harness.observe(), harness.serving(neighbour)
    _deploy(harness, harness.deployment())
    target = harness.provider().target(harness.deployment())
    list(harness.provider().engine.destroy(target, delete_data=True))
    now = harness.observe()
    lost, left = before.keys() - now.keys(), now.keys() - before.keys()
    _require(not lost, f"destroyed what is another's: {_names(lost)}")
    _require(not left, f"left of its own: {_names(left)}")
    _require(now == before, "destroy changed what is another's")
    _require(harness.serving(neighbour) == served, "the neighbour does not serve any more")
    listed = [status.target for status in harness.provider().engine.list()]
    _require(target not in listed, "destroyed, and still listed")


@rule
def destroy_keeps_data_unless_told(harness: Harness) -> None:
    """Without ``delete_data`` exactly the data stores stay, and a new deploy finds them."""
    deployment = harness.deployment()
    stack = harness.provider().compile(deployment)
    stateful = {resource.id for resource in stack.resources if resource.stateful}
    _require(stateful, "a platform without a data store tests nothing here")
    _deploy(harness, deployment)
    events = list(harness.provider().engine.destroy(stack.target, delete_data=False))
    there = harness.observed(deployment)
    _require(there == stateful, f"to be kept: {_names(stateful)}; there is {_names(there)}")
    told = {e.resource for e in events if e.status is EventStatus.KEPT}
    _require(told == stateful, f"to be kept: {_names(stateful)}; the events say {_names(told)}")
    state = harness.provider().engine.status(stack.target).state
    _require(state is State.RETAINED, f"destroyed with its data kept, and the state is {state}")
    _deploy(harness, deployment)
    state = harness.provider().engine.status(stack.target).state
    _require(state is State.READY, f"deployed onto kept data, and the state is {state}")


@rule
def destroying_what_is_gone_is_no_error(harness: Harness) -> None:
    """Destroy twice, or what never was, ends well."""
    deployment = harness.deployment()
    target = harness.provider().target(deployment)
    with _fine("destroying what never was is an error"):
        list(harness.provider().engine.destroy(target, delete_data=True))
    _deploy(harness, deployment)
    list(harness.provider().engine.destroy(target, delete_data=True))
    with _fine("destroying twice is an error"):
        list(harness.provider().engine.destroy(target, delete_data=True))
    with _refused(NotFoundError, "what is destroyed still has a status"):
        harness.provider().engine.status(target)


@rule
def a_deployment_describes_itself(harness: Harness) -> None:
    """Another client reads the spec back from the place and compiles the same bytes."""
    deployment = harness.deployment()
    plan = _plan(harness, deployment)
    list(harness.provider().engine.apply(plan))
    provider = harness.provider()
    listed = provider.engine.list()
    targets = [status.target for status in listed]
    _require(targets == [plan.stack.target], "the list is not the one deployment that there is")
    again = provider.compile(Deployment.from_canonical(listed[0].spec))
    same = again.to_bytes() == plan.stack.to_bytes()
    _require(same, "the spec that is read back compiles to something else")


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
    rollback_is_planned_first,
    stale_rollback_is_refused,
    drift_is_seen,
    destroy_removes_all_and_only_its_own,
    destroy_keeps_data_unless_told,
    destroying_what_is_gone_is_no_error,
    a_deployment_describes_itself,
)

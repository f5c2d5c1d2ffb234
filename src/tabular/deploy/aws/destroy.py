"""A destroy: the service goes; its data stays in the same stack, or goes when that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tabular.deploy.aws.artifacts import Artifacts
from tabular.deploy.aws.changeset import ChangeSets
from tabular.deploy.aws.document import index
from tabular.deploy.aws.emptying import Emptier
from tabular.deploy.aws.follow import Follower, Heard, ended_well
from tabular.deploy.aws.session import Session, explained
from tabular.deploy.aws.stacks import Found, Stacks
from tabular.deploy.aws.variants import deletable, kept
from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.stack import canonical_json
from tabular.deploy.target import Target
from tabular.errors import ApplyError

_TRIES = 2  # what a service still wrote while its bucket was emptied is emptied once more


class Destroyer:
    """Takes deployments down; every step can be repeated, so a killed client's next run goes on."""

    def __init__(
        self,
        session: Session,
        stacks: Stacks,
        artifacts: Artifacts,
        change_sets: ChangeSets,
        follower: Follower,
    ) -> None:
        self._stacks = stacks
        self._artifacts = artifacts
        self._change_sets = change_sets
        self._follower = follower
        self._emptier = Emptier(session, stacks)

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Take a deployment down.

        Raises:
            ApplyError: something cannot be removed; with the cause.
        """
        for number, event in enumerate(self._steps(target, delete_data=delete_data), start=1):
            yield replace(event, sequence=number)

    def clear(self, found: Found, region: str) -> Iterator[Event]:
        """Remove a stack of which nothing was ever finished."""
        yield from self._delete(found, region)

    def _steps(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        region = target.region or ""
        found = self._stacks.find(target)
        if found is not None and found.busy:
            yield from self._follower.operation(found.id, region, Heard(), after=None)
            found = self._stacks.find(target)
        if found is None:
            return
        if found.unborn:
            yield from self._delete(found, region)
        elif delete_data:
            yield from self._with_data(found, region)
        else:
            yield from self._without_data(found, region)
            return
        self._artifacts.forget(target)

    def _without_data(self, found: Found, region: str) -> Iterator[Event]:
        remaining = kept(found.template)
        if not found.retained:
            yield from self._update(found, region, remaining)
        numbered = EventSequence()
        for resource in index(remaining):
            yield numbered.next(EventStatus.KEPT, resource, "holds data, or data stands on it")

    def _with_data(self, found: Found, region: str) -> Iterator[Event]:
        if found.status != "DELETE_FAILED":
            yield from self._update(found, region, deletable(found.template))
        self._unprotect(found, region)
        for attempt in range(1, _TRIES + 1):
            self._emptier.run(found, region)
            try:
                yield from self._delete(found, region)
            except ApplyError:
                if attempt == _TRIES:
                    raise
            else:
                return

    def _update(self, found: Found, region: str, template: Mapping[str, Any]) -> Iterator[Event]:
        change_set = self._change_sets.make(
            found.name, region, canonical_json(template), None, first=False
        )
        if change_set is None:
            return
        after = self._follower.last_event(found.id, region)
        self._change_sets.execute(change_set, region)
        heard = Heard()
        yield from self._follower.operation(found.id, region, heard, after=after)
        now = self._stacks.named(found.id, region)
        if not ended_well(now):
            raise _failed(found, heard, "everything is as it was")

    def _delete(self, found: Found, region: str) -> Iterator[Event]:
        after = self._follower.last_event(found.id, region)
        with explained("cloudformation:DeleteStack"):
            self._stacks.client(region).delete_stack(StackName=found.id)
        heard = Heard()
        yield from self._follower.operation(found.id, region, heard, after=after)
        if self._stacks.named(found.id, region) is not None:
            raise _failed(found, heard, "what is left is in the stack still")

    def _unprotect(self, found: Found, region: str) -> None:
        if found.protected:
            with explained("cloudformation:UpdateTerminationProtection"):
                self._stacks.client(region).update_termination_protection(
                    StackName=found.id, EnableTerminationProtection=False
                )


def _failed(found: Found, heard: Heard, rest: str) -> ApplyError:
    return ApplyError(
        f"the destroy failed, {rest}: {heard.reason or found.reason or 'no reason is given'}",
        rolled_back=False,
        where=found.id,
        hint="mend that, and run `inferloop-tabular destroy` again; it goes on",
    )

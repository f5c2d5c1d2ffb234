"""A destroy: the service goes; its data stays in the same stack, or goes when that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tabular.deploy.aws.account.artifacts import Artifacts
from tabular.deploy.aws.account.stacks import Found, Stacks
from tabular.deploy.aws.applying.changeset import ChangeSets
from tabular.deploy.aws.applying.emptying import Emptier
from tabular.deploy.aws.applying.follow import Heard
from tabular.deploy.aws.applying.judging import (
    destroy_failed,
    refuse_stuck,
    require_nothing_left,
)
from tabular.deploy.aws.applying.operations import Operations
from tabular.deploy.aws.applying.purposes import Purpose, new_token
from tabular.deploy.aws.applying.variants import deletable, kept
from tabular.deploy.aws.words.document import index
from tabular.deploy.events import Event, EventSequence, EventStatus
from tabular.deploy.stack import canonical_json
from tabular.deploy.target import Target
from tabular.errors import ConflictError, RefusedError

_TRIES = 3  # what a service still wrote while its bucket was emptied is emptied again


class Destroyer:
    """Takes deployments down; every step can be repeated, so a killed client's next run goes on."""

    def __init__(
        self,
        stacks: Stacks,
        artifacts: Artifacts,
        change_sets: ChangeSets,
        operations: Operations,
        emptier: Emptier,
    ) -> None:
        self._stacks = stacks
        self._artifacts = artifacts
        self._change_sets = change_sets
        self._operations = operations
        self._emptier = emptier

    def destroy(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        """Take a deployment down.

        Raises:
            RefusedError: only a destroy with the data can go on from here.
            ConflictError: the stack is in a state that a person has to leave.
            ApplyError: something cannot be removed; with the cause.
        """
        for number, event in enumerate(self._steps(target, delete_data=delete_data), start=1):
            yield replace(event, sequence=number)

    def clear(self, found: Found, region: str, purpose: Purpose) -> Iterator[Event]:
        """Remove a stack of which nothing was ever finished.

        Raises:
            ApplyError: something of it cannot be removed.
        """
        self._emptier.unguard(found, region)
        if found.status == "CREATE_FAILED":
            # A deletion would leave behind what is marked as kept, though it is new and empty.
            heard = Heard()
            yield from self._operations.undo(found, region, heard, purpose)
            if heard.gone:
                return
        yield from self._delete(found, region, purpose)

    def _steps(self, target: Target, *, delete_data: bool) -> Iterator[Event]:
        region = target.region or ""
        found = self._stacks.find(target)
        if found is not None and found.busy:
            yield from self._operations.follow(found, region, Heard())
            found = self._stacks.find(target)
        if found is not None and found.status == "UPDATE_FAILED":
            yield from self._operations.undo(found, region, Heard(), Purpose.DESTROY)
            found = self._stacks.find(target)
        if found is None:
            self._artifacts.forget(target)
        elif found.unborn:
            self._artifacts.forget(target)
            yield from self.clear(found, region, Purpose.DESTROY)
        elif found.status == "UPDATE_ROLLBACK_FAILED":
            refuse_stuck(found)
        elif found.status == "DELETE_FAILED" and not found.deleting:
            raise _deleted_past_us(found)
        elif delete_data:
            yield from self._with_data(found, target)
        else:
            yield from self._without_data(found, target)

    def _without_data(self, found: Found, target: Target) -> Iterator[Event]:
        if found.deleting:
            raise RefusedError(
                "a destroy with its data was begun here, and some of it may be gone",
                where=found.id,
                hint="`inferloop-tabular destroy --delete-data` goes on with it",
                code="refused.data-loss",
            )
        remaining = kept(found.template)
        if not found.retained:
            self._artifacts.forget_shown(target)
            yield from self._update(found, target.region or "", remaining)
        numbered = EventSequence()
        for resource in index(remaining):
            yield numbered.next(EventStatus.KEPT, resource, "holds data, or data stands on it")

    def _with_data(self, found: Found, target: Target) -> Iterator[Event]:
        region = target.region or ""
        if found.status != "DELETE_FAILED":
            yield from self._update(found, region, deletable(found.template))
        # Before the stack goes: nobody could find what is left of it afterwards.
        self._artifacts.forget(target)
        for attempt in range(1, _TRIES + 1):
            self._emptier.run(found, region)
            heard = Heard()
            yield from self._operations.delete(found, region, heard, Purpose.DESTROY)
            if heard.gone:
                return
            if attempt == _TRIES:
                raise destroy_failed(found.id, heard)

    def _update(self, found: Found, region: str, template: Mapping[str, Any]) -> Iterator[Event]:
        change_set = self._change_sets.make(
            found.name, region, canonical_json(template), None, first=False
        )
        if change_set is None:
            return
        heard, token = Heard(), new_token(Purpose.DESTROY)
        yield from self._operations.carry_out(change_set, region, heard, token)
        if not heard.well:
            raise destroy_failed(found.id, heard)
        require_nothing_left(found.id, heard, "the service is gone")

    def _delete(self, found: Found, region: str, purpose: Purpose) -> Iterator[Event]:
        heard = Heard()
        yield from self._operations.delete(found, region, heard, purpose)
        if not heard.gone:
            raise destroy_failed(found.id, heard)


def _deleted_past_us(found: Found) -> ConflictError:
    names = [resource.id for resource in index(found.template) if resource.stateful]
    return ConflictError(
        f"somebody deleted the stack past this tool, and that failed: "
        f"{found.reason or 'no reason is given'}",
        where=found.id,
        hint="CloudFormation takes no update of it any more. Mend what the reason names (a "
        "database's deletion protection, say), then `aws cloudformation delete-stack "
        f"--stack-name {found.name}`; it leaves behind, for you to keep or delete: "
        f"{', '.join(names)}",
        code="conflict.stack",
    )

"""An import into a stack: asked of CloudFormation first, then carried out and followed.

Whether a resource is there, and in no other stack, is CloudFormation's word: the change set is made
for the plan as well. Where nothing is deployed that makes a stack in review, which goes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.aws.account.stacks import UNBORN, Found, Stacks, basis_of, stack_name
from tabular.deploy.aws.applying.changeset import REFUSED, ChangeSet, ChangeSets
from tabular.deploy.aws.applying.destroy import Destroyer
from tabular.deploy.aws.applying.follow import Heard
from tabular.deploy.aws.applying.judging import require_imported
from tabular.deploy.aws.applying.operations import Operations
from tabular.deploy.aws.applying.purposes import Purpose, new_token
from tabular.deploy.aws.comparing.drift import Drifts
from tabular.deploy.aws.importing.asked import Asked, read
from tabular.deploy.aws.importing.settling import Settler, differences
from tabular.deploy.aws.importing.template import Left, adopting
from tabular.deploy.aws.infrastructure.wanted import PRODUCTION
from tabular.deploy.events import Event
from tabular.deploy.importing import Adoption, ImportPlan, Unlike, once_adopted
from tabular.deploy.stack import Stack, canonical_json
from tabular.deploy.target import Target
from tabular.errors import EngineError, RefusedError

_KEPT = UNBORN - {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"}  # with what was made, to be looked at


class Importer:
    """Imports existing resources into a stack, old or new."""

    def __init__(
        self,
        stacks: Stacks,
        change_sets: ChangeSets,
        operations: Operations,
        destroyer: Destroyer,
        drifts: Drifts,
    ) -> None:
        self._stacks = stacks
        self._change_sets = change_sets
        self._operations = operations
        self._destroyer = destroyer
        self._drifts = drifts
        self._settler = Settler(stacks, drifts, change_sets, operations)

    def plan(self, stack: Stack, words: Sequence[str], found: Found | None) -> ImportPlan:
        """What would be imported. Asks CloudFormation, unless it has an undone first deploy there.

        Raises:
            UsageError: a word means nothing.
            RefusedError: something cannot be imported, with CloudFormation's reason; or resources
                of a failed first deploy are there.
        """
        asked, template, left = self._read(stack, words, found)
        new = [one for one in asked if not one.there]
        if found is not None and found.status in _KEPT:
            raise RefusedError(
                f"a first deploy failed here and is still there ({found.status}): "
                f"{found.reason or 'no reason is given'}. An import would have it deleted first",
                where=found.id,
                hint="look at it, then `inferloop-tabular destroy`, then import",
                code="refused.import",
            )
        if new and (found is None or not _undone(found)):
            made = self._made(stack.target, template, new, found)
            region = stack.target.region or ""
            self._change_sets.drop(made.stack_id, made.id, region)
            if found is None:
                self._change_sets.abandon(made.stack_id, region)
        adoptions = tuple(_adoption(one, left.get(one.id, {})) for one in asked)
        return ImportPlan(stack, adoptions, basis_of(found))

    def carry_out(self, plan: ImportPlan, found: Found | None) -> Iterator[Event]:
        """Import it, and follow that.

        Raises:
            RefusedError: something cannot be imported any more, with CloudFormation's reason.
            ApplyError: the import failed, and what was there is as it was; or it was imported, and
                what it is could not be put into the template.
            BusyError: somebody deployed meanwhile.
        """
        target, region = plan.stack.target, plan.stack.target.region or ""
        if found is not None and _undone(found):
            yield from self._destroyer.clear(found, region, Purpose.CLEAR)
            found = None
        words = [f"{one.resource}={one.physical}" for one in plan.adoptions]
        asked, template, _ = self._read(plan.stack, words, found)
        new = [one for one in asked if not one.there]
        if new:
            made = self._made(target, template, new, found)
            if target.environment == PRODUCTION:
                # Now, and not when it is there: a client that dies must not leave it unprotected.
                self._operations.protect(made.stack_id, region, on=True)
            heard = Heard()
            yield from self._operations.carry_out(made, region, heard, new_token(Purpose.IMPORT))
            require_imported(made.stack_id, heard)
        with once_adopted("what it is could not be put into the template"):
            yield from self._settler.settle(target, {one.id for one in asked})

    def unlike(self, plan: ImportPlan) -> Unlike:
        """Where what was imported is not as the spec says.

        The next deploy mends what the template has as it is; what drifts from it, none does.
        """
        target = plan.stack.target
        found = self._stacks.existing(target)
        adopted = {one.resource for one in plan.adoptions}
        drifts = self._drifts.of(found, target.region or "")
        return Unlike(
            by_deploy=tuple(differences(found.template, plan)),
            by_hand=tuple(one for one in drifts if one.resource in adopted),
        )

    def _read(
        self, stack: Stack, words: Sequence[str], found: Found | None
    ) -> tuple[tuple[Asked, ...], dict[str, Any], Left]:
        """What is asked, the template that imports it, and what that leaves out."""
        ids: dict[str, str] = {}
        running = None if found is None or found.unborn else found.template
        if found is not None and running is not None:
            there = self._stacks.resources(found, stack.target.region or "")
            ids = {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in there}
        asked = read(words, stack.template["Resources"], ids)
        return asked, *adopting(stack.template, running, [one for one in asked if not one.there])

    def _made(
        self,
        target: Target,
        template: Mapping[str, Any],
        asked: Sequence[Asked],
        found: Found | None,
    ) -> ChangeSet:
        name, region = stack_name(target), target.region or ""
        try:
            return self._change_sets.adopting(
                name,
                region,
                canonical_json(template),
                [one.request for one in asked],
                first=found is None or found.unborn,
            )
        except EngineError as error:
            if found is None:
                self._change_sets.abandon(name, region)
            if error.code != REFUSED:
                raise
            raise RefusedError(
                error.message,
                where=name,
                hint="nothing was changed; what another stack has, has to leave that first "
                "(with DeletionPolicy: Retain)",
                code="refused.import",
            ) from error


def _undone(found: Found) -> bool:
    """Whether a first deploy failed there and was undone: CloudFormation has that deleted first."""
    return found.status == "ROLLBACK_COMPLETE"


def _adoption(one: Asked, left: Mapping[str, Sequence[str]]) -> Adoption:
    later = [(name, f"{', '.join(of)} is not there yet") for name, of in left.items()]
    if "DeletionPolicy" not in one.document and not one.there:
        later.append(("DeletionPolicy", "until then no destroy deletes it"))
    unread = sorted(one.kind.unread & one.document.get("Properties", {}).keys())
    return Adoption(one.id, one.type, one.physical, tuple(later), tuple(unread))

"""An import into a stack: asked of CloudFormation first, then carried out and followed.

Whether a resource is there, and in no other stack, is CloudFormation's word: the change set is made
for the plan as well. Where nothing is deployed that makes a stack in review, which goes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.aws.changeset import REFUSED, ChangeSet, ChangeSets
from tabular.deploy.aws.destroy import Destroyer
from tabular.deploy.aws.follow import Heard
from tabular.deploy.aws.importing.asked import Asked, read
from tabular.deploy.aws.importing.template import Left, adopting
from tabular.deploy.aws.judging import require_imported
from tabular.deploy.aws.operations import Operations
from tabular.deploy.aws.purposes import Purpose, new_token
from tabular.deploy.aws.stacks import Found, basis_of, stack_name
from tabular.deploy.aws.wanted import PRODUCTION
from tabular.deploy.events import Event
from tabular.deploy.importing import Adoption, ImportPlan
from tabular.deploy.stack import Stack, canonical_json
from tabular.deploy.target import Target
from tabular.errors import EngineError, RefusedError


class Importer:
    """Imports existing resources into a stack, old or new."""

    def __init__(
        self, change_sets: ChangeSets, operations: Operations, destroyer: Destroyer
    ) -> None:
        self._change_sets = change_sets
        self._operations = operations
        self._destroyer = destroyer

    def plan(self, stack: Stack, words: Sequence[str], found: Found | None) -> ImportPlan:
        """What would be imported. Asks CloudFormation, unless a failed first deploy is in the way.

        Raises:
            UsageError: a word means nothing.
            RefusedError: something cannot be imported, with CloudFormation's reason.
        """
        asked, template, left = _read(stack, words, found)
        if found is None or not _in_the_way(found):
            made = self._made(stack.target, template, asked, found)
            region = stack.target.region or ""
            self._change_sets.drop(made.stack_id, made.id, region)
            if found is None:
                self._change_sets.abandon(made.stack_id, region)
        adoptions = tuple(_adoption(one, left[one.id]) for one in asked)
        return ImportPlan(stack, adoptions, basis_of(found))

    def carry_out(self, plan: ImportPlan, found: Found | None) -> Iterator[Event]:
        """Import it, and follow that.

        Raises:
            RefusedError: something cannot be imported any more, with CloudFormation's reason.
            ApplyError: the import failed; what was there is as it was.
        """
        target, region = plan.stack.target, plan.stack.target.region or ""
        if found is not None and _in_the_way(found):
            yield from self._destroyer.clear(found, region, Purpose.CLEAR)
            found = None
        words = [f"{one.resource}={one.physical}" for one in plan.adoptions]
        asked, template, _ = _read(plan.stack, words, found)
        made = self._made(target, template, asked, found)
        if target.environment == PRODUCTION:
            # Now, and not when it is there: a client that dies must not leave it unprotected.
            self._operations.protect(made.stack_id, region, on=True)
        heard = Heard()
        yield from self._operations.carry_out(made, region, heard, new_token(Purpose.IMPORT))
        require_imported(made.stack_id, heard)

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


def _read(
    stack: Stack, words: Sequence[str], found: Found | None
) -> tuple[tuple[Asked, ...], dict[str, Any], Left]:
    running = None if found is None or found.unborn else found.template
    there = {} if running is None else running["Resources"]
    asked = read(words, stack.template["Resources"], there)
    return asked, *adopting(stack.template, running, asked)


def _in_the_way(found: Found) -> bool:
    """Whether a first deploy failed there: CloudFormation has that stack deleted first."""
    return found.unborn and found.status != "REVIEW_IN_PROGRESS"


def _adoption(one: Asked, left: Mapping[str, Sequence[str]]) -> Adoption:
    later = [f"{name} ({', '.join(of)} is not there yet)" for name, of in left.items()]
    if "DeletionPolicy" not in one.document:
        later.append("DeletionPolicy (until then no destroy deletes it)")
    unread = sorted(one.kind.unread & one.document.get("Properties", {}).keys())
    return Adoption(one.id, one.type, one.physical, tuple(later), tuple(unread))

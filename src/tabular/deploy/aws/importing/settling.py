"""An imported resource as it is, in the template, so that the next deploy knows what it changes.

CloudFormation compares templates, so what an import says of a resource that is otherwise would stay
untrue for ever: no later template differs. Its user guide has the way out ("Resolve drift"): put
what is there into the template. That is an update, and one to what each property is already.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.stacks import Found, Stacks, basis_of
from tabular.deploy.aws.applying.changeset import ChangeSet, ChangeSets
from tabular.deploy.aws.applying.follow import Heard
from tabular.deploy.aws.applying.judging import require_settled, settling_undone
from tabular.deploy.aws.applying.operations import Operations
from tabular.deploy.aws.applying.purposes import Purpose, new_token
from tabular.deploy.aws.comparing.changes import planned
from tabular.deploy.aws.comparing.drift import Drifts
from tabular.deploy.aws.importing.asked import importable
from tabular.deploy.aws.words.document import index
from tabular.deploy.events import Event
from tabular.deploy.importing import ImportPlan
from tabular.deploy.plan import Action, diff_properties
from tabular.deploy.provider import Drift
from tabular.deploy.stack import canonical_json
from tabular.deploy.target import Target
from tabular.errors import BusyError


class Settler:
    """Puts what imported resources are into the template."""

    def __init__(
        self, stacks: Stacks, drifts: Drifts, change_sets: ChangeSets, operations: Operations
    ) -> None:
        self._stacks = stacks
        self._drifts = drifts
        self._change_sets = change_sets
        self._operations = operations

    def settle(self, target: Target, adopted: Collection[str]) -> Iterator[Event]:
        """Update the stack to what its imported resources are, each by an update of its own.

        Undoing an update takes all that is in it to what the template said before, which an
        imported resource never was. Left out is what CloudFormation would replace anything for.

        Raises:
            ApplyError: an update failed; says what that came to.
            BusyError: somebody deployed meanwhile.
        """
        found = self._stacks.existing(target)
        drifted = self._drifts.detected(found, target.region or "")
        undone: list[str] = []
        for id_ in sorted(adopted):
            template = settled(found.template, drifted, {id_})
            made = None if template == found.template else self._made(found, template, target)
            if made is None:
                continue
            heard = Heard()
            yield from self._operations.carry_out(
                made, target.region or "", heard, new_token(Purpose.IMPORT)
            )
            if not heard.well:
                undone.append(settling_undone(made.stack_id, id_, heard))
                template = dict(found.template)
            found = self._stacks.existing(target)
            if found.template != template:
                raise _overtaken(found)
        require_settled(found.id, undone)

    def _made(self, found: Found, template: Mapping[str, Any], target: Target) -> ChangeSet | None:
        """A change set towards the template that does nothing else; None where there is none."""
        region = target.region or ""
        made = self._change_sets.make(
            found.name, region, canonical_json(template), None, first=False
        )
        if made is None:
            return None
        # Drift takes minutes to detect, and this would undo what was deployed meanwhile.
        same = basis_of(self._stacks.find(target)) == basis_of(found)
        if same and _harmless(found.template, template, made):
            return made
        self._change_sets.drop(made.stack_id, made.id, region)
        if not same:
            raise _overtaken(found)
        return None


def _overtaken(found: Found) -> BusyError:
    return BusyError(
        "somebody deployed meanwhile", where=found.id, hint="run the same import again"
    )


def settled(
    template: Mapping[str, Any], drifted: Iterable[Mapping[str, Any]], adopted: Collection[str]
) -> dict[str, Any]:
    """The template with what imported resources are, where they are otherwise.

    Args:
        template: that was imported with.
        drifted: ``StackResourceDrift`` of what is otherwise.
        adopted: logical ids of what was imported.
    """
    changed = {
        one["LogicalResourceId"]: _as_it_is(template["Resources"][one["LogicalResourceId"]], one)
        for one in drifted
        if one["LogicalResourceId"] in adopted and "ActualProperties" in one
    }
    return {**template, "Resources": {**template["Resources"], **changed}}


def differences(template: Mapping[str, Any], plan: ImportPlan) -> Iterator[Drift]:
    """Where the template that runs has what an imported resource is, and not what the spec says.

    Without what the import left out: that is not known.
    """
    wanted = {one.id: one for one in plan.stack.resources}
    running = {one.id: one for one in index(template)}
    for one in plan.adoptions:
        left = {name for name, _ in one.later}
        asked = {k: v for k, v in wanted[one.resource].properties.items() if k not in left}
        found = diff_properties(asked, running[one.resource].properties)
        if found:
            yield Drift(one.resource, one.type, found)


def _as_it_is(document: Mapping[str, Any], drifted: Mapping[str, Any]) -> dict[str, Any]:
    kind = importable()[document["Type"]]
    actual = json.loads(drifted["ActualProperties"])
    said = document.get("Properties", {})
    other = {
        one["PropertyPath"].strip("/").partition("/")[0]
        for one in drifted.get("PropertyDifferences", ())
    }
    # Without what would be replaced for it, and what CloudFormation asks for and is not there.
    other -= kind.fixed | (kind.required - actual.keys())
    now = {name: actual[name] for name in sorted(other) if actual.get(name) is not None}
    kept = {name: value for name, value in said.items() if name not in other}
    return {**document, "Properties": kept | now}


def _harmless(running: Mapping[str, Any], template: Mapping[str, Any], made: ChangeSet) -> bool:
    """Whether nothing is made, replaced or deleted by it."""
    changes = planned(running, index(template), made.changes)
    return all(one.action in (Action.UPDATE, Action.NOOP) for one in changes)

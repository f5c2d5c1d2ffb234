"""The template of an import: what runs, and the adopted resources, with nothing else changed.

CloudFormation lets an import do nothing besides: no resource made, no output added. So what an
adopted resource takes from one that is not there yet is left out, for the next deploy to set.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from tabular.deploy.aws.account.stacks import RETAINED
from tabular.deploy.aws.applying.variants import referred
from tabular.deploy.aws.importing.asked import Asked
from tabular.deploy.aws.words.document import Document
from tabular.deploy.aws.words.names import METADATA
from tabular.errors import RefusedError

# CloudFormation asks for some policy of what it imports; a template that names none means "Delete".
# Until a deploy says so too, nothing that somebody else made is deleted with the stack.
_KEEP = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


Left = dict[str, dict[str, list[str]]]


def adopting(
    wanted: Mapping[str, Any], running: Mapping[str, Any] | None, asked: Sequence[Asked]
) -> tuple[dict[str, Any], Left]:
    """What the stack is to be told, and what is left out of it.

    Args:
        wanted: the template of the spec.
        running: the one that runs; None where nothing does. Then the new stack is as one whose
            service was taken down: data alone, which the next deploy takes up.
        asked: what is to be imported.

    Returns:
        The template; and by resource the properties that are left out, each with what it refers to
        and is not there.

    Raises:
        RefusedError: a resource cannot be imported without another one that is not there.
    """
    base = _nothing(wanted) if running is None else running
    there = {*base["Resources"], *base.get("Parameters", {}), *(one.id for one in asked)}
    left = {one.id: dict(_missing(one, there)) for one in asked}
    for one in asked:
        needed = left[one.id].keys() & (one.kind.fixed | one.kind.required)
        if needed:
            raise _needs(one, {name: left[one.id][name] for name in sorted(needed)})
    added = {one.id: _document(one, there, left[one.id]) for one in asked}
    return {**base, "Resources": {**base["Resources"], **added}}, left


def _nothing(wanted: Mapping[str, Any]) -> dict[str, Any]:
    metadata = wanted["Metadata"]
    described = {**metadata[METADATA], RETAINED: True}
    return {
        **{key: value for key, value in wanted.items() if key != "Outputs"},
        "Metadata": {**metadata, METADATA: described},
        "Resources": {},
    }


def _missing(one: Asked, there: Container[str]) -> Iterator[tuple[str, list[str]]]:
    for name, value in one.document.get("Properties", {}).items():
        absent = sorted({other for other in referred(value) if other not in there})
        if absent:
            yield name, absent


def _document(one: Asked, there: Container[str], left: Container[str]) -> Document:
    said = one.document.get("Properties", {})
    properties = {name: value for name, value in said.items() if name not in left}
    document = {**_KEEP, **one.document, "Properties": properties}
    first = [other for other in document.pop("DependsOn", ()) if other in there]
    return document | ({"DependsOn": first} if first else {})


def _needs(one: Asked, missing: Mapping[str, list[str]]) -> RefusedError:
    others = ", ".join(sorted({other for absent in missing.values() for other in absent}))
    return RefusedError(
        f"{one.id} cannot be imported yet: what it is said to have as {', '.join(missing)} comes "
        f"from {others}, which this deployment does not have. It has to be there from the "
        f"beginning: set by the next deploy, it could have {one.id} replaced",
        where=one.id,
        hint=f"import {others} as well, or say under spec.overrides.aws.{one.id} what it has",
        code="refused.import",
    )

"""Two lesser forms of a template: what is left when the service goes, and what may go as well.

Plain functions of the template, so what a destroy will do can be seen and tested without AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular.deploy.aws.account.stacks import DELETING, RETAINED
from tabular.deploy.aws.words.document import KEPT
from tabular.deploy.aws.words.names import DESCRIPTION, METADATA

# Properties by which a resource refuses to be deleted.
_GUARDS: Mapping[str, Mapping[str, Any]] = {
    "AWS::RDS::DBInstance": {"DeletionProtection": False},
}
_DELETE = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
# What cannot be deleted by itself and goes with what it belongs to: of a secret that RDS made
# nobody may turn off the rotation.
_ATTACHED = frozenset({"AWS::SecretsManager::RotationSchedule"})


def kept(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template with the data stores, and what they stand on, alone."""
    resources = {name: one for name, one in template["Resources"].items() if _is_kept(one)}
    there = {*resources, *template.get("Parameters", {})}
    outputs = {
        name: one
        for name, one in template.get("Outputs", {}).items()
        if set(referred(one)) <= there
    }
    metadata = template.get("Metadata", {})
    described = {**metadata.get(METADATA, {}), RETAINED: True}
    return {
        **template,
        "Metadata": {**metadata, METADATA: described},
        "Resources": resources,
        "Outputs": outputs,
    }


def deletable(template: Mapping[str, Any]) -> dict[str, Any]:
    """The kept part with nothing that guards it from being deleted with its stack.

    CloudFormation takes no change of policies alone, so the description is there: it changes.
    """
    remaining = kept(template)
    resources = {
        name: {**one, **_policies(one), "Properties": {**one["Properties"], **_guards(one)}}
        for name, one in remaining["Resources"].items()
    }
    description = {"Type": "AWS::SSM::Parameter",
                   "Properties": {"Type": "String", "Value": "to be deleted"}}  # fmt: skip
    metadata = remaining["Metadata"]
    return {
        **remaining,
        "Metadata": {**metadata, METADATA: {**metadata[METADATA], DELETING: True}},
        "Resources": {**resources, DESCRIPTION: description},
    }


def referred(value: Any) -> Iterator[str]:
    """Logical ids that a part of a template refers to, pseudo parameters left out."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield from () if item.startswith("AWS::") else (item,)
            elif key == "Fn::GetAtt":
                yield item[0] if isinstance(item, list) else str(item).partition(".")[0]
            elif key == "Fn::Sub":
                yield from _in_text(item)
            elif key == "DependsOn":
                yield from [item] if isinstance(item, str) else item
            else:
                yield from referred(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from referred(item)


def _in_text(item: Any) -> Iterator[str]:
    text, given = (item, {}) if isinstance(item, str) else (item[0], item[1])
    for piece in text.split("${")[1:]:
        name = piece.partition("}")[0].partition(".")[0]
        if not name.startswith(("AWS::", "!")) and name not in given:
            yield name
    yield from referred(list(given.values()))


def _is_kept(resource: Mapping[str, Any]) -> bool:
    return bool(resource.get("Metadata", {}).get(KEPT))


def _policies(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    return {} if resource["Type"] in _ATTACHED else _DELETE


def _guards(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    return _GUARDS.get(resource["Type"], {})

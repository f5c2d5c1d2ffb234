"""What a person wants imported, checked against the template and against what runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tabular.errors import RefusedError, UsageError, nearest

# What is imported is written into the template and shown, and these may have secrets in them.
_MAY_TELL: Mapping[str, str] = {
    "AWS::Batch::JobDefinition": "environment",
    "AWS::EC2::LaunchTemplate": "user data",
    "AWS::ECS::TaskDefinition": "environment",
    "AWS::Lambda::Function": "environment",
}


@dataclass(frozen=True, slots=True)
class Importable:
    """What AWS's schema of a type says for imports; written by ``scripts/aws_permissions.py``.

    Attributes:
        identifier: properties that together name one, in the order in which AWS joins them.
        fixed: properties that only a new resource can have, always or under conditions.
        required: properties that have to be said.
        unread: properties that no service tells.
    """

    identifier: tuple[str, ...]
    fixed: frozenset[str]
    required: frozenset[str]
    unread: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """One resource to be imported.

    Attributes:
        id: its logical id.
        document: what the template says of it.
        physical: as it was given.
        kind: of its type.
        there: the stack has it already, as an import whose client died may leave it.
    """

    id: str
    document: Mapping[str, Any]
    physical: str
    kind: Importable
    there: bool = False

    @property
    def type(self) -> str:
        """E.g. ``AWS::S3::Bucket``."""
        return str(self.document["Type"])

    @property
    def request(self) -> dict[str, Any]:
        """The member of ``ResourcesToImport`` that means it."""
        values = self.physical.split("|") if len(self.kind.identifier) > 1 else [self.physical]
        return {
            "LogicalResourceId": self.id,
            "ResourceType": self.type,
            "ResourceIdentifier": dict(zip(self.kind.identifier, values, strict=True)),
        }


@cache
def importable() -> Mapping[str, Importable]:
    """What can be imported, by type."""
    text = (files("tabular.deploy.aws.importing") / "importable.json").read_text("utf-8")
    return {
        type_: Importable(
            tuple(one["identifier"]),
            frozenset(one["fixed"]),
            frozenset(one["required"]),
            frozenset(one["unread"]),
        )
        for type_, one in json.loads(text).items()
    }


def read(
    words: Sequence[str], wanted: Mapping[str, Any], running: Mapping[str, str]
) -> tuple[Asked, ...]:
    """What the words mean.

    Args:
        words: ``LOGICAL_ID=PHYSICAL_ID`` each.
        wanted: resources of the spec's template.
        running: physical ids of what the stack has, by logical id; empty where nothing runs.

    Raises:
        UsageError: a word has another form, or names no resource of the template.
        RefusedError: CloudFormation cannot import it, its secrets would be shown, or another one is
            in the stack already.
    """
    pairs = [_pair(word) for word in words]
    for number, known in enumerate(zip(*pairs, strict=True)):
        twice = sorted({one for one in known if known.count(one) > 1})
        if twice:
            meant = "resource of the template" if number == 0 else "existing resource"
            raise UsageError(
                f"one {meant} is named twice: {', '.join(twice)}",
                hint="each is the other's only one",
            )
    return tuple(_asked(name, physical, wanted, running) for name, physical in pairs)


def _pair(word: str) -> tuple[str, str]:
    name, _, physical = word.partition("=")
    if not name or not physical:
        raise UsageError(
            f"{word!r} does not say which resource of the template is which in the account",
            hint="LOGICAL_ID=PHYSICAL_ID, for example Bucket=our-old-bucket",
        )
    return name, physical


def _asked(
    name: str, physical: str, wanted: Mapping[str, Any], running: Mapping[str, str]
) -> Asked:
    # Of an id of several parts CloudFormation shows one, or all.
    if name in running and running[name] not in (physical, *physical.split("|")):
        raise RefusedError(
            f"{name} is in the stack already: {running[name]}",
            where=name,
            hint="another one cannot take its place; to move the data: `inferloop-tabular backup`",
            code="refused.import",
        )
    if name not in wanted:
        raise UsageError(
            f"the template of this spec has no {name}",
            where=name,
            hint=nearest(name, wanted).strip() or _names(wanted),
            code="usage.import",
        )
    document = wanted[name]
    if document["Type"] in _MAY_TELL:
        raise RefusedError(
            f"{document['Type']} is not imported: its {_MAY_TELL[document['Type']]} may hold "
            "secrets, which would be written into the template and onto the screen",
            where=name,
            hint="leave it out: the next deploy makes one",
            code="refused.import-type",
        )
    kind = importable().get(document["Type"])
    if kind is None:
        raise RefusedError(
            f"CloudFormation imports no {document['Type']}",
            where=name,
            hint="leave it out: the next deploy makes one",
            code="refused.import-type",
        )
    found = Asked(name, document, physical, kind, there=name in running)
    _require_identity(found)
    return found


def _names(wanted: Mapping[str, Any]) -> str:
    return f"it has {', '.join(sorted(name for name in wanted if _can(wanted[name])))}"


def _can(document: Mapping[str, Any]) -> bool:
    return document["Type"] in importable() and document["Type"] not in _MAY_TELL


def _require_identity(asked: Asked) -> None:
    """Refuse an id of another form, and one that is not the one in the template."""
    keys = asked.kind.identifier
    if len(keys) > 1 and asked.physical.count("|") != len(keys) - 1:
        raise UsageError(
            f"{asked.physical!r} does not name one {asked.type}",
            where=asked.id,
            hint=f"{asked.id}={'|'.join(keys)}, with the value of each in its place",
        )
    said = asked.document.get("Properties", {})
    for key, value in asked.request["ResourceIdentifier"].items():
        if isinstance(said.get(key), str) and said[key] != value:
            raise RefusedError(
                f"the spec says that its {key} is {said[key]}, and not {value}",
                where=asked.id,
                hint="CloudFormation would replace it by one of that name; leave the name out of "
                "overrides.aws, or import the one that it means",
                code="refused.import",
            )

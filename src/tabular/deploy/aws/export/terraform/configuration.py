"""The resources of a stack, put together: what each one says, and what it is imported by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tabular.deploy.aws.export.terraform.kinds import FILES, KINDS
from tabular.deploy.aws.export.terraform.kinds.security import rights
from tabular.deploy.aws.export.terraform.place import AFTER, LIFE, Item, Piece, Place, settled
from tabular.deploy.aws.export.terraform.references import References, Target
from tabular.deploy.aws.export.terraform.rules import Kind, body
from tabular.deploy.aws.infrastructure.compute.collector import IMAGE as COLLECTOR
from tabular.deploy.export.hcl import (
    Attribute,
    Block,
    Expression,
    Text,
    Value,
    identifier,
)
from tabular.deploy.stack import Stack
from tabular.errors import UnsupportedError

# What a template says of a resource beside its properties. Those of the first line are read as if
# they were properties, where a table has them.
_READ = ("UpdatePolicy", "CreationPolicy", "DeletionPolicy")
_KNOWN = frozenset({"Type", "Properties", "DependsOn", "Metadata", "UpdateReplacePolicy", *_READ})
_HEAD = re.compile(r"image='$")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration.

    Attributes:
        pieces: resources by file.
        references: with the data that they look up.
    """

    pieces: Mapping[str, tuple[Piece, ...]]
    references: References


def configure(stack: Stack) -> Configuration:
    """Every resource of a stack.

    Raises:
        UnsupportedError: a type, a property or a reference that has no counterpart here.
    """
    resources: Mapping[str, Mapping[str, Any]] = stack.template["Resources"]
    for name, document in resources.items():
        _require_known(name, document)
    adopting = bool(stack.ids)
    targets = {name: _target(name, one["Type"], adopting) for name, one in resources.items()}
    references = References(
        {name: one for name, one in targets.items() if one is not None}, image_of(resources)
    )
    scaled = _scaled(resources)
    pieces = {
        file: tuple(
            piece
            for name in _in_order(resources, kinds)
            for piece in _pieces(_place(name, stack, references, name in scaled), resources)
        )
        for file, kinds in FILES.items()
    }
    _require_distinct([piece for found in pieces.values() for piece in found])
    return Configuration(pieces, references)


def image_of(resources: Mapping[str, Any]) -> Any:
    """The image that all programs run, as the template has it; None if it has none."""
    found = [*_images(resources)]
    return found[0] if found else None


def _images(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("Image", "ImageUri") and inner != COLLECTOR:
                yield inner
            else:
                yield from _images(inner)
    elif isinstance(value, list | tuple):
        for before, inner in zip(("", *value), value, strict=False):
            # The boot script of an instance has it as a variable of its own.
            if isinstance(before, str) and _HEAD.search(before):
                yield inner
            else:
                yield from _images(inner)


def _require_known(name: str, document: Mapping[str, Any]) -> None:
    type_ = document["Type"]
    hint = "export --format cloudformation has it; or take it out of spec.overrides.aws"
    if type_ not in KINDS:
        raise UnsupportedError(
            "Terraform is not written for this type", where=f"{name} ({type_})", hint=hint
        )
    for attribute in document.keys() - _KNOWN:
        raise UnsupportedError(
            "Terraform is not written for this attribute",
            where=f"{name} ({type_}).{attribute}",
            hint=hint,
        )


def _target(name: str, type_: str, adopting: bool) -> Target | None:
    kind, label = KINDS[type_], identifier(name)
    if not kind.type:
        return None
    address = f"{kind.type}.{label}"
    if kind.replaced_ref and not adopting:
        return Target(address, kind.replaced_ref.format(label=label), kind.attributes)
    return Target(address, f"{address}.{kind.ref}", kind.attributes)


def _scaled(resources: Mapping[str, Any]) -> frozenset[str]:
    """Services whose number of tasks follows a target of Application Auto Scaling."""
    type_ = "AWS::ApplicationAutoScaling::ScalableTarget"
    targets = [one["Properties"] for one in resources.values() if one["Type"] == type_]
    named = " ".join(str(one.get("ResourceId")) for one in targets)
    return frozenset(one for one in resources if f"${{{one}.Name}}" in named)


def _in_order(resources: Mapping[str, Any], kinds: Mapping[str, Kind]) -> list[str]:
    """As the tables have the types, and each type as people count: 2 before 10."""
    rank = {type_: number for number, type_ in enumerate(kinds)}
    found = [name for name, one in resources.items() if one["Type"] in rank]
    return sorted(found, key=lambda name: (rank[resources[name]["Type"]], _natural(name)))


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(one), "") if one.isdigit() else (0, one) for one in parts]


def _place(name: str, stack: Stack, references: References, scaled: bool) -> Place:
    document = stack.template["Resources"][name]
    kind, label = KINDS[document["Type"]], identifier(name)
    return Place(
        id=name,
        type=document["Type"],
        label=label,
        address=f"{kind.type}.{label}",
        properties=_nested(kind, document),
        references=references,
        ids=stack.ids,
        tags=stack.tags,
        scaled=scaled,
    )


def _nested(kind: Kind, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties in the shape that the table has."""
    found = dict(document.get("Properties", {}))
    found |= {one: document[one] for one in _READ if one in kind.rules and one in document}
    for block, names in kind.nested.items():
        inner = {name: found.pop(name) for name in names if name in found}
        if inner:
            found[block] = inner
    return found


def _pieces(place: Place, resources: Mapping[str, Any]) -> Iterator[Piece]:
    kind = KINDS[place.type]
    items = [*_name(kind, place), *kind.constant, *body(kind.rules, place.properties, place)]
    if kind.type:
        items += _life(place, resources)
        yield Piece(kind.type, place.label, settled(items), _running(kind, place))
    for name, beside in kind.beside.items():
        if name in place.properties:
            for piece in beside(place.within(name), place.properties[name]):
                yield piece if place.adopted else replace(piece, running=None)


def _name(kind: Kind, place: Place) -> Iterator[Attribute]:
    if not kind.named:
        return
    if place.adopted:
        yield Attribute(kind.named, kind.name_of(place))
    else:
        before = Expression("local.short_name" if kind.short else "var.name")
        words = f"-{place.label.replace('_', '-')}"
        if kind.ahead:  # two of them are there for a while
            yield Attribute(f"{kind.named}_prefix", Text((before, f"{words}-")))
        else:
            yield Attribute(kind.named, Text((before, words)))


def _life(place: Place, resources: Mapping[str, Any]) -> Iterator[Item]:
    """What it waits for, what is not deleted by a slip, and what is made before it goes."""
    document = resources[place.id]
    targets = place.references.targets
    after = [targets[one].address for one in document.get("DependsOn", ()) if one in targets]
    if KINDS[place.type].served:
        after += rights(place.id, resources)
    if after:
        yield Attribute(AFTER, [Expression(one) for one in sorted(set(after))])
    if KINDS[place.type].ahead:
        yield Block(LIFE, (), (Attribute("create_before_destroy", True),))
    if document.get("DeletionPolicy", "Delete") != "Delete":
        yield Block(LIFE, (), (Attribute("prevent_destroy", True),))


def _running(kind: Kind, place: Place) -> Value:
    return kind.running(place) if place.adopted else None


def _require_distinct(pieces: list[Piece]) -> None:
    seen: set[str] = set()
    for piece in pieces:
        if piece.address in seen:
            raise AssertionError(f"two resources would be {piece.address}")
        seen.add(piece.address)

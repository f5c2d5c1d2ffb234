"""The words in which the tables of `kinds` say how CloudFormation becomes Terraform.

A table names each property that it knows. One that it does not name is an error, so nothing that a
template says is ever left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tabular.deploy.aws.export.terraform.place import Item, Piece, Place, settled
from tabular.deploy.export.hcl import Attribute, Block, Call, Expression, Value

Rule: TypeAlias = Callable[[Place, Any], Iterable[Item]]
Rules: TypeAlias = Mapping[str, "Rule | str"]


def body(rules: Rules, properties: Any, place: Place) -> Iterator[Item]:
    """What some properties come to, in the order of their table.

    Raises:
        UnsupportedError: the table does not know one of them.
    """
    for name in place.entries(properties):
        if name not in rules:
            place.within(name).refuse("this property")
    seen: set[str] = set()
    for name, rule in rules.items():
        if name in properties:
            inner = place.within(name)
            found = attribute(rule) if isinstance(rule, str) else rule
            for item in found(inner, properties[name]):
                if isinstance(item, Attribute) and item.name in seen:
                    inner.refuse("the same thing said twice")
                seen |= {item.name} if isinstance(item, Attribute) else set()
                yield item


def attribute(name: str, convert: Callable[[Value], Value] | None = None) -> Rule:
    """A plain setting: a text, a number, a reference, or a list of them."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        made = place.value(value)
        inner = made if isinstance(made, list) else [made]
        if any(isinstance(one, Mapping | list) for one in inner):
            place.refuse("a block of properties at this place")
        yield Attribute(name, convert(made) if convert else made)

    return write


def by(name: str, attribute_: str) -> Rule:
    """A reference to a resource that Terraform wants by another attribute than ``Ref`` gives."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        if not isinstance(value, Mapping) or "Ref" not in value:
            place.refuse("another thing than a Ref at this place")
        yield Attribute(name, place.value({"Fn::GetAtt": [value["Ref"], attribute_]}))

    return write


def number(name: str) -> Rule:
    """A number that CloudFormation writes as a text."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        yield from attribute(name)(place, _plain(value))

    return write


def flag(name: str, words: Mapping[str, bool]) -> Rule:
    """A word that is true or false in Terraform."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        if not isinstance(value, str) or value not in words:
            place.refuse(f"the value {value!r}")
        yield Attribute(name, words[value])

    return write


def mapping(name: str) -> Rule:
    """Names of the user's own and their values."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        found = place.entries(value)
        yield Attribute(name, {key: place.within(key).value(found[key]) for key in sorted(found)})

    return write


def pairs(name: str, key: str = "Name", value: str = "Value") -> Rule:
    """A list of names and values, which Terraform writes as a map."""

    def write(place: Place, given: Any) -> Iterator[Item]:
        found = dict(place.named(given, key, value))
        yield Attribute(name, {one: place.value(found[one]) for one in sorted(found)})

    return write


def block(name: str, rules: Rules) -> Rule:
    """A block, or one for each entry of a list."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        for one in value if isinstance(value, list) else [value]:
            yield Block(name, (), settled(body(rules, one, place)))

    return write


def inline(rules: Rules) -> Rule:
    """A block of CloudFormation whose settings Terraform has one level up."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        return body(rules, value, place)

    return write


def single(rule: Rule) -> Rule:
    """A list that may have one entry."""

    def write(place: Place, value: Any) -> Iterable[Item]:
        if len(place.listed(value)) != 1:
            place.refuse(f"{len(value)} entries here")
        return rule(place, value[0])

    return write


def only(*values: Any) -> Rule:
    """A property without a counterpart, of which these values mean what Terraform does anyway."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        if value not in values:
            place.refuse(f"the value {value!r}")
        return iter(())

    return write


def options(names: Mapping[str, str]) -> Rule:
    """A list of keys and values, each of which is a setting of its own."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        found = dict(place.named(value, "Key", "Value"))
        for key in sorted(found):
            inner = place.within(key)
            if key not in names:
                inner.refuse("this property")
            yield from attribute(names[key])(inner, _plain(found[key]))

    return write


def _plain(value: Any) -> Any:
    """A number, or true or false, of the text that CloudFormation has."""
    words = {"true": True, "false": False}
    if str(value).isdigit():
        return int(value)
    return words.get(value, value) if isinstance(value, str) else value


def unsaid(place: Place, value: Any) -> Iterator[Item]:
    """A property that another resource, or a reason of its own, stands for."""
    return iter(())


def json(name: str) -> Rule:
    """A document of another language, such as a policy, in its own words."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        yield Attribute(name, Call("jsonencode", (place.value(value),)))

    return write


Names: TypeAlias = Mapping[str, "str | tuple[str, Names]"]


def renamed(names: Names) -> Callable[[Place, Any], Value]:
    """What makes JSON of properties whose names another API writes differently.

    Args:
        names: CloudFormation's name to the other; with the names within, where there are any.
    """

    def write(place: Place, value: Any) -> Value:
        if isinstance(value, list):
            return [write(place, one) for one in value]
        for name in place.entries(value):
            if name not in names:
                place.within(name).refuse("this property")
        found: dict[str, Value] = {}
        for name, said in names.items():
            if name in value:
                inner = place.within(name)
                if isinstance(said, str):
                    found[said] = inner.value(value[name])
                else:
                    found[said[0]] = renamed(said[1])(inner, value[name])
        return found

    return write


def renamed_json(name: str, names: Names) -> Rule:
    """Such JSON as a setting."""

    def write(place: Place, value: Any) -> Iterator[Item]:
        yield Attribute(name, Call("jsonencode", (renamed(names)(place, value),)))

    return write


def tags(place: Place, said: Any) -> Iterator[Item]:
    """Those that all resources have by one name, and what this one has besides."""
    listed = isinstance(said, list)
    found = dict(place.named(said, "Key", "Value") if listed else place.entries(said))
    own = {key: place.value(found[key]) for key in sorted(found) if key not in place.tags}
    if any(found.get(key) != value for key, value in place.tags.items()):
        yield Attribute("tags", {key: place.value(found[key]) for key in sorted(found)})
    elif own:
        yield Attribute("tags", Call("merge", (Expression("local.tags"), own)))
    else:
        yield Attribute("tags", Expression("local.tags"))


Beside: TypeAlias = Callable[[Place, Any], Iterable[Piece]]


def physical(place: Place) -> Value:
    """The physical id, which most resources are imported by."""
    return place.adopted


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type of CloudFormation is written.

    Attributes:
        type: of Terraform; "" for a type that has no counterpart, which README tells.
        rules: by property.
        beside: properties that Terraform has as resources of their own.
        ref: attribute that ``Ref`` stands for.
        attributes: attribute that each one of ``Fn::GetAtt`` stands for; with a text behind it.
        named: attribute in which Terraform wants a name.
        short: that name may have few characters only.
        ahead: the next one has to be there before the last one goes.
        served: it runs programs, for which their roles should have got their rights.
        nested: properties that Terraform puts into one block, by the name that `rules` has for it.
        constant: what Terraform has to be told besides.
        running: what the resource is imported by.
        name_of: the name of what runs.
        replaced_ref: what ``Ref`` stands for where the resource is made by Terraform.
    """

    type: str
    rules: Rules
    beside: Mapping[str, Beside] = field(default_factory=dict)
    ref: str = "id"
    attributes: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    named: str = ""
    short: bool = False
    ahead: bool = False
    served: bool = False
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constant: tuple[Attribute | Block, ...] = ()
    running: Callable[[Place], Value] = physical
    name_of: Callable[[Place], str] = field(default=lambda place: place.adopted)
    replaced_ref: str = ""

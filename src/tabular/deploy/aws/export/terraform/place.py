"""Where in a template something is read, and the resources of Terraform that it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeAlias

from tabular.deploy.aws.export.terraform.references import References
from tabular.deploy.export.hcl import Attribute, Block, Expression, Value
from tabular.errors import UnsupportedError

# Of Terraform itself, not of a resource.
LIFE, AFTER = "lifecycle", "depends_on"


@dataclass(frozen=True, slots=True)
class Ignored:
    """An attribute that others change while it runs, which a plan does not set back."""

    name: str


Item: TypeAlias = Attribute | Block | Ignored


@dataclass(frozen=True, slots=True)
class Piece:
    """One resource of Terraform.

    Attributes:
        type: e.g. ``aws_vpc``.
        label: its name in the configuration.
        items: what it says.
        running: what an import block is to name; None if it is made anew, which README tells.
    """

    type: str
    label: str
    items: tuple[Attribute | Block, ...]
    running: Value = None

    @property
    def address(self) -> str:
        """As other resources name it."""
        return f"{self.type}.{self.label}"

    @property
    def block(self) -> Block:
        """The block of it; a type may say which kind of block, if it is no resource."""
        kind, dot, type_ = self.type.partition(".")
        labels = (type_, self.label) if dot else (self.type, self.label)
        return Block(kind if dot else "resource", labels, self.items)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a template something is read.

    Attributes:
        id: logical id of the resource.
        type: of it, in CloudFormation's words.
        label: of what is made of it.
        address: of what is made of it.
        properties: all of them.
        references: what it may refer to.
        ids: physical ids by logical id; none for a deployment that is only described.
        tags: of all resources.
        scaled: the number of its instances changes by itself.
        path: of the property.
    """

    id: str
    type: str
    label: str
    address: str
    properties: Mapping[str, Any]
    references: References
    ids: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    scaled: bool = False
    path: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """For people: resource, type and property."""
        return f"{self.id} ({self.type}){''.join(f'.{one}' for one in self.path)}"

    @property
    def adopted(self) -> str:
        """Physical id of what runs; "" if nothing does."""
        return self.ids.get(self.id, "")

    def within(self, name: str) -> Place:
        """A part of it."""
        return replace(self, path=(*self.path, name))

    def value(self, value: Any) -> Value:
        """A value as one of HCL."""
        return self.references.value(value, self.where)

    def itself(self, attribute: str) -> Expression:
        """An attribute of the resource itself, for what is made beside it."""
        return Expression(f"{self.address}.{attribute}")

    def running(self, value: Any) -> str:
        """Physical id of what a ``Ref`` or ``Fn::GetAtt`` names, or the text itself."""
        if isinstance(value, str):
            return value
        found = value.get("Ref") or value.get("Fn::GetAtt", [""])[0]
        return self.ids.get(found, "")

    def entries(self, value: Any) -> Mapping[str, Any]:
        """A value that has to be a mapping of names to values.

        Raises:
            UnsupportedError: it is none.
        """
        if not isinstance(value, Mapping) or any(str(one).startswith("Fn::") for one in value):
            self.refuse("another thing than names and values here")
        return value

    def listed(self, value: Any) -> list[Any]:
        """A value that has to be a list.

        Raises:
            UnsupportedError: it is none.
        """
        if not isinstance(value, list):
            self.refuse("another thing than a list here")
        return value

    def named(self, value: Any, *names: str) -> list[list[Any]]:
        """A list of mappings with these names and no others, a text by the first: their values.

        Raises:
            UnsupportedError: it is none.
        """
        found = self.listed(value)
        for one in found:
            known = isinstance(one, Mapping) and set(one) == set(names)
            if not known or not isinstance(one[names[0]], str):
                self.refuse(f"entries of other things than {' and '.join(names)}")
        return [[one[name] for name in names] for one in found]

    def text_of(self, value: Any, name: str) -> str:
        """A text that something is called by.

        Raises:
            UnsupportedError: there is none.
        """
        found = self.entries(value).get(name)
        if not isinstance(found, str):
            self.within(name).refuse("another thing than a text at this place")
        return found

    def refuse(self, words: str) -> NoReturn:
        """Say that this export cannot tell it.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            f"Terraform is not written for {words}",
            where=self.where,
            hint="export --format cloudformation has it; or take it out of spec.overrides.aws",
        )


def settled(items: Iterable[Item]) -> tuple[Attribute | Block, ...]:
    """Attributes, then blocks, then the one block of its life and what it waits for."""
    found = list(items)
    ignored = [Expression(one.name) for one in found if isinstance(one, Ignored)]
    attributes = [one for one in found if isinstance(one, Attribute)]
    blocks = [one for one in found if isinstance(one, Block)]
    life = [item for one in blocks if one.kind == LIFE for item in one.items]
    if ignored:
        life.append(Attribute("ignore_changes", ignored))
    return (
        *(one for one in attributes if one.name != AFTER),
        *(one for one in blocks if one.kind != LIFE),
        *([Block(LIFE, (), tuple(life))] if life else []),
        *(one for one in attributes if one.name == AFTER),
    )

"""What a template refers to, as expressions of Terraform.

A template names other resources by ``Ref``, ``Fn::GetAtt`` and texts with ``${…}``; Terraform names
them by their address. What is not known here is an error: an expression that is left out would be
a setting that is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tabular.deploy.aws.words.names import RELEASE
from tabular.deploy.export.hcl import (
    Attribute,
    Block,
    Call,
    Expression,
    Script,
    Text,
    Value,
    identifier,
    joined,
)
from tabular.errors import UnsupportedError

_USUAL = Block(
    "filter",
    (),
    (Attribute("name", "opt-in-status"), Attribute("values", ["opt-in-not-required"])),
)
_DATA: Mapping[str, tuple[str, str, tuple[Attribute | Block, ...]]] = {
    "caller": ("aws_caller_identity", "current", ()),
    "partition": ("aws_partition", "current", ()),
    "region": ("aws_region", "current", ()),
    # Without zones that an account has to ask for, of which CloudFormation names none either.
    "zones": ("aws_availability_zones", "available", (Attribute("state", "available"), _USUAL)),
}
_PSEUDO: Mapping[str, tuple[str | None, str]] = {
    "AWS::AccountId": ("caller", "account_id"),
    "AWS::Partition": ("partition", "partition"),
    "AWS::URLSuffix": ("partition", "dns_suffix"),
    "AWS::Region": ("region", "region"),
    "AWS::StackName": (None, "var.name"),
}
_REFERENCE = re.compile(r"\$\{(!?)([^}]*)\}")
_DYNAMIC = re.compile(r"\{\{resolve:([a-z-]+):(.*)\}\}")
# Elements of policies in the order in which people read them.
_READ_FIRST = ("Version", "Sid", "Effect", "Principal", "Action", "Resource", "Condition")


@dataclass(frozen=True, slots=True)
class Target:
    """What may be referred to.

    Attributes:
        address: of its resource.
        ref: expression of ``Ref``.
        attributes: of ``Fn::GetAtt``: attribute of Terraform, or with a text behind it.
    """

    address: str
    ref: str
    attributes: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)


@dataclass
class References:
    """References of one template.

    Attributes:
        targets: by logical id.
        image: of the container as the template has it, which becomes a variable; None if none.
        data: what has to be looked up, found while expressions are made.
    """

    targets: Mapping[str, Target]
    image: Any = None
    data: dict[str, Block] = field(default_factory=dict)

    def value(self, value: Any, where: str) -> Value:
        """A value of a template as one of HCL.

        Raises:
            UnsupportedError: it refers to what is not known here.
        """
        if self.image is not None and value == self.image:
            return Expression("local.image")
        match value:
            case str():
                return self._plain(value, where)
            case {"Ref": str(name), **more} if not more:
                return self._ref(name, where)
            case Mapping() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
                ((function, argument),) = value.items()
                return self._call(function, argument, where)
        return self._parts(value, where)

    def _parts(self, value: Any, where: str) -> Value:
        match value:
            case Mapping():
                return {key: self.value(value[key], f"{where}.{key}") for key in _ordered(value)}
            case list() | tuple():
                return [self.value(one, f"{where}.{n}") for n, one in enumerate(value)]
            case None:
                _refuse(where, "null, which is no value to CloudFormation either")
        return value

    def document(self, text: str, where: str) -> Value:
        """JSON with references in its texts, as the value that it describes."""

        def found(value: Any) -> Value:
            match value:
                case str():
                    return self._sub(value, where)
                case Mapping():
                    return {key: found(value[key]) for key in sorted(value)}
                case list():
                    return [found(one) for one in value]
            return value

        try:
            whole = json.loads(text)
        except ValueError:
            _refuse(where, "a text that is no JSON")
        return found(whole)

    def secret(self, value: Any, where: str) -> tuple[Value, str | None]:
        """The secret that a dynamic reference names, and the key within it.

        Raises:
            UnsupportedError: it is none, so it might be the secret itself.
        """
        text = value.get("Fn::Sub") if isinstance(value, Mapping) else value
        found = _DYNAMIC.fullmatch(text) if isinstance(text, str) else None
        if found is None or found[1] != "secretsmanager":
            _refuse(where, "a secret that is not kept in Secrets Manager")
        arn, _, rest = found[2].partition(":SecretString")
        return self._sub(arn, where), rest.removeprefix(":") or None

    def look_up(self, key: str, type_: str, name: str, *items: Attribute | Block) -> None:
        """Have a data source written."""
        self.data[key] = Block("data", (type_, name), items)

    def _plain(self, value: str, where: str) -> Value:
        dynamic = _DYNAMIC.fullmatch(value)
        if dynamic is None:
            if "{{resolve:" in value:
                _refuse(where, "a dynamic reference within a text")
            return value
        service, name = dynamic[1], dynamic[2]
        if service != "ssm":
            _refuse(where, f"a secret of {service} outside of a password")
        label = identifier(re.sub(r"[^A-Za-z0-9]+", "_", name.rpartition("/")[2]))
        self.look_up(name, "aws_ssm_parameter", label, Attribute("name", name))
        # What is looked up here is no secret; this way it is seen in a plan.
        return Expression(f"data.aws_ssm_parameter.{label}.insecure_value")

    def _ref(self, name: str, where: str) -> Expression:
        if name == RELEASE:
            return Expression("var.release")
        if name in _PSEUDO:
            data, attribute = _PSEUDO[name]
            return Expression(f"{self._known(data)}.{attribute}" if data else attribute)
        return Expression(self._target(name, where).ref)

    def _target(self, name: str, where: str) -> Target:
        if name not in self.targets:
            _refuse(where, f"a reference to {name}")
        return self.targets[name]

    def _attribute(self, name: str, attribute: str, where: str) -> Value:
        target = self._target(name, where)
        found = target.attributes.get(attribute)
        if found is None:
            _refuse(where, f"the attribute {attribute} of {name}")
        if isinstance(found, str):
            return Expression(f"{target.address}.{found}")
        return Text((Expression(f"{target.address}.{found[0]}"), found[1]))

    def _call(self, function: str, argument: Any, where: str) -> Value:
        match function, argument:
            case "Fn::GetAtt", [str(name), str(attribute)]:
                return self._attribute(name, attribute, where)
            case "Fn::Sub", str():
                return self._sub(argument, where)
            case "Fn::Join", [str(separator), [*items]]:
                return joined(self._between(separator, items, where))
            case "Fn::Select", [int(number), {"Fn::GetAZs": ""}]:
                return Expression(f"{self._known('zones')}.names[{number}]")
            case "Fn::Base64", _:
                return Call("base64encode", (self._script(argument, where),))
        return _refuse(where, function)

    def _known(self, name: str) -> str:
        """Have one of the usual data sources written; its address."""
        type_, label, items = _DATA[name]
        self.look_up(type_, type_, label, *items)
        return f"data.{type_}.{label}"

    def _script(self, argument: Any, where: str) -> Value:
        text = self.value(argument, where)
        whole = text if isinstance(text, Text) else Text((text,))
        last = whole.pieces[-1]
        ends = isinstance(last, str) and last.endswith("\n")
        return Script(whole) if ends else text

    def _between(self, separator: str, items: list[Any], where: str) -> Iterator[Value]:
        for number, item in enumerate(items):
            if number:
                yield separator
            yield self.value(item, f"{where}.{number}")

    def _sub(self, text: str, where: str) -> Value:
        return joined(self._pieces(text, where))

    def _pieces(self, text: str, where: str) -> Iterator[Value]:
        if "{{resolve:" in text:
            _refuse(where, "a secret outside of a password")
        end = 0
        for found in _REFERENCE.finditer(text):
            yield text[end : found.start()]
            end = found.end()
            literal, name = found.groups()
            target, dot, attribute = name.partition(".")
            if literal:
                yield f"${{{name}}}"
            elif dot:
                yield self._attribute(target, attribute, where)
            else:
                yield self._ref(name, where)
        yield text[end:]


def named_in(value: Any) -> Iterator[str]:
    """Logical ids that a value names by ``Ref`` or ``Fn::GetAtt``."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case Mapping():
            for inner in value.values():
                yield from named_in(inner)
        case list() | tuple():
            for inner in value:
                yield from named_in(inner)


def _ordered(value: Mapping[str, Any]) -> list[str]:
    """Keys in an order that does not hang on how the template was stored."""
    ranks = {name: rank for rank, name in enumerate(_READ_FIRST)}
    return sorted(value, key=lambda key: (ranks.get(key, len(ranks)), key))


def _refuse(where: str, what: str) -> NoReturn:
    raise UnsupportedError(
        f"Terraform is not written for {what}",
        where=where,
        hint="export --format cloudformation has it; or take it out of spec.overrides.aws",
    )

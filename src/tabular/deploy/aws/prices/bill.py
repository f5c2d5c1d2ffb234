"""What every price function needs: reading properties, and writing line items.

Properties of CloudFormation are texts, numbers or functions such as ``Ref``. A function whose value
is only known once it is deployed has no price; guessing one is what this room exists to avoid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tabular.deploy.aws.prices.table import Rate, Rates
from tabular.deploy.aws.prices.usage import Usage
from tabular.deploy.cost import LineItem
from tabular.deploy.stack import Resource, Stack

HOURS = 730  # AWS's own month: 365 x 24 / 12
GIB = 2**30
_CENT = Decimal("0.0001")
# How groups of the price list read in a sentence.
_WORDS = {
    "ec2": "instance type",
    "ebs": "price of disks",
    "rds": "database class",
    "rds_storage": "price of database storage",
    "cache": "cache node",
    "s3": "price of storage",
}


class NoPriceError(Exception):
    """A price that is not known; carries the reason. Never leaves this room."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Where and with what a resource is priced.

    Attributes:
        stack: what the resource belongs to.
        region: where it is.
        rates: unit prices.
        usage: what is assumed of its use.
    """

    stack: Stack
    region: str
    rates: Rates
    usage: Usage

    def rate(self, group: str, name: str) -> Rate:
        """A unit price.

        Raises:
            NoPriceError: there is none.
        """
        found = self.rates.find(group, name, self.region)
        if found is None:
            kind = _WORDS.get(group, f"price of {group}")
            raise NoPriceError(f"no {kind} {name} is known in {self.region}")
        return found

    def item(
        self,
        resource: Resource,
        quantity: Decimal | int,
        basis: str,
        group: str,
        name: str,
        *,
        share: Rate | None = None,
    ) -> LineItem:
        """A line of the bill.

        Args:
            resource: whose line it is.
            quantity: in units of the price.
            basis: what was counted; the unit price is added.
            group: of the price list.
            name: within the group.
            share: of the list price that is paid, where that is an estimate.
        """
        rate = self.rate(group, name)
        amount = quantity * rate.amount
        words, source = f"{basis} at ${rate.amount:f}", rate.source
        if share is not None:
            amount *= share.amount
            words += f" x {share.amount:f} (estimate)"
            source += f"; estimate: {share.source}"
        return LineItem(resource.id, amount.quantize(_CENT), words, source)

    def referred(self, value: Any) -> Resource | None:
        """The resource of the stack that a ``Ref`` or ``Fn::GetAtt`` means, None if it is none."""
        name = referred_id(value)
        return next((one for one in self.stack.resources if one.id == name), None)

    def of_type(self, type_: str) -> Iterator[Resource]:
        """All resources of a type in the stack."""
        return (one for one in self.stack.resources if one.type == type_)


def addresses(resource: Resource, count: int, bill: Bill) -> LineItem:
    """Public IPv4 addresses, which cost the same in use or idle."""
    basis = f"{counted(count, 'public IPv4 address')} x {HOURS} h"
    return bill.item(resource, count * HOURS, basis, "ipv4", "hour")


def referred_id(value: Any) -> str | None:
    """The logical id that a ``Ref`` or ``Fn::GetAtt`` names."""
    if isinstance(value, Mapping):
        if "Ref" in value:
            return str(value["Ref"])
        attribute = value.get("Fn::GetAtt")
        if isinstance(attribute, str):
            return attribute.partition(".")[0]
        if attribute:
            return str(attribute[0])
    return None


def number(properties: Mapping[str, Any], key: str, default: int | None = None) -> Decimal:
    """A property that is a number, as CloudFormation writes them: ``3`` or ``"3"``.

    Args:
        properties: of a resource or a part of one.
        key: which.
        default: what CloudFormation takes if it is absent; None if it has to be there.

    Raises:
        NoPriceError: absent, or only known when it is deployed.
    """
    value = properties.get(key, default)
    if value is None:
        raise NoPriceError(f"it has no {key}")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise NoPriceError(f"its {key} is only known when it is deployed") from None


def text(properties: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """A property that is a text.

    Raises:
        NoPriceError: absent, or only known when it is deployed.
    """
    value = properties.get(key, default)
    if value is None:
        raise NoPriceError(f"it has no {key}")
    if not isinstance(value, str):
        raise NoPriceError(f"its {key} is only known when it is deployed")
    return value


def part(properties: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """A part of the properties, empty if it is absent."""
    found = properties
    for key in keys:
        inner = found.get(key) or {}
        if not isinstance(inner, Mapping):
            raise NoPriceError(f"its {key} is only known when it is deployed")
        found = inner
    return found


def whole(amount: Decimal | int) -> str:
    """A quantity as people write it: ``100``, ``0.5``."""
    return f"{Decimal(amount).normalize():f}"


def counted(count: int, word: str) -> str:
    """A number of things: ``1 task``, ``2 tasks``, ``3 addresses``."""
    if count == 1:
        return f"1 {word}"
    return f"{count} {word}{'es' if word.endswith('s') else 's'}"

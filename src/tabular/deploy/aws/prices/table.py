"""The price list that is shipped: dated files, so an estimate needs neither network nor account.

Each block of prices says when it was last compared with AWS's list and by what, or as of when it
was merely known; that is what a line item names as its source. What is not in the files has no
price: there is no nearest match and no average.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Protocol

from tabular.deploy.aws.words.partitions import without_prices

EDITION = "2026-11"
EVERYWHERE = "*"
_FILES = ("everywhere", "us", "eu", "ap")


@dataclass(frozen=True, slots=True)
class Rate:
    """A unit price.

    Attributes:
        amount: US dollars for one unit; of the group ``typical``, a share of the list price.
        source: where it is from, with date and region.
    """

    amount: Decimal
    source: str


class Rates(Protocol):
    """Unit prices of AWS, from wherever."""

    def find(self, group: str, name: str, region: str) -> Rate | None:
        """A unit price.

        Args:
            group: of what, e.g. ``ec2``; see the files.
            name: within the group, e.g. ``m6i.large``.
            region: e.g. ``eu-west-1``.
        """
        ...

    def unknown(self, region: str) -> str | None:
        """Why nothing is known of a region; None where something is."""
        ...


class Table:
    """Prices by region, group and name.

    Args:
        regions: as in the files; ``*`` has what costs the same everywhere.
    """

    def __init__(self, regions: Mapping[str, Mapping[str, Mapping[str, Rate]]]) -> None:
        self._regions = regions

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that there are prices of, sorted."""
        return tuple(sorted(self._regions.keys() - {EVERYWHERE}))

    def find(self, group: str, name: str, region: str) -> Rate | None:
        """A unit price, None if there is none."""
        for place in (region, EVERYWHERE):
            found = self._regions.get(place, {}).get(group, {}).get(name)
            if found is not None:
                return found
        return None

    def unknown(self, region: str) -> str | None:
        """Why nothing is known of a region; None where something is."""
        if region in self._regions and region != EVERYWHERE:
            return None
        if (why := without_prices(region)) is not None:
            return why
        return f"the price list has no region {region!r}; it has {', '.join(self.regions)}"


@cache
def shipped() -> Table:
    """The price list of this release."""
    regions: dict[str, dict[str, dict[str, Rate]]] = {}
    folder = resources.files(__package__)
    for file in _FILES:
        text = folder.joinpath(f"table-{EDITION}-{file}.json").read_text("utf-8")
        for region, groups in json.loads(text)["regions"].items():
            place = "all regions" if region == EVERYWHERE else region
            regions[region] = {
                group: {
                    name: Rate(Decimal(amount), f"{block['by']}, {_dated(block)}, {place}")
                    for block in blocks
                    for name, amount in block["prices"].items()
                }
                for group, blocks in groups.items()
            }
    return Table(regions)


def _dated(block: Mapping[str, str]) -> str:
    if "checked" in block:
        return f"checked {block['checked']}"
    return f"as known in {block['known']} and not checked since"

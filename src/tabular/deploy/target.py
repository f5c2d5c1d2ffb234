"""Where a deployment goes: one place, named so that two of them can never be mistaken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One place to deploy to.

    Attributes:
        provider: entry-point name of the provider, e.g. ``aws``.
        name: the deployment's name, unique within provider, region, account and environment.
        environment: ``development``, ``staging``, ``production`` … ; isolates state.
        region: the vendor's region, a cluster context, or None where there is only one.
        account: account, subscription or project; None where the host is the account.
    """

    provider: str
    name: str
    environment: str
    region: str | None = None
    account: str | None = None

    @property
    def id(self) -> str:
        """Stable text form, e.g. ``aws/us-east-1/production/tabular``."""
        places = (self.provider, self.account, self.region, self.environment, self.name)
        return "/".join(place for place in places if place)

    def __str__(self) -> str:
        return self.id

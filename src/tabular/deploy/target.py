"""Where a deployment goes: one place, named so that two of them can never be mistaken."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

# What names, regions and accounts may hold and a separator or a folder cannot be mistaken for.
_PLAIN = ":@+"


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
        """Stable text form, e.g. ``aws/account=123456789012/us-east-1/production/tabular``.

        Different targets have different ids: an account is marked, so that it is never taken
        for a region, and a slash within a part is written ``%2F``.
        """
        account = () if self.account is None else (f"account={_part(self.account)}",)
        region = () if self.region is None else (_part(self.region),)
        own = (_part(self.environment), _part(self.name))
        return "/".join((_part(self.provider), *account, *region, *own))

    @classmethod
    def from_id(cls, text: str) -> Target:
        """The target of an :attr:`id`.

        Raises:
            ValueError: it is none.
        """
        provider, *rest = (unquote(part) for part in text.split("/"))
        account = None
        if rest and rest[0].startswith("account="):
            account = rest.pop(0).removeprefix("account=")
        region = rest.pop(0) if len(rest) == 3 else None
        if len(rest) != 2:
            raise ValueError(f"{text!r} is no id of a target")
        environment, name = rest
        return cls(provider, name, environment, region, account)

    def __str__(self) -> str:
        return self.id


def _part(text: str) -> str:
    """One part of an id; also fit for the name of a folder."""
    escaped = quote(text, safe=_PLAIN)
    return escaped.replace(".", "%2E") if escaped in (".", "..") else escaped

"""Whether an account has room for what is to be made, asked before anything is.

CloudFormation finds out too, but after it has made half of it; and some shortages it never reports:
tasks and instances that no quota has room for are waited for until a time limit is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tabular.deploy.aws.account.session import Session, at_once
from tabular.deploy.aws.preflight.quotas import known
from tabular.deploy.aws.preflight.quotas.account import UNRESERVED, Account
from tabular.deploy.aws.preflight.quotas.known import Quota
from tabular.deploy.aws.preflight.quotas.needs import (
    Documents,
    Key,
    Need,
    added,
    instance_types,
    unknown_types,
    unreadable,
)
from tabular.deploy.policy.finding import Finding, Severity
from tabular.errors import PreflightError, TabularError

__all__ = ["Documents", "Look", "Quotas"]


@dataclass(frozen=True, slots=True)
class Look:
    """What was found out of one quota.

    Attributes:
        quota: which.
        zone: number or name of a zone, "" for quotas of a region.
        region: where.
        need: what is to be added.
        limit: what the account has; None where it is not known.
        used: what is in use; None where it is not known.
        unknown: why something is not known.
    """

    quota: Quota
    zone: str
    region: str
    need: Need
    limit: float | None = None
    used: float | None = None
    unknown: TabularError | None = None

    @property
    def short(self) -> bool:
        """Whether there is no room for what is made at once."""
        return self._lacks(self.need.at_once)

    @property
    def tight(self) -> bool:
        """Whether there is room for that, and none for all that it may grow to."""
        return not self.short and self._lacks(self.need.at_most)

    def __str__(self) -> str:
        used = "?" if self.used is None else f"{self.used:g}"
        limit = "?" if self.limit is None else f"{self.limit:g}"
        kept = f", {UNRESERVED} of them not to be reserved" if self.quota == known.LAMBDA else ""
        where = f"{self.region}, zone {self._zone}" if self.zone else self.region
        return f"{self.quota} in {where}: {used} of {limit} used{kept}, {self._needed}"

    @property
    def remedy(self) -> str:
        """The command that asks AWS for enough."""
        enough = math.ceil((self.used or 0) + self.need.at_most)
        return (
            f"aws service-quotas request-service-quota-increase --region {self.region} "
            f"--service-code {self.quota.service} --quota-code {self.quota.code} "
            f"--desired-value {enough}"
        )

    def _lacks(self, need: float) -> bool:
        if self.limit is None or self.used is None or not need:
            return False
        return self.used + need > self.limit

    @property
    def _zone(self) -> str:
        return str(int(self.zone) + 1) if self.zone.isdecimal() else self.zone

    @property
    def _needed(self) -> str:
        at_once, at_most = self.need.at_once, self.need.at_most
        if at_once == at_most:
            return f"{at_once:g} more needed"
        return f"{at_once:g} more needed at once and up to {at_most:g} later"


class Quotas:
    """Asks a region; changes nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def require(
        self, region: str, wanted: Documents, there: Documents, replaced: Iterable[str] = ()
    ) -> tuple[Finding, ...]:
        """Refuse what the account has no room for.

        Args:
            region: where.
            wanted: resources of the template, by id.
            there: resources that exist already.
            replaced: ids of those that are made anew.

        Returns:
            Warnings: of quotas that could not be read, and of those that leave no room to grow.

        Raises:
            PreflightError: names every quota that is too small, and the commands to ask for more.
        """
        looks = self.looks(region, wanted, there, replaced)
        short = [look for look in looks if look.short]
        if short:
            raise PreflightError(
                f"the account has no room for it: {'; '.join(map(str, short))}",
                where=", ".join(f"{one.quota.service}/{one.quota.code}" for one in short),
                hint="ask AWS for more, which takes minutes to days, take away what nobody needs, "
                f"or choose another region: {'; '.join(one.remedy for one in short)}",
                code="preflight.quota",
            )
        return tuple(self._warnings(looks, wanted))

    def told(
        self, region: str, wanted: Documents, there: Documents, replaced: Iterable[str] = ()
    ) -> tuple[Finding, ...]:
        """The same, with a warning where :meth:`require` refuses: who rolls back is in trouble."""
        looks = self.looks(region, wanted, there, replaced)
        return tuple(self._warnings(looks, wanted))

    def looks(
        self, region: str, wanted: Documents, there: Documents, replaced: Iterable[str] = ()
    ) -> tuple[Look, ...]:
        """What was found out of each quota that is touched, in the order of the codes."""
        account = Account(self._session, region)
        types = instance_types(wanted) | instance_types(there)
        try:
            vcpus = account.vcpus(types)
            failed = None
        except TabularError as error:
            # How many cores is not known; that some are taken is, and so which quotas to name.
            vcpus, failed = dict.fromkeys(types, 1), error
        needs = added(wanted, there, replaced, vcpus)

        def look(each: tuple[Key, Need]) -> Look:
            (quota, zone), need = each
            if failed is not None and quota.service == "ec2" and quota != known.ADDRESSES:
                return Look(quota, zone, region, need, unknown=failed)
            try:
                limit, used = account.limit(quota), account.used(quota, zone)
            except TabularError as error:
                return Look(quota, zone, region, need, unknown=error)
            return Look(quota, zone, region, need, limit, used)

        asked = sorted(needs.items(), key=_order)
        return tuple(at_once(look, asked))

    def _warnings(self, looks: Iterable[Look], wanted: Documents) -> Iterator[Finding]:
        reasons: dict[tuple[str, str], list[Look]] = {}
        for look in looks:
            if look.unknown is not None:
                error = look.unknown
                reasons.setdefault((error.message, error.hint or ""), []).append(look)
            elif look.short or look.tight:
                rule = "quota" if look.short else "quota-growth"
                where = f"{look.quota.service}/{look.quota.code}"
                yield Finding(rule, Severity.WARNING, where, str(look), look.remedy)
        for (message, hint), unknown in reasons.items():
            names = ", ".join(dict.fromkeys(str(one.quota) for one in unknown))
            yield Finding(
                "quota-unread",
                Severity.WARNING,
                (unknown[0].unknown and unknown[0].unknown.where) or "quotas",
                f"not known whether there is room: {message}. It is about {names}",
                hint or "look at them yourself: https://console.aws.amazon.com/servicequotas",
            )
        yield from _uncounted(wanted)


def _order(each: tuple[Key, Need]) -> tuple[str, str, str]:
    (quota, zone), _ = each
    return quota.service, quota.code, zone


def _uncounted(wanted: Documents) -> Iterator[Finding]:
    for type_ in unknown_types(wanted):
        yield Finding(
            "quota-unread",
            Severity.WARNING,
            "spec.compute.instance_type",
            f"no quota is known to us that counts {type_}",
            "look at it yourself: https://console.aws.amazon.com/servicequotas",
        )
    for id_, error in unreadable(wanted):
        yield Finding(
            "quota-unread",
            Severity.WARNING,
            error.where or id_,
            f"not known whether there is room for {id_}: {error.message}",
            error.hint or "",
        )

"""What a rule says when it does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What an open finding does: an error blocks the apply, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule does not hold.

    Attributes:
        rule: id of the rule, e.g. ``open-ingress``.
        severity: error or warning.
        where: key of the spec or id of the resource.
        message: what is wrong.
        hint: how to mend it.
        waiver: reason given in the spec's waiver, None when not waived.
    """

    rule: str
    severity: Severity
    where: str
    message: str
    hint: str
    waiver: str | None = None

    @property
    def blocks(self) -> bool:
        """True when the apply must not go on."""
        return self.severity is Severity.ERROR and self.waiver is None

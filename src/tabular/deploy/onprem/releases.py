"""What both methods say of their releases in the same words, and the release before the present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from tabular.deploy.stack import Stack
from tabular.deploy.target import Target

from .cluster.session import Object

KEPT = 10  # releases in a history, as Helm's binary keeps


class Phase(StrEnum):
    """How far a release came."""

    PENDING = "pending"
    DEPLOYED = "deployed"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Release:
    """One entry of a history.

    Attributes:
        revision: its number, from 1.
        phase: how far it came.
        updated: when it was begun or last changed.
        back_to: the revision whose contents it has, if it is a rollback.
        content: a hash of what it is, the same for releases that are the same.
    """

    revision: int
    phase: Phase
    updated: datetime
    back_to: int | None
    content: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a release is.

    Attributes:
        stack: as it was applied.
        objects: as they were applied, with the owner's marks.
    """

    stack: Stack
    objects: tuple[Object, ...]


class Method(Protocol):
    """A way to bring objects into a cluster and to remember what was brought."""

    @property
    def name(self) -> str:
        """``helm`` or ``manifests``."""
        ...

    @property
    def manager(self) -> str:
        """The manager of the fields that it sets."""
        ...

    def history(self, target: Target) -> tuple[Release, ...]:
        """Its releases, oldest first; none where it never released."""
        ...

    def content(self, target: Target, revision: int) -> Content:
        """What a release is."""
        ...

    def dressed(self, target: Target, objects: Sequence[Object]) -> tuple[Object, ...]:
        """Rendered objects with the owner's marks."""
        ...

    def owns(self, target: Target, one: Mapping[str, Any]) -> bool:
        """Whether an object that is there bears the owner's mark."""
        ...

    def apply(self, stack: Stack, objects: Sequence[Object], limit: float) -> None:
        """Begin a release and bring its objects; does not wait until they are ready.

        Raises:
            TabularError: it failed; the release is there as failed or pending.
        """
        ...

    def back(self, target: Target, revision: int, limit: float) -> None:
        """Begin a release with the contents of an earlier one, else as :meth:`apply`."""
        ...

    def cancel(self, target: Target) -> None:
        """End what waits in another thread, where the method can."""
        ...

    def settle(self, target: Target, *, well: bool) -> None:
        """Write down what the last release came to, where it was not written down yet."""
        ...

    def remove(self, target: Target, limit: float) -> None:
        """Remove the objects of all releases, and the history; what is gone is no error."""
        ...


def last(history: Sequence[Release]) -> Release | None:
    """The newest release."""
    return history[-1] if history else None


def present(history: Sequence[Release]) -> Release | None:
    """The release that serves; None before one does.

    One that failed and was left as it is serves nobody for sure: the last one that did is meant,
    which Helm calls superseded then.
    """
    newest = last(history)
    left = newest is not None and newest.phase is Phase.FAILED
    for phase in (Phase.DEPLOYED, Phase.SUPERSEDED) if left else (Phase.DEPLOYED,):
        serving = [one for one in history if one.phase is phase]
        if serving:
            return serving[-1]
    return None


def before(history: Sequence[Release]) -> Release | None:
    """The release before the present one; None if there is none.

    A rollback stands where the release stands that it went back to, so that a second one goes back
    one more, and one that only undid a failed update changes nothing. From one that failed and was
    left as it is, it goes back to what served.
    """
    by_number = {one.revision: one for one in history}
    now = present(history)
    if now is None or history[-1].phase is Phase.FAILED:
        return now
    at = now
    while at.back_to is not None and at.back_to in by_number and at.back_to < at.revision:
        at = by_number[at.back_to]
    earlier = [
        one
        for one in history
        if one.revision < at.revision
        and one.phase in (Phase.SUPERSEDED, Phase.DEPLOYED)
        and one.content != now.content
    ]
    return earlier[-1] if earlier else None

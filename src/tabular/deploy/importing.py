"""What an import is, for every provider that takes in what is there already.

An import adopts and does nothing else: nothing is made, changed, replaced or deleted by it. Where
the adopted is not as the spec says, that is told afterwards, and mostly the next deploy mends it:
its plan shows that as what it is, a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tabular.deploy.events import Event
from tabular.deploy.provider import Drift
from tabular.deploy.stack import Stack
from tabular.errors import TabularError


@dataclass(frozen=True, slots=True)
class Adoption:
    """One thing that is adopted.

    Attributes:
        resource: id of the resource of the spec that it becomes.
        type: the vendor's type.
        physical: what the vendor calls it.
        later: what the spec says of it and only the next deploy can set: name and reason of each.
        unread: what the spec says of it and nobody can read back, so that no drift tells it.
    """

    resource: str
    type: str
    physical: str
    later: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """All that one import adopts.

    Attributes:
        stack: of the spec that owns it from then on.
        adoptions: in the order in which they were asked for.
        basis: fingerprint of the running deployment that this was seen against, as `Plan` has it.
    """

    stack: Stack
    adoptions: tuple[Adoption, ...]
    basis: str


@dataclass(frozen=True, slots=True)
class Unlike:
    """Where the adopted is not as the spec says; ``before`` is the spec's value, ``after`` its own.

    Attributes:
        by_deploy: the next deploy sets it to what the spec says.
        by_hand: no deploy does; somebody has to change it there, or the spec.
    """

    by_deploy: tuple[Drift, ...] = ()
    by_hand: tuple[Drift, ...] = ()


@contextmanager
def once_adopted(doing: str) -> Iterator[None]:
    """Say of an error in the block that the adoption itself is done.

    Args:
        doing: what was not, e.g. ``not compared with the spec``.
    """
    try:
        yield
    except TabularError as error:
        error.message = f"adopted, but {doing}: {error.message}"
        raise


@runtime_checkable
class Imports(Protocol):
    """What an engine may offer besides: taking what is there already into a deployment."""

    def preview_import(self, stack: Stack, asked: Sequence[str]) -> ImportPlan:
        """Look whether this can be adopted; changes nothing of what runs or is to be adopted.

        Args:
            stack: of the spec that is to own it.
            asked: what is there, and what it is in the spec, in the words of the provider.

        Raises:
            UsageError: such words mean nothing, or the spec has no such resource.
            RefusedError: it cannot be adopted; says why.
        """
        ...

    def adopt(self, plan: ImportPlan) -> Iterator[Event]:
        """Adopt it. That goes on if the iterator is dropped.

        Raises:
            StalePlanError: what runs is not what the plan was made against.
            RefusedError: it cannot be adopted; says why.
            ApplyError: it failed; says whether that was taken back.
        """
        ...

    def unlike(self, plan: ImportPlan) -> Unlike:
        """Where what was adopted is not as the spec says, as far as it can be read.

        Without what the plan named already: what is set later, and what nobody can read.
        """
        ...

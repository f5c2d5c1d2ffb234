"""What a state of a release means for whoever wants to go on: fit, busy, or to be mended."""

from __future__ import annotations

from collections.abc import Sequence

from tabular.deploy.onprem.releases import Method, Phase, Release, last
from tabular.deploy.target import Target
from tabular.errors import BusyError, ConflictError

from .lease import Note, busy


def require_plannable(target: Target, note: Note | None, history: Sequence[Release]) -> None:
    """Refuse what an operation works on, or was left half done.

    Raises:
        BusyError: somebody works there.
        ConflictError: an operation has to be gone on with first.
    """
    if note is not None and note.alive:
        raise busy(target, note)
    purpose = note.operation.get("purpose") if note is not None and note.abandoned else None
    newest = last(history)
    if purpose == "destroy" or (newest is not None and newest.phase is Phase.LEAVING):
        raise ConflictError(
            "a destroy was begun here and did not end",
            where=target.id,
            hint="`inferloop-tabular destroy` again goes on with it; then deploy anew",
            code="conflict.destroying",
        )
    if newest is not None and newest.phase is Phase.PENDING:
        raise BusyError(
            "an apply was begun here, and its client is gone",
            where=target.id,
            hint="`inferloop-tabular deploy` goes on with it, then plans",
            code="refused.abandoned",
        )


def method_of(methods: Sequence[Method], target: Target) -> Method | None:
    """The method that released there; None where none did."""
    for method in methods:
        if method.history(target):
            return method
    return None


def require_same_method(target: Target, wanted: Method, found: Method | None) -> None:
    """Refuse to bring by one method what another one remembers.

    Raises:
        ConflictError: they differ.
    """
    if found is not None and found.name != wanted.name:
        raise ConflictError(
            f"this was deployed by --method {found.name}, which remembers what it brought",
            where=target.id,
            hint=f"go on with --method {found.name}; or destroy it, which keeps the data, and "
            "deploy anew",
            code="conflict.method",
        )

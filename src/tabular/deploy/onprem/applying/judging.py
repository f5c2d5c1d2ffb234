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
        raise _abandoned(target, note)


def require_settled(target: Target, note: Note | None, history: Sequence[Release]) -> None:
    """Refuse what builds on the last operation, as long as that was not gone on with.

    Raises:
        BusyError: somebody works there, or a client died there.
        ConflictError: a destroy has to be gone on with first.
    """
    require_plannable(target, note, history)
    if note is not None and note.abandoned and purpose_of(note) != "import":
        raise _abandoned(target, note)


def purpose_of(note: Note | None) -> str:
    """What was begun and did not end: ``apply``, ``rollback``, ``destroy`` or ``import``."""
    if note is None or not note.holder:
        return "apply"
    return str(note.operation.get("purpose", "apply"))


def begun(note: Note | None) -> str:
    """What was begun and did not end, in a sentence."""
    purpose = purpose_of(note)
    return f"{'an' if purpose[0] in 'aeiou' else 'a'} {purpose}"


def goes_on(note: Note | None) -> str:
    """The command that goes on with it when its client is gone."""
    purpose = purpose_of(note)
    if purpose == "apply":
        return "`inferloop-tabular deploy`"
    return f"`inferloop-tabular {purpose}` again"


def _abandoned(target: Target, note: Note | None) -> BusyError:
    return BusyError(
        f"{begun(note)} was begun here, and its client is gone",
        where=target.id,
        hint=f"{goes_on(note)} goes on with it, then plans",
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


def require_same_target(target: Target, note: Note | None, *, nothing: bool) -> None:
    """Refuse to take another environment's deployment for this one: its name is the same.

    Args:
        target: that is asked for.
        note: of the lease of this name.
        nothing: whether there is nothing of that name.

    Raises:
        ConflictError: the deployment that is there is of another environment.
    """
    there = None if note is None or nothing else note.target
    if there is not None and there != target:
        raise ConflictError(
            f"the namespace {target.region} has a deployment {target.name} of another "
            f"environment: {there.environment}",
            where=target.id,
            hint=f"--environment {there.environment} goes on with that one; else another --name, "
            "or a --namespace for each environment",
            code="conflict.environment",
        )

"""`backup` where only the service reaches its data: the same program, run there by the engine."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from tabular.cli.backup_flags import SaidKeys
from tabular.cli.output import tell
from tabular.errors import EngineError, UsageError

if TYPE_CHECKING:  # what deploys is imported by the command that does
    from tabular.deploy.orchestrator import Orchestrator
    from tabular.deploy.target import Target

_OF_THIS_MACHINE = ("env:", "file:")


def run_inside(
    orchestrator: Orchestrator, target: Target, action: str, arguments: list[str], keys: SaidKeys
) -> dict[str, Any]:
    """What ``python -m tabular.transfer`` answers there; its other lines are told as they come.

    Args:
        orchestrator: of the provider.
        target: whose data.
        action: for the audit log.
        arguments: of the program, but for the keys.
        keys: references, which are read there.

    Raises:
        UsageError: a reference that only this machine can read.
        EngineError: the program failed.
    """
    for reference in (keys.passphrase, keys.identity):
        if reference is not None and reference.startswith(_OF_THIS_MACHINE):
            raise UsageError(
                f"{reference} is of this machine, and the data is reached from within the "
                "deployment only, where it is not",
                hint="name a secret that the service can read there, such as "
                "aws-sm:tabular-backup-key or k8s:NAME/KEY; `create` needs none with --recipient",
                code="usage.local-reference",
            )
    answer: dict[str, Any] | None = None
    try:
        for line in orchestrator.run_inside(target, action, [*arguments, *keys.arguments()]):
            found = _document(line)
            if found is None:
                tell(line, style="dim")
            else:
                answer = found
    except EngineError:
        # A backup that is not whole is an answer too, and all that is known of it.
        if answer is None or answer.get("ok", True):
            raise
    if answer is None:
        raise EngineError(
            "the program ended well, and what it answered did not arrive",
            where=target.id,
            hint="`inferloop-tabular backup list --from URL` shows what is there",
        )
    return answer


def _document(line: str) -> dict[str, Any] | None:
    """An answer of the program; None for a line of its log, which has a level."""
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and "level" not in found:
            return found
    return None

"""Replacements that CloudFormation begins and cannot carry out, refused while nothing is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabular.deploy.plan import Action, Change
from tabular.errors import UnsupportedError

_VAULT = "AWS::Backup::BackupVault"
_NAME = "BackupVaultName"


def require_possible(
    changes: Sequence[Change],
    there: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Mapping[str, Any]],
    *,
    keep_failed: bool,
) -> None:
    """Refuse an update that AWS would leave half done.

    Args:
        changes: of the plan.
        there: resources of the template that runs, by id.
        wanted: those of the new one.
        keep_failed: a failure is not rolled back.

    Raises:
        UnsupportedError: something is replaced that cannot be, or cannot be in this way.
    """
    replaced = [change for change in changes if change.action is Action.REPLACE]
    for change in replaced:
        if change.type == _VAULT and _named(there, change) == _named(wanted, change):
            # AWS refuses to replace what has a name, and the old vault has to stay for its copies.
            raise UnsupportedError(
                f"the vault {change.resource} keeps the key that it was made with, and another "
                "key for it is another vault, of a name that the first one has",
                where="spec.security.kms_key",
                hint="deploy once with backup.enabled: false, then with the new key and backups "
                "on; the old vault stays with its copies, under the old key, until they run out",
                code="refused.vault-key",
            )
    if keep_failed and replaced:
        # "Replacement type updates not supported on stack with disable-rollback", says AWS in the
        # middle of such an update, and leaves it as UPDATE_FAILED.
        names = ", ".join(change.resource for change in replaced)
        raise UnsupportedError(
            f"CloudFormation replaces nothing while rollback is off, and this replaces {names}",
            where="--disable-rollback",
            hint="leave --disable-rollback out: what failed is undone, and the message has the "
            "cause; most new releases replace a task definition",
            code="refused.disable-rollback",
        )


def _named(documents: Mapping[str, Mapping[str, Any]], change: Change) -> Any:
    return documents.get(change.resource, {}).get("Properties", {}).get(_NAME)

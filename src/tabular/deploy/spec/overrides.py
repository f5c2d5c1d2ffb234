"""Flags over the file: what the command line says last, counts; unless it is another deployment.

Provider and environment say *which* deployment is meant. A flag that contradicts the file there
is a mistake, and the one that costs most, so it is refused; everything else is replaced and the
replacement is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from tabular.deploy.spec.readers import Draft, Origin
from tabular.deploy.spec.secret import SECRET_KEY
from tabular.deploy.spec.source.scalars import ScalarError, resolve
from tabular.deploy.spec.walk import Path, dotted, fields_at
from tabular.errors import UsageError, nearest
from tabular.infra.secrets import is_reference

IDENTITY = (("spec", "provider"), ("spec", "environment"))


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the flags of a command say about the spec; None and False say nothing.

    Attributes:
        provider, environment, region, name: as the flags of the same names.
        enable_ha: ``spec.ha`` and ``spec.database.ha``.
        enable_monitoring: ``spec.monitoring.enabled``.
        enable_backup: ``spec.backup.enabled``.
        namespace, storage_class, kubeconfig, context, method: keys of ``spec.onprem``.
        values: a Helm values file laid over the file, or standing alone.
        sets: ``spec.key=value`` texts.
    """

    provider: str | None = None
    environment: str | None = None
    region: str | None = None
    name: str | None = None
    enable_ha: bool = False
    enable_monitoring: bool = False
    enable_backup: bool = False
    namespace: str | None = None
    storage_class: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    method: str | None = None
    values: FilePath | None = None
    sets: tuple[str, ...] = field(default=(), repr=False)

    def said(self) -> Iterator[tuple[str, Path, Any]]:
        """Flag, path in the model and value, of all that was said.

        Raises:
            UsageError: a ``--set`` that is not ``key=value`` with a number one can read, or that
                has a secret in it; the value is never said again.
        """
        values = (
            ("--provider", ("spec", "provider"), self.provider),
            ("--environment", ("spec", "environment"), self.environment),
            ("--region", ("spec", "region"), self.region),
            ("--name", ("metadata", "name"), self.name),
            ("--enable-ha", ("spec", "ha"), self.enable_ha or None),
            ("--enable-ha", ("spec", "database", "ha"), self.enable_ha or None),
            ("--enable-monitoring", ("spec", "monitoring", "enabled"), self.enable_monitoring),
            ("--enable-backup", ("spec", "backup", "enabled"), self.enable_backup),
            ("--namespace", ("spec", "onprem", "namespace"), self.namespace),
            ("--storage-class", ("spec", "onprem", "storage_class"), self.storage_class),
            ("--kubeconfig", ("spec", "onprem", "kubeconfig"), self.kubeconfig),
            ("--context", ("spec", "onprem", "context"), self.context),
            ("--method", ("spec", "onprem", "method"), self.method),
        )
        yield from (entry for entry in values if entry[2] not in (None, False))
        yield from (_set(text) for text in self.sets)


def _set(text: str) -> tuple[str, Path, Any]:
    name, equals, raw = text.partition("=")
    path: Path = tuple(name.split("."))
    if not equals or path[0] not in ("spec", "metadata") or not all(path) or len(path) < 2:
        # What was written instead may be or hold a secret, so it is not said again.
        raise UsageError(
            "a --set is not of the form spec.key=value",
            hint="for example --set spec.compute.instances=3",
        )
    known = fields_at(path[:-1])
    if known and str(path[-1]) not in known:
        raise UsageError(
            f"--set {name}: there is no such key",
            hint=nearest(str(path[-1]), known).strip() or f"known here: {', '.join(sorted(known))}",
        )
    quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "\"'"
    if SECRET_KEY.search(str(path[-1])) and not is_reference(raw[1:-1] if quoted else raw):
        raise UsageError(
            f"--set {name}: a secret does not belong on a command line",
            hint=f"keep it elsewhere and name the place: --set {name}=env:NAME, or file:/path",
            code="usage.plaintext-secret",
        )
    if quoted:
        return f"--set {name}", path, raw[1:-1]
    try:
        return f"--set {name}", path, resolve(raw)
    except ScalarError as error:
        raise UsageError(f"--set {name}: {error}") from None


def apply(draft: Draft, overrides: Overrides) -> None:
    """Lay the flags over a draft.

    Raises:
        UsageError: a flag names another provider or environment than the file.
    """
    for flag, path, value in overrides.said():
        require_same(draft, path, value, flag)
        origin = Origin(flag, "")
        draft.note_replaced(path, value, origin)
        draft.replace(path, value, origin)


def require_same(draft: Draft, path: Path, value: Any, said_by: str) -> None:
    """Refuse a second, different provider or environment.

    Raises:
        UsageError: names both places.
    """
    old, before = draft.get(path), draft.origins.get(path)
    if path not in IDENTITY or old is None or before is None or old == value:
        return
    why = f" ({before.note})" if before.note else ""
    raise UsageError(
        f"{said_by} says {value}, and {before.place} says {dotted(path[1:])}: {old}{why}",
        hint="leave out the flag, or use the file that is meant",
        code="usage.contradiction",
    )

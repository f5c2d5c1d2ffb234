"""Reads a backup from end to end and tells everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tabular.errors import ConfigError, IntegrityError, NotFoundError
from tabular.transfer.copying import in_parallel
from tabular.transfer.manifest import Blob, Manifest
from tabular.transfer.place import Place


@dataclass(frozen=True)
class Verified:
    """What reading a backup found.

    Attributes:
        backup: its id.
        files, size: files read, and bytes in them.
        sealed: whether the manifest's seal was checked; it takes the secret key.
        damaged: what is wrong, one sentence each.
        extra: keys there that no backup of the place knows.
        unreferenced: blobs that no whole backup needs, as a killed run leaves them.
    """

    backup: str
    files: int
    size: int
    sealed: bool
    damaged: tuple[str, ...]
    extra: tuple[str, ...]
    unreferenced: int

    @property
    def ok(self) -> bool:
        """Whether it is whole, and nothing strange lies beside it."""
        return not self.damaged and not self.extra

    def as_dict(self) -> dict[str, Any]:
        """For ``--json`` and for the record of checks."""
        return {
            "kind": "verify",
            "ok": self.ok,
            "backup": self.backup,
            "files": self.files,
            "bytes": self.size,
            "sealed": self.sealed,
            "damaged": list(self.damaged),
            "extra": list(self.extra),
            "unreferenced": self.unreferenced,
        }


def verify(
    place: Place,
    backup: str,
    *,
    secret: str | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Verified:
    """Read every file of a backup.

    Args:
        place: where it is.
        backup: its id.
        secret: the service's secret key, to check the seal of an unencrypted backup.
        progress: told the fraction done.

    Raises:
        NotFoundError: no such backup.
        ConfigError: the passphrase, key or secret key is another.
        UnavailableError: the store does not answer.
    """
    try:
        manifest, sealed = place.read(backup, secret=secret)
    except IntegrityError as error:
        return Verified(backup, 0, 0, False, (str(error),), tuple(place.strangers()), 0)
    wanted = manifest.blobs()
    damaged = [*_list_problems(place, manifest), *place.damaged_notes(backup)]
    read = 0
    for problem in in_parallel(lambda blob: _problem(place, blob), wanted.values()):
        read += 1
        progress(read / len(wanted))
        if problem:
            damaged.append(problem)
    return Verified(
        backup=backup,
        files=read + 2,
        size=sum(blob.size for blob in wanted.values()),
        sealed=sealed,
        damaged=tuple(sorted(damaged)),
        extra=tuple(place.strangers()),
        unreferenced=len(place.blobs() - set(wanted) - _needed(place)),
    )


def _list_problems(place: Place, manifest: Manifest) -> list[str]:
    """What is wrong with the list that `prune` goes by."""
    backup = manifest.summary.id
    try:
        if place.needed(backup) == set(manifest.blobs()):
            return []
    except (IntegrityError, NotFoundError) as error:
        return [f"the list of the blobs of {backup}: {error}"]
    return [f"the list of the blobs of {backup} is not that of its manifest"]


def _problem(place: Place, blob: Blob) -> str | None:
    """What is wrong with a file; None when nothing is."""
    try:
        for _ in place.get(blob):
            pass
    except (IntegrityError, NotFoundError, ConfigError) as error:
        # The key has opened the manifest: a blob that it does not open is damaged or foreign.
        return f"{blob.blob}: {error.message}"
    return None


def _needed(place: Place) -> set[str]:
    """The blobs of every backup whose list can be read."""
    needed: set[str] = set()
    for backup in place.ids():
        try:
            needed |= place.needed(backup)
        except (IntegrityError, NotFoundError):
            continue  # told when that backup is verified
    return needed


def prune(place: Place, keep: int) -> tuple[list[str], int]:
    """Forget all backups but the newest, then the blobs that none of the others needs.

    No backup may be made at the same time: its blobs belong to no manifest yet.

    Args:
        place: where they are.
        keep: how many stay; at least one.

    Returns:
        The ids that were forgotten, and how many blobs were removed.

    Raises:
        IntegrityError: what one that stays needs cannot be read; nothing was removed.
    """
    ids = place.ids()
    staying = ids[-keep:]
    needed: set[str] = set()
    for backup in staying:
        needed |= place.needed(backup)
    gone = ids[:-keep]
    for backup in gone:
        place.forget(backup)
    blobs = place.blobs() - needed
    for name in blobs:
        place.drop(name)
    return gone, len(blobs)


def newer(place: Place, since: datetime) -> int:
    """How many backups stay if those that began before a moment go: one at least.

    One whose summary is damaged has no age, and stays with all that are newer than it.
    """
    known = place.known()
    old = 0
    for one in known[:-1]:
        if one.summary is None or one.summary.started >= since:
            break
        old += 1
    return max(1, len(known) - old)

"""A drill: the backup is restored into a place made for it, compared, and thrown away.

A backup that was never restored is a hope. The scratch place is SQLite and files in a folder of
this machine, whatever the platform runs on: rows are portable, and that is part of what is tried.
What came of it is written beside the backup, and a list shows it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabular.errors import IntegrityError, TabularError
from tabular.infra.storage import ObjectStore, open_store
from tabular.transfer.backup import Progress
from tabular.transfer.place import Place, open_place
from tabular.transfer.restore import restore_into
from tabular.transfer.sealing import Keys
from tabular.transfer.verify import Verified, verify


def check_at(store: ObjectStore, keys: Keys, backup: str | None, **how: Any) -> dict[str, Any]:
    """The same for a place of backups that may be damaged itself.

    Args:
        store: where the place is.
        keys: what opens it.
        backup: its id; the newest by default.
        **how: see `check`.

    Returns:
        The result. It is not noted where the place does not open.

    Raises:
        NotFoundError: no backups lie there, or not this one.
        ConfigError, UnavailableError: see `check`.
    """
    try:
        place = open_place(store, keys)
    except IntegrityError as error:
        found = Verified(backup or "", 0, 0, False, (str(error),), (), 0)
        return found.as_dict()
    return check(place, place.latest(backup), **how)


def check(
    place: Place,
    backup: str,
    *,
    restore: bool = False,
    secret: str | None = None,
    scratch: Path | None = None,
    progress: Progress = lambda fraction: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Read a backup from end to end, or restore it into a scratch place; and note the result.

    Args:
        place: where the backup is.
        backup: its id.
        restore: whether it is restored too, once reading it found nothing wrong.
        secret: the secret key of the platform, to check the seal of an unencrypted backup.
        scratch: folder with room for all of it; the system's temporary folder by default.
        progress: told the fraction done.
        clock: the time.

    Returns:
        The result; ``ok`` says whether it is good.

    Raises:
        ConfigError: the passphrase or key is another; nothing is noted.
        UnavailableError: the store of the backup does not answer; nothing is noted.
    """
    result = verify(place, backup, secret=secret, progress=progress).as_dict()
    if restore and result["ok"]:
        result |= _drill(place, backup, secret, scratch, progress)
    place.note(backup, result, clock())
    return result


def _drill(
    place: Place, backup: str, secret: str | None, scratch: Path | None, progress: Progress
) -> dict[str, Any]:
    manifest, _ = place.read(backup, secret=secret)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="inferloop-drill-", dir=scratch) as folder:
            restored = restore_into(
                place,
                manifest,
                f"sqlite:///{folder}/restored.db",
                open_store(f"{Path(folder).as_uri()}/objects"),
                progress=progress,
            )
    except TabularError as error:
        return {"kind": "drill", "ok": False, "damaged": [str(error)]}
    seconds = round(time.monotonic() - started, 3)
    return {"kind": "drill", "ok": True, "seconds": seconds, "restored": restored.as_dict()}

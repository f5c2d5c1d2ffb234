"""A backup or a restore in a process of its own, which is killed at the n-th point of its way."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tabular.infra.config import load_settings
from tabular.infra.storage import open_store
from tabular.transfer.backup import Backup, Point
from tabular.transfer.place import create_place, open_place
from tabular.transfer.restore import restore_into
from tabular.transfer.sealing import Keys

DONE, KILLED = 0, -signal.SIGKILL


def run(what: str, place: str, target: str, kill_at: int, env: Mapping[str, str]) -> int:
    """The exit code.

    Args:
        what: ``create`` or ``restore``.
        place: folder of the backups.
        target: folder to restore into.
        kill_at: number of the point at which it is killed.
        env: variables of the platform.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, what, place, target, str(kill_at)],
        env={**os.environ, **env},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (DONE, KILLED), done.stderr
    return done.returncode


def killer(at: int) -> Point:
    """Ends this process at the n-th point, as nothing can prevent."""
    lock, numbers = threading.Lock(), itertools.count(1)

    def point(_name: str) -> None:
        with lock:
            if next(numbers) == at:
                os.kill(os.getpid(), signal.SIGKILL)

    return point


def main(what: str, folder: str, target: str, kill_at: str) -> None:
    keys = Keys(unencrypted=True)
    store = open_store(Path(folder).as_uri())
    if what == "create":
        settings = load_settings()
        place = create_place(store, keys, settings.secret_key.get_secret_value())
        Backup(settings, place, at=killer(int(kill_at))).run()
        return
    place = open_place(store, keys)
    manifest, _ = place.read(place.latest(None))
    url, objects = f"sqlite:///{target}/tabular.db", open_store(f"{Path(target).as_uri()}/objects")
    restore_into(place, manifest, url, objects, at=killer(int(kill_at)))


if __name__ == "__main__":
    main(*sys.argv[1:])

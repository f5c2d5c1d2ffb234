"""One control plane for all processes of a test session: it takes 500 MB and five seconds.

The first process that needs it starts a keeper, ``python -m tests.testbed.kube.keeper``. Each user
holds a shared lock on a file while it lives; when the keeper can have that lock for itself, nobody
is left and it ends. So a killed test process leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.kube.controlplane import ControlPlane, control_plane
from tests.testbed.kube.nodes import fake_nodes
from tests.testbed.kube.pki import Authority

ROOT = Path(__file__).parents[3]
LOOK_SECONDS = 1.0


@contextlib.contextmanager
def shared(programs: Path, folder: Path) -> Iterator[ControlPlane]:
    """Use the control plane of this folder, which is started if nobody did."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("w") as user, (folder / "start").open("w") as start:
        fcntl.flock(user, fcntl.LOCK_SH)
        with _locked(start):
            ready = folder / "ready.json"
            if not ready.exists():
                _start(programs, folder, ready)
            found = json.loads(ready.read_text())
        home = Path(found["folder"])
        yield ControlPlane(
            found["server"], Authority(home), found["token"], home, dict(found["pids"])
        )


@contextlib.contextmanager
def _locked(file: object) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)  # type: ignore[arg-type]
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)  # type: ignore[arg-type]


def _start(programs: Path, folder: Path, ready: Path) -> None:
    with (folder / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", __name__, str(programs), str(folder)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
    while not ready.exists():
        said = (folder / "keeper.log").read_text()
        assert keeper.poll() is None, f"the keeper ended: {said[-4000:]}"
        time.sleep(0.05)


def _keep(programs: Path, folder: Path) -> None:
    """Run the control plane until nobody uses it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = folder / f"plane-{os.getpid()}"
    home.mkdir()
    ready = folder / "ready.json"
    with control_plane(programs, home) as plane, fake_nodes(plane.api(), plane.authority, home):
        told = {"server": plane.server, "token": plane.token, "folder": str(home)}
        part = ready.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(json.dumps({**told, "pids": {"keeper": os.getpid(), **plane.pids}}))
        part.rename(ready)
        _wait(folder, ready)


def _wait(folder: Path, ready: Path) -> None:
    with (folder / "users").open() as users, (folder / "start").open() as start:
        while True:
            threading.Event().wait(LOOK_SECONDS)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(start, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody is just coming
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    ready.unlink()
                    return
                finally:
                    fcntl.flock(start, fcntl.LOCK_UN)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), Path(sys.argv[2]))

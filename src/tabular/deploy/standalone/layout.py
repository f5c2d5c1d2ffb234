"""Where everything of a standalone deployment lives, said once.

Nothing is remembered outside these two trees, so a copy of them is a backup and removing them is
removal. With ``--home DIR`` both are below DIR; otherwise they are the XDG state and data folders.

    <state>/deployments/<environment>/<name>/
        state.json          what runs: releases, ports, processes (written by the supervisor alone)
        operation.json      the apply, rollback or destroy that runs, or the last one
        events/<id>.jsonl   what happened during one operation; its last line says how it ended
        releases/<id>.json  a release: its stack, commands and ports
        code/<digest>/      the package as it was deployed; releases of the same code share it
        secrets/            generated files of mode 0600 that can be made anew
        logs/               one log for each process
        run/                queue folder, cache configuration; nothing of value
        supervisor.lock     held by the living supervisor (flock)
        client.lock         held by a client while it hands in an operation (flock)
        reserve             room for the last words of an operation on a full disk
        wake                FIFO on which a client wakes the supervisor
    <data>/data/<environment>/<name>/
        objects/  sqlite/  postgres/    the data stores
        secrets/                        secrets without which the data is worth nothing
        facts.json                      what must outlive a destroy that keeps the data
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_data_path, user_state_path

from tabular.deploy.files import existing, storage_error
from tabular.deploy.target import Target
from tabular.errors import PreflightError, UsageError

APP = "inferloop-tabular"
PROVIDER = "standalone"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNFIT = re.compile(r"[?#%\x00-\x1f\x7f]")
ExcInfo = tuple[type[BaseException], BaseException, Any]
_TRASH = ".removed-"


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one deployment.

    Attributes:
        state: folder of what can be made anew.
        data: folder of what cannot.
    """

    state: Path
    data: Path

    @property
    def state_file(self) -> Path:
        """What runs."""
        return self.state / "state.json"

    @property
    def operation_file(self) -> Path:
        """The operation that runs, or the last one."""
        return self.state / "operation.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the living supervisor."""
        return self.state / "supervisor.lock"

    @property
    def client_lock(self) -> Path:
        """Held while an operation is handed in."""
        return self.state / "client.lock"

    @property
    def supervisor_log(self) -> Path:
        """The supervisor's own log."""
        return self.state / "logs" / "supervisor.log"

    @property
    def wake(self) -> Path:
        """FIFO read by the supervisor."""
        return self.state / "wake"

    @property
    def successor(self) -> Path:
        """How to start the supervisor that shall take over."""
        return self.state / "successor.json"

    @property
    def reserve(self) -> Path:
        """Takes up room that an operation on a full disk gives back to itself."""
        return self.state / "reserve"

    @property
    def facts(self) -> Path:
        """What must outlive a destroy that keeps the data."""
        return self.data / "facts.json"

    def events(self, operation: str) -> Path:
        """Events of one operation."""
        return self.state / "events" / f"{operation}.jsonl"

    def release(self, release: str) -> Path:
        """Description of one release."""
        return self.state / "releases" / f"{release}.json"

    @property
    def codes(self) -> Path:
        """Copies of the package."""
        return self.state / "code"

    def code(self, digest: str) -> Path:
        """The copy of one code; to be put on Python's search path."""
        return self.codes / digest

    def log(self, name: str) -> Path:
        """Log of one process."""
        return self.state / "logs" / f"{name}.log"

    def secret(self, name: str, *, kept: bool) -> Path:
        """File of one secret; ``kept`` ones live and die with the data."""
        return (self.data if kept else self.state) / "secrets" / name

    def directory(self, path: str, *, stateful: bool) -> Path:
        """A folder that a release asks for by relative path."""
        return self.data / path if stateful else self.state / "run" / path

    def require_writable(self) -> None:
        """Look whether :meth:`make` could; touches nothing.

        Raises:
            PreflightError: this user may not write there, or the place is read-only.
        """
        for folder in (self.state, self.data):
            there = existing(folder)
            if not os.access(there, os.W_OK | os.X_OK):
                fixed = os.statvfs(there).f_flag & os.ST_RDONLY
                number = errno.EROFS if fixed else errno.EACCES
                raise storage_error(OSError(number, os.strerror(number)), folder)

    def make(self) -> None:
        """Make the folders, readable by the owner alone.

        Raises:
            PreflightError: the place is read-only, full, or belongs to somebody else.
        """
        try:
            for folder in (self.state, self.data):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
            for part in ("events", "releases", "secrets", "logs", "run"):
                (self.state / part).mkdir(exist_ok=True, mode=0o700)
            if not self.wake.exists():
                os.mkfifo(self.wake, 0o600)
        except FileExistsError as error:
            if not self.wake.is_fifo():
                raise storage_error(error, self.state) from error
        except OSError as error:
            raise storage_error(error, self.state) from error


@dataclass(frozen=True, slots=True)
class Home:
    """The two trees.

    Attributes:
        state: root of the state tree.
        data: root of the data tree.
    """

    state: Path
    data: Path

    @classmethod
    def at(cls, home: Path | None) -> Home:
        """Everything below ``home``, or the XDG folders if it is None.

        Raises:
            UsageError: a path that cannot stand in a URL.
        """
        if home is None:
            return cls(user_state_path(APP), user_data_path(APP))
        folder = home.expanduser().absolute()
        if _UNFIT.search(str(folder)):
            raise UsageError(
                "the path of a home cannot hold '?', '#', '%' or control characters",
                where=repr(str(folder)),
                hint="they would end up in the platform's URLs: choose another --home",
                code="usage.home",
            )
        return cls(folder, folder)

    def of(self, target: Target) -> Layout:
        """Paths of one deployment.

        Raises:
            UsageError: a name that would leave the tree.
            PreflightError: a file is where the tree should be.
        """
        self._require_folders()
        for word in (target.environment, target.name):
            if not _NAME.fullmatch(word):
                raise UsageError(
                    f"{word!r} cannot name a deployment or environment on this machine",
                    hint="use letters, digits, '.', '_' and '-', starting with a letter or digit",
                    code="usage.name",
                )
        below = Path(target.environment) / target.name
        return Layout(self.state / "deployments" / below, self.data / "data" / below)

    def targets(self) -> Iterator[Target]:
        """All deployments that run or have left their data here, sorted.

        Raises:
            PreflightError: a file is where the tree should be.
        """
        self._require_folders()
        found = {
            (folder.parent.name, folder.name)
            for root in (self.state / "deployments", self.data / "data")
            for environment in _folders(root)
            for folder in _folders(environment)
            if root.name == "deployments" or (folder / "facts.json").is_file()
        }
        for environment_name, name in sorted(found):
            yield Target(PROVIDER, name, environment_name)

    def _require_folders(self) -> None:
        for root in (self.state, self.data):
            there = existing(root)
            if not there.is_dir():
                raise PreflightError(
                    f"a home is a folder, and {there} is not",
                    where=str(root),
                    hint="name a folder by --home or INFERLOOP_TABULAR_HOME",
                    code="engine.home",
                )


def _folders(parent: Path) -> list[Path]:
    try:
        return [f for f in parent.iterdir() if f.is_dir() and _NAME.fullmatch(f.name)]
    except FileNotFoundError:
        return []


def remove_tree(folder: Path, *, prune: bool = False) -> None:
    """Remove a folder so that nobody ever sees half of it, and what an earlier kill left over.

    The rename is atomic: a new deployment of the same name may start at once.

    Args:
        folder: what to remove; nothing happens if it is gone.
        prune: remove the two folders above as well if they are empty then.
    """
    if folder.exists():
        folder.rename(folder.with_name(f"{_TRASH}{folder.name}-{secrets.token_hex(4)}"))
    if folder.parent.exists():
        for left in folder.parent.glob(f"{_TRASH}{folder.name}-*"):
            shutil.rmtree(left, onerror=_unless_gone)
    if prune:
        remove_empty(folder.parent, folder.parent.parent)


def _unless_gone(_: object, path: str, failure: ExcInfo) -> None:
    """Two may clean up at the same time; what the other removed first is no error."""
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]


def remove_empty(*folders: Path) -> None:
    """Remove folders, in this order, up to the first that is not empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return


def is_removed(folder: Path) -> bool:
    """Whether :meth:`remove_tree` has nothing left to do."""
    return not folder.exists() and not any(folder.parent.glob(f"{_TRASH}{folder.name}-*"))

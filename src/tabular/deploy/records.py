"""Documents about each target in a folder, and a lock; for engines that keep their own state."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabular.deploy.files import write_bytes
from tabular.deploy.stack import canonical_json
from tabular.deploy.target import Target
from tabular.errors import BusyError


class Records:
    """JSON documents by target and name.

    Args:
        root: a folder of their own; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, target: Target, name: str) -> dict[str, Any]:
        """A document; empty if it is not there."""
        path = self._path(target, name)
        return dict(json.loads(path.read_bytes())["document"]) if path.exists() else {}

    def write(self, target: Target, name: str, document: Mapping[str, Any]) -> None:
        """Put a document in place at once and for good."""
        whole = {"target": asdict(target), "document": document}
        write_bytes(self._path(target, name), canonical_json(whole))

    def remove(self, target: Target, name: str) -> None:
        """Remove a document; one that is gone is no error."""
        self._path(target, name).unlink(missing_ok=True)

    def targets(self) -> tuple[Target, ...]:
        """Every target that has a document, sorted."""
        found = {
            Target(**json.loads(path.read_bytes())["target"]) for path in self._root.rglob("*.json")
        }
        return tuple(sorted(found, key=lambda target: target.id))

    @contextmanager
    def lock(self, target: Target) -> Iterator[None]:
        """Hold a target against everybody else on this machine.

        Raises:
            BusyError: another holds it.
        """
        path = self._path(target, "lock").with_suffix("")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="ascii") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "another apply runs there", where=target.id, hint="try again when it has ended"
                ) from error
            yield

    def _path(self, target: Target, name: str) -> Path:
        return self._root.joinpath(*target.id.split("/"), f"{name}.json")

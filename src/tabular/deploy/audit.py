"""Who did what to which deployment, and how it ended: one JSON line for each.

The engine's own log dies with the stack; this one outlives it. A record is written before an
action starts and another when it ends, so a client killed in between leaves its trace.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from tabular.deploy.target import Target
from tabular.errors import EngineError, PreflightError, TabularError


def _now() -> datetime:
    return datetime.now(UTC)


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a uid that has no passwd entry.
        user = f"uid:{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Append-only JSON lines.

    Attributes:
        path: the file; its folder is made on first use, readable by the owner alone.
        clock: gives the time, UTC.
    """

    path: Path
    clock: Callable[[], datetime] = _now
    actor: str = field(default_factory=_actor)

    @contextmanager
    def action(self, verb: str, target: Target, **facts: Any) -> Iterator[None]:
        """Record that ``verb`` starts, and how it ended.

        Args:
            verb: ``deploy``, ``rollback``, ``destroy`` …
            target: what it acts on.
            facts: plain data worth keeping, no secrets: plan fingerprint, counts of changes.

        Raises:
            PreflightError: the log cannot be written; nothing is done unrecorded.
            EngineError: with the code ``engine.audit-end``: it was done, its end is unrecorded.
        """
        entry = {"id": uuid4().hex, "actor": self.actor, "action": verb, "target": target.id}
        self._write({**entry, "outcome": "started", **facts})
        try:
            yield
        except TabularError as error:
            self._add({**entry, "outcome": "failed", "code": error.code}, error)
            raise
        except BaseException as error:
            self._add({**entry, "outcome": "interrupted", "code": type(error).__name__}, error)
            raise
        try:
            self._write({**entry, "outcome": "done"})
        except PreflightError as error:
            raise EngineError(
                f"the {verb} was carried out, but that could not be recorded: {error.message}",
                where=error.where,
                hint="make room or give yourself the right to write there; nothing is to be "
                "done again",
                code="engine.audit-end",
            ) from error

    def _add(self, record: dict[str, Any], reason: BaseException) -> None:
        """Record how an action failed; where that fails too, its own reason is told first."""
        try:
            self._write(record)
        except PreflightError as error:
            if isinstance(reason, TabularError):
                reason.hint = "; ".join(part for part in (reason.hint, error.message) if part)
            else:
                reason.add_note(error.message)

    def last_deployed(self) -> Target | None:
        """Where the last deploy from here went that ended well and was not destroyed after it."""
        there: dict[str, None] = {}
        for record in self.records():
            if record.get("outcome") == "done":
                target = str(record.get("target", ""))
                if record.get("action") in ("deploy", "destroy"):
                    there.pop(target, None)
                if record.get("action") == "deploy":
                    there[target] = None
        return Target.from_id(next(reversed(there))) if there else None

    def records(self) -> Iterator[dict[str, Any]]:
        """All records, oldest first; none if nothing was ever recorded."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps({"time": self.clock().isoformat(), **record}, sort_keys=True) + "\n"
        try:
            self._append(line.encode())
        except OSError as error:
            raise PreflightError(
                f"the audit log cannot be written: {error.strerror}",
                where=str(self.path),
                hint="nothing is done unrecorded: make room or give yourself the right to write "
                "there, or choose another place with --home",
                code="engine.audit",
            ) from error

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # O_APPEND with one write keeps lines of concurrent clients whole.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, line)
            if written < len(line):
                # Half a line would spoil the next one too.
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR) - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

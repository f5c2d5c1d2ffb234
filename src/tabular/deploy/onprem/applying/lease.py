"""One apply at a time: a Lease that is renewed while it runs, and tells what runs.

Clients die. A lease that is renewed says that its holder lives; one that has run out says that
somebody may take over, and its annotation says what was begun. Times are the server's, as its
answers say it, so that two machines whose clocks differ agree.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tabular.deploy.onprem.cluster import marks
from tabular.deploy.onprem.cluster.session import Cluster, Object
from tabular.deploy.target import Target
from tabular.errors import BusyError, ConflictError, TabularError

API, KIND = "coordination.k8s.io/v1", "Lease"
DURATION = 30.0  # seconds without renewal after which a client counts as dead
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_DATE_STEP = timedelta(seconds=1)  # servers tell the time in whole seconds


@dataclass(frozen=True, slots=True)
class Note:
    """What a lease says.

    Attributes:
        holder: who holds it, "" if nobody does.
        alive: whether the holder renewed it in time.
        operation: what was begun last; empty before anything was.
        retained: what a destroy left; empty if nothing.
        changed: when it was renewed last.
        target: of the deployment that it is of; None if it says none.
    """

    holder: str
    alive: bool
    operation: Mapping[str, Any]
    retained: Mapping[str, Any]
    changed: datetime | None
    target: Target | None

    @property
    def abandoned(self) -> bool:
        """Whether something was begun and its client died."""
        return bool(self.holder) and not self.alive


@dataclass
class Held:
    """A lease that this process holds."""

    leases: Leases
    target: Target
    holder: str
    operation: dict[str, Any]
    retained: dict[str, Any]
    lost: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def note(self, **more: Any) -> None:
        """Write down how far the operation is."""
        self.operation |= more
        self._write()

    def keep(self, retained: Mapping[str, Any]) -> None:
        """Write down what stays when the deployment is gone."""
        self.retained = dict(retained)
        self._write()

    def drop(self) -> None:
        """Remove it: nothing of the deployment is left to tell of."""
        with self._lock:
            self._over.set()
            self.leases.cluster.delete(API, KIND, name_of(self.target), self.target.region)

    def require(self) -> None:
        """Refuse to go on when another client took over.

        Raises:
            BusyError: it did.
        """
        if self.lost.is_set():
            raise BusyError(
                "another client took this apply over, since ours could not renew its lease",
                where=self.target.id,
                hint="`inferloop-tabular status` shows how it goes there",
            )

    def _write(self, *, holder: str | None = None) -> None:
        with self._lock:
            if self._over.is_set():
                return
            said = self.holder if holder is None else holder
            self.leases.write(self.target, said, self.operation, self.retained, own=self.holder)

    def _renew(self) -> None:
        failing = 0.0
        while not self._over.wait(self.leases.duration / 3):
            try:
                self._write()
                failing = 0.0
            except ConflictError:
                self.lost.set()
                return
            except TabularError:
                failing += self.leases.duration / 3
                if failing >= self.leases.duration:
                    self.lost.set()
                    return

    def _release(self) -> None:
        if not self.lost.is_set() and not self._over.is_set():
            self._write(holder="")
        self._over.set()


class Leases:
    """Takes and reads leases.

    Args:
        cluster: where.
        duration: seconds without renewal after which a client counts as dead.
    """

    def __init__(self, cluster: Cluster, *, duration: float = DURATION) -> None:
        self.cluster = cluster
        self.duration = duration

    def read(self, target: Target) -> Note | None:
        """What the lease of a deployment says; None if there is none."""
        found = self._get(target)
        return None if found is None else self.told(found)

    def told(self, found: Object) -> Note:
        """What a lease says."""
        spec = found.get("spec") or {}
        changed = _time(spec.get("renewTime"))
        limit = timedelta(seconds=float(spec.get("leaseDurationSeconds") or self.duration))
        alive = changed is not None and self.cluster.now() < changed + limit + _DATE_STEP
        operation = json.loads(marks.annotation(found, marks.OPERATION) or "{}")
        retained = json.loads(marks.annotation(found, marks.RETAINED) or "{}")
        holder = spec.get("holderIdentity") or ""
        target = marks.target_in(found)
        return Note(holder, alive and bool(holder), operation, retained, changed, target)

    @contextmanager
    def hold(self, target: Target, operation: Mapping[str, Any]) -> Iterator[Held]:
        """Hold the lease for the block, and renew it.

        Raises:
            BusyError: another client holds it.
        """
        before = self.read(target)
        if before is not None and before.alive:
            raise busy(target, before)
        holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        retained = dict(before.retained) if before else {}
        held = Held(self, target, holder, dict(operation), retained)
        self.write(target, holder, held.operation, retained, own=before.holder if before else "")
        renewing = threading.Thread(target=held._renew, name="lease", daemon=True)
        renewing.start()
        try:
            yield held
        finally:
            held._release()

    def write(
        self,
        target: Target,
        holder: str,
        operation: Mapping[str, Any],
        retained: Mapping[str, Any],
        *,
        own: str,
    ) -> None:
        """Put the lease as it shall be.

        Raises:
            BusyError: somebody else than ``own`` holds it now.
        """
        now = self.cluster.now().strftime(_FORMAT)
        for _ in range(5):
            found = self._get(target)
            held_by = "" if found is None else (found.get("spec") or {}).get("holderIdentity", "")
            if found is not None and held_by not in (own, holder):
                raise busy(target, self.told(found))
            meta = marks.own_metadata(target, name_of(target), marks.LEASE)
            meta["annotations"][marks.OPERATION] = json.dumps(operation, sort_keys=True)
            if retained:
                meta["annotations"][marks.RETAINED] = json.dumps(retained, sort_keys=True)
            spec = {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, int(self.duration)),
                "renewTime": now,
            }
            one = {"apiVersion": API, "kind": KIND, "metadata": meta, "spec": spec}
            try:
                if found is None:
                    self.cluster.create(one)
                else:
                    meta["resourceVersion"] = found["metadata"]["resourceVersion"]
                    self.cluster.replace(one)
            except ConflictError as error:
                if error.code not in ("conflict.exists", "conflict.changed"):
                    raise
                continue
            return
        raise ConflictError("the lease changes all the time", where=target.id)

    def _get(self, target: Target) -> Object | None:
        return self.cluster.get(API, KIND, name_of(target), target.region)


def name_of(target: Target) -> str:
    """The lease's own name."""
    return f"{target.name}-deploy"


def busy(target: Target, note: Note) -> BusyError:
    """Another client works there."""
    purpose = note.operation.get("purpose", "apply")
    return BusyError(
        f"another {purpose} runs there, by {note.holder.rpartition('/')[0]}",
        where=target.id,
        hint="`inferloop-tabular status` shows it; wait for it, then run the command again",
    )


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00"))

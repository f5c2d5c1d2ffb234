"""Puts a backup into an empty platform, compares what is there then, and says so.

Objects come first, each by itself, and all of them are read back before the first row is written.
Rows come in one transaction, so that they are there all or not at all. The objects are not read
in that transaction: it takes hours where they are many, and no network keeps a connection that is
silent for so long. A marker in the target's store says which backup is being restored: a run that
was killed is started again and goes on, and nobody else's data is taken for the rest of it.

Jobs that ran at the moment of the backup have no worker here. They wait again, with the try that
was interrupted given back, or are cancelled where somebody had asked for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, update

from tabular.errors import IntegrityError, NotFoundError, RefusedError
from tabular.infra.database import Database, head, migrate, revision
from tabular.infra.database.migrate import is_known
from tabular.infra.database.models import Dataset, Evaluation, Job, Model
from tabular.infra.storage import ObjectInfo, ObjectStore
from tabular.transfer.backup import Point, Progress, nowhere
from tabular.transfer.copying import copy_objects, damaged, has
from tabular.transfer.journal import Journal
from tabular.transfer.manifest import Manifest, Table
from tabular.transfer.place import Place
from tabular.transfer.tables import Shape, clear, dump, load, number_on

_FOLDER = "transfer"
_MARKER = f"{_FOLDER}/restore.json"
_JOURNAL = f"{_FOLDER}/restored"
_CONTENT = (Dataset, Model, Job, Evaluation)


@dataclass(frozen=True)
class Restored:
    """What was restored, compared.

    Attributes:
        backup: its id.
        rows: by table; read again from the target and compared, before they were committed.
        objects, size: read again from the target and compared.
        copied: objects that this run copied; the others were there.
        requeued, cancelled: jobs that ran at the moment of the backup.
        migrated: from which schema revision, where that was older.
    """

    backup: str
    rows: dict[str, int]
    objects: int
    size: int
    copied: int
    requeued: int
    cancelled: int
    migrated: str | None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**vars(self), "compared": True}


@dataclass
class Restore:
    """One run of restoring.

    Args:
        place: where the backup is.
        manifest: of the backup.
        database: of the target; made or emptied as needed.
        store: of the target.
        replace: let what is in the target be replaced.
        progress: told the fraction of objects done.
        at: called with the name of each point passed; tests stop there.
    """

    place: Place
    manifest: Manifest
    database: Database
    store: ObjectStore
    replace: bool = False
    progress: Progress = lambda fraction: None
    at: Point = nowhere

    def run(self) -> Restored:
        """Restore it, whole, and compare.

        Raises:
            RefusedError: the backup is newer than this release, or the target has data.
            IntegrityError: the backup is damaged, or the target has other data afterwards.
            UnavailableError: one of the places does not answer or is full.
        """
        stage = self._begin()
        self.at("begun")
        journal = Journal(self.store, _JOURNAL)
        copied = self._copy(journal)
        self.at("objects")
        self._compare(journal)
        self.at("compared")
        ended = stage.get("ended")
        if ended is None:
            ended = self._load()
            self.at("loaded")
            self._mark(ended=ended)
        self.at("rows")
        migrate(self.database)
        self.at("migrated")
        self._look_again(journal)
        journal.remove()
        self.store.delete(_MARKER)
        older = self.manifest.summary.revision
        return Restored(
            backup=self.manifest.summary.id,
            rows={table.name: table.rows for table in self.manifest.tables},
            objects=len(self.manifest.objects),
            size=sum(entry.size for entry in self.manifest.objects),
            copied=copied,
            requeued=ended["requeued"],
            cancelled=ended["cancelled"],
            migrated=None if older == head() else older,
        )

    def _begin(self) -> dict[str, Any]:
        """Whether this goes on with a run that was killed, and how far that was."""
        if not is_known(self.manifest.summary.revision):
            raise RefusedError(
                f"the backup has schema revision {self.manifest.summary.revision}; "
                f"this release knows up to {head()}",
                hint=f"restore it with release {self.manifest.summary.release} or a later one",
                code="refused.newer-backup",
            )
        self.store.ping()  # which makes a folder that is not there yet
        before = self._marker()
        if before is not None and before["backup"] == self.manifest.summary.id:
            self.replace = before["replace"]
            return before
        if not self.replace:
            self._require_empty(before)
        Journal(self.store, _JOURNAL).remove()
        self._mark()
        return {}

    def _marker(self) -> dict[str, Any] | None:
        try:
            return dict(json.loads(b"".join(self.store.get(_MARKER))))
        except NotFoundError:
            return None

    def _mark(self, **more: Any) -> None:
        text = {"backup": self.manifest.summary.id, "replace": self.replace, **more}
        self.store.put(_MARKER, json.dumps(text).encode())

    def _require_empty(self, before: dict[str, Any] | None) -> None:
        found = "" if before is None else f"the rest of a restore of {before['backup']}"
        if not found:
            first = next(iter(self.store.list()), None)
            found = "" if first is None else f"the object {first.key}"
        if not found and revision(self.database) is not None:
            with self.database.session() as session:
                names = (
                    table.__tablename__
                    for table in _CONTENT
                    if session.scalar(select(table.seq).limit(1)) is not None
                )
                found = next((f"rows in {name}" for name in names), "")
        if found:
            raise RefusedError(
                f"the target is not empty: it has {found}",
                where=self.database.where,
                hint="restore into a new deployment, or --replace what it has",
                code="refused.not-empty",
            )

    def _copy(self, journal: Journal) -> int:
        entries = {entry.key: entry for entry in self.manifest.objects}
        done = 0

        def each(info: ObjectInfo) -> None:
            nonlocal done
            done += 1
            self.progress(done / len(entries) / 2)
            self.at(f"object {info.key}")

        result = copy_objects(
            lambda info: self.place.get(entries[info.key]),
            self.store,
            self._wanted(),
            journal=journal,
            each=each,
        )
        return result.objects

    def _load(self) -> dict[str, int]:
        """All rows, in one transaction, compared before it is committed."""
        summary = self.manifest.summary
        if revision(self.database) != summary.revision:
            found = revision(self.database)
            if found is not None and not is_known(found):
                raise RefusedError(
                    f"the target's schema is at revision {found}, which this release does not know",
                    where=self.database.where,
                    hint="use the release that made it",
                )
            migrate(self.database, to=summary.revision)
        shapes = [table.shape for table in self.manifest.tables]
        with self.database.connection() as connection:
            clear(connection, shapes)
            for table in self.manifest.tables:
                for chunk in table.chunks:
                    load(connection, table.shape, b"".join(self.place.get(chunk)))
                    self.at(f"table {table.name}")
                _compare_rows(connection, table)
            number_on(connection, shapes)
            ended = _let_go(connection, next(s for s in shapes if s.name == "jobs"))
            if self.replace:
                self._remove_others()
            self.at("uncommitted")
        return ended

    def _remove_others(self) -> None:
        """What a platform had before it was replaced.

        Nobody can add to it meanwhile: who wants to write rows waits for our transaction, and
        the jobs of the backup, whose results could have the same keys, are not seen before.
        """
        wanted = {entry.key for entry in self.manifest.objects}
        for info in list(self.store.list()):
            if info.key not in wanted and not info.key.startswith(f"{_FOLDER}/"):
                self.store.delete(info.key)

    def _compare(self, journal: Journal) -> None:
        """Read each object back from the target.

        Raises:
            IntegrityError: one is not what the backup says.
        """
        done = 0

        def each(_info: ObjectInfo) -> None:
            nonlocal done
            done += 1
            self.progress(0.5 + done / len(self.manifest.objects) / 2)

        self._refuse(journal, damaged(self.store, self._wanted(), each=each))

    def _look_again(self, journal: Journal) -> None:
        """Ask for each object once more: whoever emptied a replaced platform's garbage is done.

        Raises:
            IntegrityError: one has gone.
        """
        gone = [info.key for info in self._wanted() if not has(self.store, info)]
        self._refuse(journal, dict.fromkeys(gone, "it is not there any more"))

    def _refuse(self, journal: Journal, wrong: Mapping[str, str]) -> None:
        """Take away what is wrong, or the next run would take it for copied."""
        if not wrong:
            return
        journal.remove()
        for key in wrong:
            self.store.delete(key)
        key, how = min(wrong.items())
        raise IntegrityError(
            f"of {len(self.manifest.objects)} restored objects {len(wrong)} came back other than "
            f"they were written, {key} among them: {how}",
            where=self.store.where,
            hint="run the same restore again: it copies these anew; look after the disk or store",
            code="unavailable.objects-differ",
        )

    def _wanted(self) -> Iterator[ObjectInfo]:
        return (entry.info(entry.key) for entry in self.manifest.objects)


def _compare_rows(connection: Connection, table: Table) -> None:
    said = [(chunk.sha256, chunk.rows) for chunk in table.chunks]
    found = [(chunk.sha256, chunk.rows) for chunk in dump(connection, table.shape)]
    if said != found:
        raise IntegrityError(
            f"the rows of {table.name} came back other than they were written; nothing was kept",
            hint="verify the backup; where it is whole, report this as a fault of the program",
            code="unavailable.rows-differ",
        )


def _let_go(connection: Connection, shape: Shape) -> dict[str, int]:
    """Jobs that ran wait again, as if their worker had given them back; from the beginning."""
    jobs = shape.clause()
    running = jobs.c.status == "running"
    now = datetime.now(UTC)
    ended: dict[str, Any] = {"worker": None, "progress": 0.0}
    if "parts" in shape.columns:
        ended["parts"] = None  # what was done of them is in no backup
    asked = update(jobs).where(running, jobs.c.cancel_requested.is_(True))
    cancelled = connection.execute(asked.values(status="cancelled", finished_at=now, **ended))
    again = {"status": "queued", "requeued_at": now, "not_before": now, **ended}
    requeued = connection.execute(
        update(jobs).where(running).values(tries=jobs.c.tries - 1, **again)
    )
    return {"requeued": requeued.rowcount, "cancelled": cancelled.rowcount}


def restore_into(
    place: Place, manifest: Manifest, database_url: str, store: ObjectStore, *,
    replace: bool = False, progress: Progress = lambda fraction: None, at: Point = nowhere,
) -> Restored:  # fmt: skip
    """Restore a backup into the place that a URL and a store name.

    Args:
        place: where the backup is.
        manifest: of the backup.
        database_url, store: of the target.
        replace, progress, at: see `Restore`.
    """
    database = Database(database_url)
    try:
        return Restore(place, manifest, database, store, replace, progress, at).run()
    finally:
        database.close()

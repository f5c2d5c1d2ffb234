"""A backup of a running platform: the rows of one moment, then exactly the objects they refer to.

Nothing is stopped for it. The rows are read in one transaction that sees one moment. Before it
begins a hold is taken, so that no object of that moment is removed until its copy is there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy import Connection

from tabular.errors import RefusedError
from tabular.infra.auth.audit import BACKUP_MADE, Asked, AuditTrail
from tabular.infra.config import Settings
from tabular.infra.database import Database, head
from tabular.infra.database.migrate import revision_of
from tabular.infra.storage import ObjectInfo, open_store
from tabular.transfer import sealing
from tabular.transfer.copying import in_parallel
from tabular.transfer.hold import BACKUP, PRUNE, held, holding
from tabular.transfer.manifest import Blob, Entry, Manifest, Summary, Table, TableChunk
from tabular.transfer.place import Place, new_backup_id
from tabular.transfer.references import look_up, referenced
from tabular.transfer.tables import Shape, dump, shapes

Point = Callable[[str], None]
Progress = Callable[[float], None]
_PAUSE = 1.0  # seconds between two looks whether old backups are still being forgotten


def nowhere(_point: str) -> None:
    """A run that stops at no point of its way."""


def _utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass
class Backup:
    """One run of making a backup.

    Args:
        settings: of the platform.
        place: where to.
        progress: told the fraction of objects done.
        at: called with the name of each point passed; tests stop there.
        clock: the time.
        sleep: waits.
    """

    settings: Settings
    place: Place
    progress: Progress = lambda fraction: None
    at: Point = nowhere
    clock: Callable[[], datetime] = _utcnow
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> Summary:
        """Make it, whole.

        Raises:
            RefusedError: the schema is not the one of this release.
            IntegrityError: the platform has lost an object or gives a damaged one.
            UnavailableError: the platform, or the place, does not answer or is full.
        """
        started = self.clock()
        database = Database(self.settings.database_url)
        try:
            with holding(database, BACKUP, clock=self.clock):
                self.at("held")
                # What is there may be removed at this moment, and would be taken for copied.
                while held(database, PRUNE, clock=self.clock):
                    self.sleep(_PAUSE)
                with database.snapshot() as connection:
                    revision = _checked_revision(connection, database.where)
                    self.at("snapshot")
                    tables = tuple(self._table(connection, shape) for shape in shapes())
                    keys = sorted(set(referenced(connection)))
                self.at("tables")
                objects = self._objects(keys)
                self.at("objects")
                made = self._finish(started, revision, tables, objects)
            self._record(database, made)
            return made
        finally:
            database.close()

    def _record(self, database: Database, made: Summary) -> None:
        """Everything was copied: administrators see that, and alarms that it was long ago."""
        trail = AuditTrail(database, retention=self.settings.audit_retention(), clock=self.clock)
        asked = Asked("backup", made.id, "console", secrets.token_hex(12))
        trail.record(BACKUP_MADE, asked, name=self.place.where, resource=made.id)

    @property
    def _secret(self) -> str:
        return self.settings.secret_key.get_secret_value()

    def __post_init__(self) -> None:
        self._added: list[int] = []

    def _table(self, connection: Connection, shape: Shape) -> Table:
        chunks: list[TableChunk] = []
        for chunk in dump(connection, shape):
            name = self.place.name_of(chunk.sha256, self._secret)
            kept = TableChunk(blob=name, size=len(chunk.data), sha256=chunk.sha256, rows=chunk.rows)
            self._put(kept, lambda data=chunk.data: iter([data]))  # type: ignore[misc]
            self.at(f"table {shape.name}")
            chunks.append(kept)
        return Table(name=shape.name, columns=shape.pairs(), chunks=tuple(chunks))

    def _objects(self, keys: list[str]) -> tuple[Entry, ...]:
        store = open_store(self.settings.storage_url)

        def copy(key: str) -> Entry:
            info: ObjectInfo = look_up(store, key)
            name = self.place.name_of(info.sha256, self._secret)
            entry = Entry(blob=name, size=info.size, sha256=info.sha256, key=key)
            self._put(entry, lambda: store.get(key))
            self.at(f"object {key}")
            return entry

        found: list[Entry] = []
        for entry in in_parallel(copy, keys):
            found.append(entry)
            self.progress(len(found) / len(keys))
        return tuple(sorted(found, key=lambda entry: entry.key))

    def _put(self, blob: Blob, read: Callable[[], Iterator[bytes]]) -> None:
        if not self.place.has(blob.blob):
            self.place.put(blob, read())
            self._added.append(blob.size)

    def _finish(
        self,
        started: datetime,
        revision: str,
        tables: tuple[Table, ...],
        objects: tuple[Entry, ...],
    ) -> Summary:
        size = sum(chunk.size for table in tables for chunk in table.chunks)
        summary = Summary(
            id=new_backup_id(started),
            started=started,
            finished=self.clock(),
            release=self.settings.release,
            revision=revision,
            encryption=self.place.method,
            tables=len(tables),
            rows=sum(table.rows for table in tables),
            objects=len(objects),
            size=size + sum(entry.size for entry in objects),
            added=sum(self._added),
        )
        travels = self.place.method != sealing.NONE
        manifest = Manifest(
            summary=summary,
            tables=tables,
            objects=objects,
            secret_key=SecretStr(self._secret) if travels else None,
        )
        self.place.write(manifest, self._secret)
        self.at("manifest")
        return summary


def _checked_revision(connection: Connection, where: str) -> str:
    found = revision_of(connection)
    if found != head():
        raise RefusedError(
            f"the database is at revision {found or 'none'}, and this release knows {head()}",
            where=where,
            hint="back it up with the release that serves it, or run its migration first",
            code="refused.schema",
        )
    return found

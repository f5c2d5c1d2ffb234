"""Removal of objects that nothing refers to any more, or that never came to be referred to.

A store and a database cannot commit together. So a folder is named in the `garbage` table
before anything is written into it, and the transaction that makes its contents count takes the
name away again; a deletion names it in the transaction that removes the row. A kill at any
moment leaves either a referenced folder or a named one, never a forgotten one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from tabular.errors import ConflictError, TabularError, UnavailableError
from tabular.infra.database import Database
from tabular.infra.database.models import Garbage, Hold
from tabular.infra.storage import ObjectStore

_LOG = logging.getLogger(__name__)

ABANDONED = timedelta(days=1)  # an upload that takes longer has lost its client


class GarbageBin:
    """Folders to be removed.

    Args:
        database: where they are named.
        store: where they are.
        clock: the time, to tell an upload that goes on from one that was abandoned.
    """

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    def begin(self, folder: str) -> None:
        """Name a folder that is about to be filled."""
        with self._database.transaction() as session:
            session.add(Garbage(prefix=folder, pending=True, created_at=self._clock()))

    def keep(self, session: Session, folder: str) -> None:
        """Take the name back, in the transaction that refers to the folder.

        Raises:
            ConflictError: the folder was taken for abandoned and is gone.
        """
        name = delete(Garbage).where(Garbage.prefix == folder, Garbage.pending.is_(True))
        if session.scalar(name.returning(Garbage.seq)) is None:
            raise ConflictError("the upload took too long and was removed", hint="upload it again")

    def throw(self, session: Session, folder: str) -> None:
        """Name a folder, in the transaction that ends the last reference to it."""
        throw(session, folder, self._clock())

    def discard(self, folder: str) -> None:
        """Remove a folder that was begun and came to nothing."""
        with self._database.transaction() as session:
            session.execute(update(Garbage).where(Garbage.prefix == folder).values(pending=False))
        self.empty(folder)

    def empty(self, folder: str | None = None) -> int:
        """Remove what is named and not pending, or pending for too long; nothing under a hold.

        Args:
            folder: only this one.

        Returns:
            How many folders were removed.

        Raises:
            UnavailableError: the store or the database does not answer; call it again.
        """
        due = select(Garbage.prefix).where(
            Garbage.pending.is_(False) | (Garbage.created_at < self._clock() - ABANDONED)
        )
        if folder is not None:
            due = due.where(Garbage.prefix == folder)
        with self._database.session() as session:
            folders = list(session.scalars(due))
            # Asked after the folders: what a holder may still read was named after it held on.
            held = session.scalar(select(Hold.id).where(Hold.expires_at > self._clock()).limit(1))
        return 0 if held is not None else sum(map(self._remove, folders))

    def _remove(self, folder: str) -> bool:
        """Remove one folder; one that cannot be removed now must not keep the others."""
        named = Garbage.prefix == folder
        try:
            with self._database.transaction() as session:
                # First of all, an upload that still runs loses its right to commit.
                row = session.scalar(select(Garbage).where(named).with_for_update())
                if row is None:
                    return False  # it committed just now, or another one was faster
                row.pending = False
            for info in self._store.list(folder):
                self._store.delete(info.key)
            if self._store.keys_below(folder):
                # Asked over plain http, a store may have removed what it understood instead.
                raise UnavailableError("the store still has them after it removed them")
            with self._database.transaction() as session:
                session.execute(delete(Garbage).where(named))
        except TabularError as error:
            _LOG.warning("the objects of %s stay for now: %s", folder, error.message)
            return False
        return True


def throw(session: Session, folder: str, now: datetime) -> None:
    """Name a folder, in the transaction that ends the last reference to it."""
    known = session.scalar(select(Garbage).where(Garbage.prefix == folder))
    if known is None:
        session.add(Garbage(prefix=folder, pending=False, created_at=now))
    else:
        known.pending = False

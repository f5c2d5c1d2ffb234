"""A password that the server refuses is read again, for it may have been changed meanwhile.

Connections that are open go on with the old one; only a new one meets the change. So a rotation
needs no restart, and costs nothing until it happens.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from tabular.errors import TabularError
from tabular.infra.database import mysql

PAUSE = 1.0  # seconds between two questions, however many connections are refused meanwhile

_LOG = logging.getLogger(__name__)


class _Credentials:
    """User and password as they were read last.

    Args:
        url: has those of the start.
        again: the URL as it is now.
    """

    def __init__(self, url: URL, again: Callable[[], URL]) -> None:
        self.known = _of(url)
        self._again = again
        self._asked: float | None = None
        self._lock = threading.Lock()

    def other_than(self, refused: Mapping[str, str]) -> Mapping[str, str] | None:
        """What to try instead of what was refused; None when there is nothing else."""
        with self._lock:
            now = time.monotonic()
            rested = self._asked is None or now - self._asked >= PAUSE
            if self.known == refused and rested:
                self._asked = now
                try:
                    self.known = _of(self._again())
                except TabularError as error:
                    _LOG.warning("the database's password is not read again: %s", error)
            return None if self.known == refused else self.known


def renew(engine: Engine, again: Callable[[], URL]) -> None:
    """Let the engine read user and password again when they are refused.

    Args:
        engine: of PostgreSQL or MySQL.
        again: the URL as it is now; of it only user and password are taken.
    """
    credentials = _Credentials(engine.url, again)

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        known = credentials.known
        parameters.update(known)
        try:
            return dialect.connect(*arguments, **parameters)
        except dialect.loaded_dbapi.Error as error:
            found = credentials.other_than(known) if _refused(error) else None
            if found is None:
                raise
        parameters.update(found)
        return dialect.connect(*arguments, **parameters)


def _of(url: URL) -> dict[str, str]:
    found = {"user": url.username, "password": url.password}
    return {name: value for name, value in found.items() if value is not None}


def _refused(error: Exception) -> bool:
    """Whether it may have been the password.

    libpq gives no SQLSTATE for a connection that failed, and its text is in the language of the
    server. It tells whether a password was asked for, which all refusals after that share.
    """
    connection = getattr(error, "pgconn", None)
    if connection is not None:
        return bool(connection.used_password)
    return bool(error.args) and error.args[0] in mysql.REFUSED

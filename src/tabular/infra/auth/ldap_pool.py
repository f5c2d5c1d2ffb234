"""Connections to a directory that are bound already, over more than one server.

A sign-in asks the directory several questions, and a TLS handshake for each would be most of
the time. What lay idle may have been hung up on, so a question that fails on such a connection
is asked once more on a new one; a server that does not answer is passed over for the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from tabular.errors import UnavailableError
from tabular.infra.auth.ldap_connection import LdapConnection, Link

Result = TypeVar("Result")

MAX_IDLE = 4
MAX_AGE = 300.0  # seconds; then the bind is repeated, with a password that may be new


class LdapPool:
    """Connections bound as the service.

    Args:
        links: the servers, the first is preferred until it fails.
        bind_dn: the service's own name.
        password: gives its password; called with True when the one before was refused.
    """

    def __init__(
        self, links: Sequence[Link], bind_dn: str, password: Callable[[bool], str]
    ) -> None:
        self._links = list(links)
        self._bind_dn = bind_dn
        self._password = password
        self._idle: list[tuple[LdapConnection, float]] = []
        self._lock = threading.Lock()

    def ask(self, question: Callable[[LdapConnection], Result]) -> Result:
        """What `question` gets out of a bound connection.

        Raises:
            UnavailableError: no server answers.
        """
        idle = self._taken()
        if idle is not None:
            connection, born = idle
            try:
                result = question(connection)
            except UnavailableError:
                connection.close()
            else:
                self._give_back(connection, born)
                return result
        connection = self._bound()
        try:
            result = question(connection)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, time.monotonic())
        return result

    def connect(self) -> LdapConnection:
        """A connection that is nobody's yet, to the first server that answers.

        Raises:
            UnavailableError: none does; the error is the last one's.
        """
        failure: UnavailableError | None = None
        for link in list(self._links):
            try:
                connection = LdapConnection(link)
            except UnavailableError as error:
                failure = error
                continue
            if failure is not None:
                with self._lock:  # those that failed are asked last from now on
                    self._links.remove(link)
                    self._links.insert(0, link)
            return connection
        assert failure is not None  # there is at least one link
        raise failure

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _bound(self) -> LdapConnection:
        refused: str | None = None
        for again in (False, True):
            password = self._password(again)
            if password == refused:
                break  # a directory may lock an account that comes with a wrong one too often
            connection = self.connect()
            try:
                if connection.bind(self._bind_dn, password):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
            refused = password
        raise UnavailableError(
            "the directory refuses the service's own name or password",
            where=self._bind_dn,
            hint="check TABULAR_LDAP_BIND_DN and TABULAR_LDAP_BIND_PASSWORD",
            code="unavailable.directory",
        )

    def _taken(self) -> tuple[LdapConnection, float] | None:
        with self._lock:
            while self._idle:
                connection, born = self._idle.pop()
                if time.monotonic() - born < MAX_AGE:
                    return connection, born
                connection.close()
        return None

    def _give_back(self, connection: LdapConnection, born: float) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append((connection, born))
                return
        connection.close()

"""Signing in with a password or a key, which gives a session: checked, counted and recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tabular.errors import (
    AccessError,
    ForbiddenError,
    InputError,
    RateLimitedError,
    TabularError,
    UnauthenticatedError,
    UnavailableError,
)
from tabular.infra.auth.attempts import Attempts, entry_of
from tabular.infra.auth.audit import SESSIONS_ENDED, SIGNED_IN, SIGNED_OUT, Asked, AuditTrail
from tabular.infra.auth.directory import MAX_USERNAME, Directory
from tabular.infra.auth.keys import ApiKeys
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.sessions import IssuedSession, Sessions
from tabular.infra.config import Settings
from tabular.infra.secrets import Rotating

Result = TypeVar("Result")

_LOG = logging.getLogger(__name__)


class SignIn:
    """Opens and ends sessions.

    Args:
        keys: what a key is checked with.
        sessions: where sessions are opened.
        attempts: who has failed how often.
        audit: where sign-ins are recorded.
        directory: what a password is checked with, where there is one.
    """

    def __init__(
        self,
        keys: ApiKeys,
        sessions: Sessions,
        attempts: Attempts,
        audit: AuditTrail,
        directory: Directory | None,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._attempts = attempts
        self._audit = audit
        self._directory = directory

    @property
    def takes_passwords(self) -> bool:
        """Whether there is a directory."""
        return self._directory is not None

    def by_password(self, username: str, password: str, asked: Asked) -> IssuedSession:
        """A session of a person.

        Raises:
            InputError: there is no directory here.
            UnauthenticatedError: not that person; the answer does not say why.
            ForbiddenError: that person, who may do nothing here.
            RateLimitedError: too many failures.
            UnavailableError: the directory or the database does not answer.
        """
        directory = self._directory
        if directory is None:
            raise InputError(
                "this deployment has no directory to check a password with",
                hint="sign in with a key, or with a token of your identity provider",
            )
        account = username[:MAX_USERNAME]
        self._recorded(lambda: self._attempts.begin(account, asked.client), asked, username)
        counted = [account]

        def found(lasting_id: str) -> None:
            self._attempts.found(entry_of(lasting_id), asked.client)
            counted.append(entry_of(lasting_id))

        try:
            principal = self._recorded(
                lambda: directory.authenticate(username, password, found), asked, username
            )
        except UnauthenticatedError:
            self._attempts.failed(asked.client)
            raise
        except ForbiddenError:
            self._attempts.succeeded(counted, asked.client)  # the password was right
            raise
        except UnavailableError:
            self._attempts.undone(counted, asked.client)
            raise
        self._attempts.succeeded(counted, asked.client)
        return self._open(principal, asked)

    def by_key(self, key: str, asked: Asked) -> IssuedSession:
        """A session that may do what the key may, and ends with it.

        A right key is never refused for what others did, so only wrong ones are counted.

        Raises:
            UnauthenticatedError: not a key that can be used.
            RateLimitedError: too many wrong keys from this address.
            UnavailableError: the database does not answer.
        """
        try:
            principal = self._recorded(lambda: self._keys.authenticate(key), asked, None)
        except UnauthenticatedError:
            self._attempts.check_client(asked.client)
            self._attempts.failed(asked.client)
            raise
        return self._open(principal, asked)

    def end(self, principal: Principal, session_id: str, asked: Asked) -> None:
        """End a session."""
        self._sessions.end(session_id)
        self._audit.record(SIGNED_OUT, asked, principal=principal, resource=session_id)

    def end_other(self, admin: Principal, session_id: str, asked: Asked) -> None:
        """End the session of somebody else.

        Raises:
            NotFoundError: no such session.
        """
        self._sessions.end_other(session_id)
        self._audit.record(SIGNED_OUT, asked, principal=admin, resource=session_id)

    def end_all(self, admin: Principal, principal_id: str, asked: Asked) -> int:
        """End every session of somebody; returns how many there were."""
        ended = self._sessions.end_all(principal_id)
        self._audit.record(SESSIONS_ENDED, asked, principal=admin, resource=principal_id)
        return ended

    def close(self) -> None:
        """Give connections back."""
        if self._directory is not None:
            self._directory.close()

    def _open(self, principal: Principal, asked: Asked) -> IssuedSession:
        opened = self._sessions.open(principal, client=asked.client)
        self._audit.record(SIGNED_IN, asked, principal=principal, resource=opened.id)
        return opened

    def _recorded(self, step: Callable[[], Result], asked: Asked, name: str | None) -> Result:
        try:
            return step()
        except RateLimitedError:
            raise  # a flood must not become as many rows; the log has each
        except AccessError as error:
            self._record_refusal(error, asked, name)
            raise

    def _record_refusal(self, error: AccessError, asked: Asked, name: str | None) -> None:
        try:
            self._audit.record(SIGNED_IN, asked, name=name, refused=error.reason)
        except TabularError as failure:
            _LOG.error("a refused sign-in is only in the log: %s", failure.message)


def open_sign_in(
    settings: Settings, keys: ApiKeys, sessions: Sessions, attempts: Attempts, audit: AuditTrail
) -> SignIn:
    """Sign-in by the settings; nothing is contacted before it is needed.

    Raises:
        ConfigError: a filter that cannot be read, or an extra that is not installed.
    """
    found = settings.directory()
    directory = None
    if found is not None:
        secret = Rotating(settings.ldap_bind_password)
        directory = Directory(found, lambda again: secret.value(again=again))
    return SignIn(keys, sessions, attempts, audit, directory)

"""Sessions: what a person or a browser holds after signing in, instead of a password or a key.

A session is a random token whose hash is a row, so it can be ended at once by whoever holds it
and by an administrator, which a signed token could not. It carries what the directory said at
sign-in; one made from a key asks that key's row each time and so ends with the key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, delete, select, update

from tabular.errors import NotFoundError, UnauthenticatedError
from tabular.infra.auth.keys import principal_of, refusal_of
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.scopes import ROLES, scopes_of
from tabular.infra.auth.tokens import Minter
from tabular.infra.database import Database
from tabular.infra.database.models import ApiKey, SignInSession

PREFIX = "ifs"


@dataclass(frozen=True)
class IssuedSession:
    """A new session; `token` is shown once and kept nowhere."""

    id: str
    token: str
    principal: Principal
    expires_at: datetime


class Sessions:
    """Opens, checks and ends sessions.

    Args:
        database: where their hashes are.
        secret: the service's secret key.
        ttl: how long a session lasts.
        clock: the time.
    """

    def __init__(
        self,
        database: Database,
        secret: str,
        *,
        ttl: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._minter = Minter(PREFIX, secret, b"tabular sessions")
        self._ttl = ttl
        self._clock = clock

    def open(self, principal: Principal, *, client: str) -> IssuedSession:
        """Begin a session of someone who has just proved who it is."""
        session_id, token, kept = self._minter.mint()
        now = self._clock()
        expires_at = now + self._ttl
        with self._database.transaction() as session:
            session.execute(delete(SignInSession).where(SignInSession.expires_at <= now))
            if principal.kind == "key":
                key = session.scalar(select(ApiKey).where(ApiKey.id == principal.id))
                ends = (None if key is None else key.expires_at, principal.right_until)
                expires_at = min([expires_at, *(end for end in ends if end is not None)])
            session.add(
                SignInSession(
                    id=session_id,
                    secret_hash=kept,
                    principal_id=principal.id,
                    name=principal.name,
                    key_id=principal.id if principal.kind == "key" else None,
                    roles=list(principal.roles),
                    groups=list(principal.groups),
                    plan=principal.plan,
                    client=client[:64],
                    created_at=now,
                    expires_at=expires_at,
                )
            )
        principal = replace(principal, via="session", session_id=session_id, right_until=None)
        return IssuedSession(session_id, token, principal, expires_at)

    def authenticate(self, token: str) -> Principal:
        """Who holds this session.

        Raises:
            UnauthenticatedError: malformed, unknown, wrong, ended or expired, or its key is.
            UnavailableError: the database does not answer.
        """
        form = self._minter.parse(token)
        if form is None:
            raise _wrong("session.malformed")
        session_id, secret = form
        with self._database.session() as session:
            found = session.execute(
                select(SignInSession, ApiKey)
                .outerjoin(ApiKey, ApiKey.id == SignInSession.key_id)
                .where(SignInSession.id == session_id)
            ).one_or_none()
        row, key = (None, None) if found is None else (found[0], found[1])
        right = self._minter.fits(session_id, secret, row.secret_hash if row else None)
        if row is None or not right:
            raise _wrong("session.unknown" if row is None else "session.wrong")
        now = self._clock()
        if row.revoked_at is not None or row.expires_at <= now:
            raise _wrong("session.ended" if row.revoked_at else "session.expired")
        if row.key_id is None:
            return _person(row)
        refusal = "key.unknown" if key is None else refusal_of(key, now)
        if key is None or refusal is not None:
            raise _wrong(refusal or "key.unknown")
        return replace(principal_of(key), via="session", session_id=row.id)

    def end(self, session_id: str) -> None:
        """End a session at once; ending it twice is no error."""
        with self._database.transaction() as session:
            session.execute(
                update(SignInSession)
                .where(SignInSession.id == session_id, SignInSession.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )

    def end_all(self, principal_id: str) -> int:
        """End every session of a person, or of a key; returns how many there were."""
        now = self._clock()
        with self._database.transaction() as session:
            result = session.execute(
                update(SignInSession)
                .where(
                    SignInSession.principal_id == principal_id,
                    SignInSession.revoked_at.is_(None),
                    SignInSession.expires_at > now,
                )
                .values(revoked_at=now)
            )
        return int(getattr(result, "rowcount", 0))

    def end_other(self, session_id: str) -> None:
        """End a session by its id; ending it twice is no error.

        Raises:
            NotFoundError: no such session, or one that has long expired.
        """
        with self._database.session() as session:
            found = session.scalar(select(SignInSession.id).where(SignInSession.id == session_id))
        if found is None:
            raise NotFoundError(
                "no such session", where=session_id, hint="GET /v1/sessions lists them"
            )
        self.end(session_id)

    def open_ones(self, principal_id: str | None = None) -> Select[SignInSession]:
        """The question for sessions that have not ended, of one principal or of all."""
        query = select(SignInSession).where(
            SignInSession.revoked_at.is_(None), SignInSession.expires_at > self._clock()
        )
        if principal_id is None:
            return query
        return query.where(SignInSession.principal_id == principal_id)


def _person(row: SignInSession) -> Principal:
    roles = tuple(role for role in row.roles if role in ROLES)
    return Principal(
        id=row.principal_id,
        name=row.name,
        scopes=scopes_of(roles),
        kind="user",
        roles=roles,
        groups=tuple(row.groups),
        plan=row.plan,
        via="session",
        session_id=row.id,
    )


def _wrong(reason: str) -> UnauthenticatedError:
    return UnauthenticatedError(
        "the session is not valid, or has ended",
        hint="sign in again: POST /v1/session",
        reason=reason,
        challenge='error="invalid_token"',
    )

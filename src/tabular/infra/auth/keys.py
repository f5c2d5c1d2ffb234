"""API keys: who may do what, without the service ever keeping what a thief could use.

All keys of a deployment see the same datasets, models and jobs; scopes say what they may do.
A rotation gives a key a new secret and lets the old one go on for a while, so that whoever
uses the key can be changed over without an outage.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from tabular.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from tabular.infra.auth.principal import DEFAULT_PLAN, Principal
from tabular.infra.auth.scopes import check_role, check_scopes, scopes_of
from tabular.infra.auth.tokens import GIVEN, GIVEN_ID, Minter
from tabular.infra.database import Database
from tabular.infra.database.models import ApiKey, SignInSession

PREFIX = "ift"
MAX_NAME = 200
MAX_PLAN = 64
OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)

_LOG = logging.getLogger(__name__)
_LAST_USED_EVERY = timedelta(minutes=1)  # a write for each request would be worth nothing


@dataclass(frozen=True)
class IssuedKey:
    """A new key, or a new secret of one; `key` is shown once and kept nowhere.

    Attributes:
        previous_until: after a rotation, the moment up to which the old secret is right.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    key: str
    role: str | None = None
    plan: str = DEFAULT_PLAN
    expires_at: datetime | None = None
    previous_until: datetime | None = None


class ApiKeys:
    """Issues, checks, rotates and revokes keys.

    Args:
        database: where their hashes are.
        secret: the service's secret key; with another one no key issued before is right.
        clock: the time: expiry and overlap are measured by it.
    """

    def __init__(
        self,
        database: Database,
        secret: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._minter = minter_of(secret)
        self._clock = clock

    def issue(
        self,
        name: str,
        scopes: Sequence[str] = (),
        *,
        role: str | None = None,
        plan: str = DEFAULT_PLAN,
        expires_at: datetime | None = None,
    ) -> IssuedKey:
        """Make a key, with scopes or with a role.

        Raises:
            InputError: no name, an unknown scope or role, both of them or neither, or an
                expiry that is past.
        """
        if role is not None and scopes:
            raise InputError("a key has scopes or a role, not both", hint="leave one out")
        checked = check_scopes(scopes) if role is None else ()
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise InputError("the key would have expired already", where="expires_at")
        key_id, key, kept = self._minter.mint()
        row = ApiKey(
            id=key_id,
            name=_checked_text("name", name, MAX_NAME),
            secret_hash=kept,
            scopes=list(checked),
            role=None if role is None else check_role(role),
            plan=_checked_text("plan", plan, MAX_PLAN),
            created_at=now,
            expires_at=expires_at,
        )
        issued = _issued(row, key)
        with self._database.transaction() as session:
            session.add(row)
        return issued

    def any_active(self) -> bool:
        """Whether some key is neither revoked nor expired."""
        query = select(ApiKey.id).where(
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > self._clock()),
        )
        with self._database.session() as session:
            return session.scalar(query.limit(1)) is not None

    def authenticate(self, key: str) -> Principal:
        """Who holds this key.

        Raises:
            UnauthenticatedError: malformed, unknown, wrong, expired or revoked; the answer
                does not say which, the `reason` for the audit log does.
            UnavailableError: the database does not answer.
        """
        form = self._minter.parse(key) or self._minter.parse_given(key)
        if form is None:
            raise _wrong("key.malformed")
        key_id, secret = form
        with self._database.session() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.id == key_id))
        now = self._clock()
        present = self._minter.fits(key_id, secret, row.secret_hash if row else None)
        previous = self._minter.fits(key_id, secret, row.previous_hash if row else None)
        if row is None or not (present or previous):
            raise _wrong("key.unknown" if row is None else "key.wrong")
        refusal = refusal_of(row, now)
        if refusal is None and not present:
            until = row.previous_until
            refusal = "key.rotated" if until is None or until <= now else None
        if refusal is not None:
            raise _wrong(refusal)
        self._note_use(row, now)
        return replace(principal_of(row), right_until=None if present else row.previous_until)

    def rotate(self, key_id: str, *, overlap: timedelta = OVERLAP) -> IssuedKey:
        """Give a key a new secret; sessions made with the old one end with it.

        Args:
            key_id: of the key.
            overlap: for how long the old secret stays right; zero ends it at once.

        Raises:
            InputError: an overlap below zero or over 30 days.
            NotFoundError: no such key.
            ConflictError: it is revoked or has expired, or its text is a setting.
        """
        if key_id.startswith(GIVEN_ID):
            raise ConflictError(
                "the text of this key is a setting of the service",
                where=key_id,
                hint="change TABULAR_ADMIN_KEY, then run `python -m tabular.api migrate`",
            )
        if not timedelta() <= overlap <= MAX_OVERLAP:
            raise InputError("the overlap is 0 to 30 days", where="overlap_seconds")
        now = self._clock()
        _, key, kept = self._minter.mint(key_id)
        with self._database.transaction() as session:
            row = _row(session, key_id)
            if refusal_of(row, now) is not None:
                raise ConflictError("the key has ended", where=key_id, hint="issue a new one")
            row.previous_hash = row.secret_hash if overlap else None
            row.previous_until = now + overlap if overlap else None
            row.secret_hash, row.rotated_at = kept, now
            session.execute(
                update(SignInSession)
                .where(SignInSession.key_id == key_id, SignInSession.expires_at > now + overlap)
                .values(expires_at=now + overlap)
            )
            return _issued(row, key)

    def revoke(self, key_id: str) -> None:
        """End a key and its sessions at once; ending it twice is no error.

        Raises:
            NotFoundError: no such key.
        """
        with self._database.transaction() as session:
            row = _row(session, key_id)
            if row.revoked_at is None:
                row.revoked_at = self._clock()

    def _note_use(self, row: ApiKey, now: datetime) -> None:
        before = row.last_used_at
        if before is not None and timedelta() <= now - before < _LAST_USED_EVERY:
            return
        try:
            with self._database.transaction() as session:
                session.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=now))
        except UnavailableError as error:
            # A full disk must not lock out those who come to delete something.
            _LOG.warning("the use of key %s is not noted: %s", row.id, error.message)


def minter_of(secret: str) -> Minter:
    """What makes and checks keys under a secret key."""
    return Minter(PREFIX, secret, b"tabular api keys")


def is_key(credential: str) -> bool:
    """Whether it has the form of a key: of one made here, or of one given as a setting."""
    return credential.partition(".")[0] == PREFIX or GIVEN.match(credential) is not None


def refusal_of(row: ApiKey, now: datetime) -> str | None:
    """Why the key cannot be used any more, or None."""
    if row.revoked_at is not None:
        return "key.revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "key.expired"
    return None


def principal_of(row: ApiKey) -> Principal:
    """Who holds the key of this row."""
    roles = () if row.role is None else (row.role,)
    return Principal(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes) | scopes_of(roles),
        roles=roles,
        plan=row.plan,
    )


def _row(session: Session, key_id: str) -> ApiKey:
    row = session.scalar(select(ApiKey).where(ApiKey.id == key_id).with_for_update())
    if row is None:
        raise NotFoundError("no such key", where=key_id, hint="GET /v1/keys lists them")
    return row


def _issued(row: ApiKey, key: str) -> IssuedKey:
    return IssuedKey(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        key=key,
        role=row.role,
        plan=row.plan,
        expires_at=row.expires_at,
        previous_until=row.previous_until,
    )


def _checked_text(what: str, text: str, longest: int) -> str:
    text = text.strip()
    if not 0 < len(text) <= longest or not text.isprintable():
        raise InputError(f"the {what} of a key is 1 to {longest} printable characters")
    return text


def _wrong(reason: str) -> UnauthenticatedError:
    return UnauthenticatedError(
        "the API key is not valid",
        hint="send `Authorization: Bearer KEY` with a key that is whole and not revoked",
        reason=reason,
        challenge='error="invalid_token"',
    )

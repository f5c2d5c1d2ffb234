"""API keys: who may do what, without the service ever keeping what a thief could use.

A key is ``ift.ID.SECRET``. The prefix lets scanners recognise a leaked key, the id finds its
row, and the secret is 256 random bits. Because the secret is random and not chosen by a person,
there is nothing to guess: a slow password hash would cost every request 100 ms and protect
nothing. One HMAC-SHA256 under the service's secret key is kept, compared in constant time, so
a copied database can neither be used nor be extended with keys of the thief's own making.

All keys of a deployment see the same datasets, models and jobs; scopes say what they may do.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from tabular.errors import (
    ForbiddenError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
    nearest,
)
from tabular.infra.database import Database
from tabular.infra.database.models import ApiKey

PREFIX = "ift"
ADMIN = "admin"
SCOPES = {
    ADMIN: "everything, keys included",
    "datasets:read": "list, preview and profile datasets",
    "datasets:write": "upload and delete datasets",
    "models:read": "list models",
    "models:write": "fit and delete models",
    "generate": "generate rows and download them",
    "evaluate": "evaluate generated rows and read reports",
    "jobs:read": "list and follow jobs",
    "jobs:write": "cancel jobs",
}
MAX_NAME = 200

_LOG = logging.getLogger(__name__)
_FORM = re.compile(rf"{PREFIX}\.([0-9a-f]{{16}})\.([A-Za-z0-9_-]{{43}})\Z")
_LAST_USED_EVERY = timedelta(minutes=1)  # a write for each request would be worth nothing
_NO_HASH = "0" * 64


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        key_id: id of the API key.
        name: its name.
        scopes: what it may do.
    """

    key_id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the scope is held; ``admin`` holds all, ``x:write`` holds ``x:read``."""
        resource, _, action = scope.partition(":")
        implied = {scope, ADMIN} | ({f"{resource}:write"} if action == "read" else set())
        return not implied.isdisjoint(self.scopes)

    def require(self, *scopes: str) -> None:
        """Return when every scope is held.

        Raises:
            ForbiddenError: one is not; the message names it.
        """
        for scope in scopes:
            if not self.may(scope):
                raise ForbiddenError(
                    f"this key does not have the scope {scope}",
                    hint="ask an administrator for a key with it: POST /v1/keys",
                )


@dataclass(frozen=True)
class IssuedKey:
    """A new key; `key` is shown once and kept nowhere."""

    id: str
    name: str
    scopes: tuple[str, ...]
    key: str


class ApiKeys:
    """Issues, checks and revokes keys.

    Args:
        database: where their hashes are.
        secret: the service's secret key; with another one no key issued before is right.
        clock: the time, for what is shown (created, last used); no decision depends on it.
    """

    def __init__(
        self,
        database: Database,
        secret: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._secret = hmac.digest(secret.encode(), b"tabular api keys", "sha256")
        self._clock = clock

    def issue(self, name: str, scopes: Sequence[str]) -> IssuedKey:
        """Make a key.

        Raises:
            InputError: no name, or an unknown scope.
        """
        checked = check_scopes(scopes)
        name = _checked_name(name)
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        row = ApiKey(
            id=key_id,
            name=name,
            secret_hash=self._hash(key_id, secret),
            scopes=list(checked),
            created_at=self._clock(),
        )
        with self._database.transaction() as session:
            session.add(row)
        return IssuedKey(key_id, name, checked, f"{PREFIX}.{key_id}.{secret}")

    def any_active(self) -> bool:
        """Whether some key is not revoked."""
        with self._database.session() as session:
            found = session.scalar(select(ApiKey.id).where(ApiKey.revoked_at.is_(None)).limit(1))
        return found is not None

    def authenticate(self, key: str) -> Principal:
        """Who holds this key.

        Raises:
            UnauthenticatedError: malformed, unknown, wrong or revoked; the answer does not say
                which.
            UnavailableError: the database does not answer.
        """
        form = _FORM.match(key)
        if form is None:
            raise _wrong()
        key_id, secret = form.groups()
        with self._database.session() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.id == key_id))
        expected = row.secret_hash if row is not None else _NO_HASH
        right = hmac.compare_digest(expected, self._hash(key_id, secret))
        if row is None or not right or row.revoked_at is not None:
            raise _wrong()
        self._note_use(row)
        return Principal(row.id, row.name, frozenset(row.scopes))

    def revoke(self, key_id: str) -> None:
        """End a key at once; ending it twice is no error.

        Raises:
            NotFoundError: no such key.
        """
        with self._database.transaction() as session:
            row = session.scalar(select(ApiKey).where(ApiKey.id == key_id))
            if row is None:
                raise NotFoundError("no such key", where=key_id)
            if row.revoked_at is None:
                row.revoked_at = self._clock()

    def _note_use(self, row: ApiKey) -> None:
        now, before = self._clock(), row.last_used_at
        if before is not None and timedelta() <= now - before < _LAST_USED_EVERY:
            return
        try:
            with self._database.transaction() as session:
                session.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=now))
        except UnavailableError as error:
            # A full disk must not lock out those who come to delete something.
            _LOG.warning("the use of key %s is not noted: %s", row.id, error.message)

    def _hash(self, key_id: str, secret: str) -> str:
        message = f"{key_id}.{secret}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def check_scopes(scopes: Collection[str]) -> tuple[str, ...]:
    """The scopes in the order they are documented, each once.

    Raises:
        InputError: none, or an unknown one.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise InputError(
                f"unknown scope {scope[:40]!r}",
                hint=nearest(scope, SCOPES) + "known: " + ", ".join(SCOPES),
            )
    if not scopes:
        raise InputError("a key needs at least one scope", hint="known: " + ", ".join(SCOPES))
    return tuple(scope for scope in SCOPES if scope in scopes)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InputError(f"the name of a key is 1 to {MAX_NAME} printable characters")
    return name


def _wrong() -> UnauthenticatedError:
    return UnauthenticatedError(
        "the API key is not valid",
        hint="send `Authorization: Bearer KEY` with a key that is whole and not revoked",
    )

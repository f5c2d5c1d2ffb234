"""The administrator's key that a deployment brings along, so that nobody has to make the first one.

Its text is a secret of the deployment. Each process that starts with it says the same thing, in any
order and any number of times, so what is done once is never undone: a value that was replaced or
revoked is not right again, however often an older process comes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from tabular.errors import ConfigError
from tabular.infra.auth.keys import minter_of, refusal_of
from tabular.infra.auth.scopes import ADMIN
from tabular.infra.auth.tokens import GIVEN_ID
from tabular.infra.database import Database
from tabular.infra.database.models import ApiKey

NAME = "bootstrap"


@dataclass(frozen=True)
class Brought:
    """What became of the key.

    Attributes:
        id: of the key.
        made: it was not there before.
        usable: it is neither revoked nor expired.
        replaced: ids of those that ended with it.
    """

    id: str
    made: bool
    usable: bool
    replaced: tuple[str, ...] = ()


def bring(database: Database, secret: str, text: str, now: datetime) -> Brought:
    """See to it that an administrator's key of this text is there, unless it once was.

    Args:
        database: with the schema of this release.
        secret: the service's secret key.
        text: of the key.
        now: the time.

    Raises:
        ConfigError: the text has not the form of such a key.
        UnavailableError: the database does not answer.
    """
    minter = minter_of(secret)
    form = minter.parse_given(text)
    if form is None:
        raise ConfigError("the administrator's key has not the form of one")
    row = ApiKey(
        id=form[0],
        name=NAME,
        secret_hash=minter.keep(*form),
        scopes=[ADMIN],
        created_at=now,
    )
    found = _known(database, row.id, now)
    if found is not None:
        return found
    try:
        return Brought(row.id, made=True, usable=True, replaced=_put(database, row, now))
    except IntegrityError:  # another process was quicker
        return _known(database, row.id, now) or Brought(row.id, made=False, usable=True)


def _known(database: Database, key_id: str, now: datetime) -> Brought | None:
    with database.session() as session:
        row = session.scalar(select(ApiKey).where(ApiKey.id == key_id))
    if row is None:
        return None
    return Brought(key_id, made=False, usable=refusal_of(row, now) is None)


def _put(database: Database, row: ApiKey, now: datetime) -> tuple[str, ...]:
    """Add the key and end those before it; returns their ids."""
    with database.transaction() as session:
        session.add(row)
        session.flush()
        before = (
            ApiKey.id.startswith(GIVEN_ID, autoescape=True),
            ApiKey.id != row.id,
            ApiKey.revoked_at.is_(None),
        )
        ended = tuple(session.scalars(select(ApiKey.id).where(*before).order_by(ApiKey.seq)))
        session.execute(update(ApiKey).where(ApiKey.id.in_(ended)).values(revoked_at=now))
    return ended

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text

from tabular.errors import (
    ForbiddenError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from tabular.infra.auth.keys import ApiKeys
from tabular.infra.auth.principal import Principal
from tabular.infra.auth.scopes import SCOPES
from tabular.infra.database import Database, migrate
from tabular.infra.database.models import ApiKey

SECRET = "nJ7w2Kq9sX4vB6mZ1cR8tY3hD5pL0fGa"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/tabular.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def keys(database: Database) -> ApiKeys:
    return ApiKeys(database, SECRET)


def test_a_key_that_was_issued_is_known(keys: ApiKeys) -> None:
    issued = keys.issue("reporting", ["jobs:read", "datasets:read"])
    principal = keys.authenticate(issued.key)
    assert principal.id == issued.id
    assert principal.name == "reporting"
    assert principal.scopes == {"datasets:read", "jobs:read"}


def test_the_secret_is_kept_nowhere(keys: ApiKeys, tmp_path: Path) -> None:
    issued = keys.issue("a", ["admin"])
    keys.authenticate(issued.key)
    secret = issued.key.rpartition(".")[2].encode()
    assert len(secret) == 43
    for file in tmp_path.iterdir():
        assert secret not in file.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda key: "",
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key.replace("ift.", "xxx."),
        lambda key: "ift." + "0" * 16 + key[20:],
        lambda key: key.upper(),
        lambda key: key + "\n",
        lambda key: "ift.' OR 1=1 --." + key[-43:],
    ],
)
def test_a_key_that_is_not_exactly_right_is_refused(keys: ApiKeys, change: object) -> None:
    issued = keys.issue("a", ["admin"])
    with pytest.raises(UnauthenticatedError) as caught:
        keys.authenticate(change(issued.key))  # type: ignore[operator]
    assert issued.key[-43:] not in str(caught.value)


def test_a_revoked_key_is_refused_at_once(keys: ApiKeys) -> None:
    issued = keys.issue("a", ["admin"])
    keys.authenticate(issued.key)
    keys.revoke(issued.id)
    keys.revoke(issued.id)
    with pytest.raises(UnauthenticatedError):
        keys.authenticate(issued.key)
    with pytest.raises(NotFoundError):
        keys.revoke("0" * 16)


def test_a_copied_database_is_of_no_use_with_another_secret(
    keys: ApiKeys, database: Database
) -> None:
    issued = keys.issue("a", ["admin"])
    with pytest.raises(UnauthenticatedError):
        ApiKeys(database, SECRET[::-1]).authenticate(issued.key)


def test_any_active_counts_only_keys_that_work(keys: ApiKeys) -> None:
    assert not keys.any_active()
    issued = keys.issue("a", ["admin"])
    assert keys.any_active()
    keys.revoke(issued.id)
    assert not keys.any_active()


def test_last_use_is_written_once_a_minute(database: Database) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    keys = ApiKeys(database, SECRET, clock=lambda: now)
    issued = keys.issue("a", ["admin"])

    def used() -> datetime | None:
        keys.authenticate(issued.key)
        with database.session() as session:
            return session.scalar(select(ApiKey.last_used_at))

    first = used()
    assert first == now
    now += timedelta(seconds=59)
    assert used() == first
    now += timedelta(seconds=2)
    assert used() == now
    now -= timedelta(days=3)  # the clock was set back
    assert used() == now


def test_a_key_is_right_where_its_use_cannot_be_noted(postgres_url: str) -> None:
    database = Database(postgres_url)
    migrate(database)
    issued = ApiKeys(database, SECRET).issue("a", ["admin"])
    name = make_url(postgres_url).database
    with database.transaction() as session:
        session.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    database.close()
    database = Database(postgres_url)
    assert ApiKeys(database, SECRET).authenticate(issued.key).id == issued.id
    with pytest.raises(UnavailableError):
        ApiKeys(database, SECRET).issue("b", ["admin"])
    database.close()


def test_scopes() -> None:
    admin = Principal("1", "a", frozenset({"admin"}))
    writer = Principal("2", "b", frozenset({"datasets:write"}))
    for scope in SCOPES:
        admin.require(scope)
    writer.require("datasets:read", "datasets:write")
    with pytest.raises(ForbiddenError, match="models:read"):
        writer.require("datasets:read", "models:read")
    with pytest.raises(ForbiddenError, match="admin"):
        writer.require("admin")


@pytest.mark.parametrize("scopes", [[], ["everything"], ["datasets"], ["jobs:reed"]])
def test_unknown_scopes_are_refused(keys: ApiKeys, scopes: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        keys.issue("a", scopes)
    assert "datasets:read" in str(caught.value)


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\0b"])
def test_illegal_names_are_refused(keys: ApiKeys, name: str) -> None:
    with pytest.raises(InputError):
        keys.issue(name, ["admin"])

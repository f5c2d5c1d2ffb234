"""The administrator's key of a deployment, on each kind of database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from tabular.errors import ConfigError, UnauthenticatedError
from tabular.infra.auth.authenticator import is_ours
from tabular.infra.auth.bootstrap import Brought, bring
from tabular.infra.auth.keys import ApiKeys
from tabular.infra.auth.scopes import ADMIN
from tabular.infra.config import load_settings
from tabular.infra.database import Database
from tabular.infra.database.models import ApiKey
from tests.databases import database, database_url

__all__ = ["database", "database_url"]

SECRET = "k9Zq2Lx8Vb3Nm7Rt5Wy1Pd4Sf6Gh0JcEu"
FIRST = "A0" * 10 + "bcdefghijklmnopqrstu"
SECOND = "B0" * 10 + "bcdefghijklmnopqrstu"
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_many_at_once_make_one(database: Database) -> None:
    bring(database, SECRET, FIRST, NOW)
    begin = threading.Barrier(6)
    brought: list[Brought] = []

    def work() -> None:
        begin.wait()
        brought.append(bring(database, SECRET, SECOND, NOW))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.made for one in brought].count(True) == 1
    assert {one.usable for one in brought} == {True}
    assert len({one.id for one in brought}) == 1
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(ApiKey)) == 2
    keys = ApiKeys(database, SECRET)
    assert keys.authenticate(SECOND).scopes == {ADMIN}
    with pytest.raises(UnauthenticatedError) as caught:
        keys.authenticate(FIRST)
    assert caught.value.reason == "key.revoked"


def test_keys_that_people_call_so_are_left_alone(database: Database) -> None:
    keys = ApiKeys(database, SECRET)
    theirs = keys.issue("bootstrap", ["admin"])
    bring(database, SECRET, FIRST, NOW)
    bring(database, SECRET, SECOND, NOW)
    assert keys.authenticate(theirs.key).id == theirs.id


def test_under_another_secret_key_it_is_another(database: Database) -> None:
    one = bring(database, SECRET, FIRST, NOW)
    assert ApiKeys(database, SECRET).authenticate(FIRST).id == one.id
    with pytest.raises(UnauthenticatedError):
        ApiKeys(database, SECRET + "x").authenticate(FIRST)


def test_the_database_has_neither_the_key_nor_a_part_of_it(database: Database) -> None:
    bring(database, SECRET, FIRST, NOW)
    with database.session() as session:
        row = session.scalars(select(ApiKey)).one()
        kept = [str(getattr(row, column.key)) for column in ApiKey.__table__.columns]
    assert not any(FIRST[start : start + 6] in text for text in kept for start in range(34))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (FIRST[:39], "39 characters"),
        ("x0" * 65, "130 characters"),
        (FIRST + ".", "letters, digits"),
        (FIRST + " ", "letters, digits"),
        ("ift.0123456789abcdef." + "a1B2" * 10 + "xyz", "letters, digits"),
        ("ab" * 24, "too easy to guess"),
        ("changeme" + FIRST, "too easy to guess"),
    ],
)
def test_what_is_no_such_key_is_refused_at_the_start(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load_settings({"TABULAR_SECRET_KEY": SECRET, "TABULAR_ADMIN_KEY": text})
    assert "TABULAR_ADMIN_KEY" in caught.value.message
    assert text not in str(caught.value)


def test_it_may_be_a_reference_and_is_never_shown() -> None:
    environ = {"TABULAR_SECRET_KEY": SECRET, "TABULAR_ADMIN_KEY": "env:THE_KEY", "THE_KEY": FIRST}
    settings = load_settings(environ)
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == FIRST
    assert FIRST not in repr(settings)
    assert FIRST in settings.secret_values()
    assert load_settings({"TABULAR_SECRET_KEY": SECRET, "TABULAR_ADMIN_KEY": ""}).admin_key is None


@given(st.from_regex(r"[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{30,60}\.[A-Za-z0-9_-]{30,60}\Z"))
def test_a_providers_token_is_never_taken_for_one(token: str) -> None:
    if token.partition(".")[0] not in ("ift", "ifs"):
        assert not is_ours(token)

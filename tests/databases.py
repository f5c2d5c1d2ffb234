"""A fixture that runs a test once on each kind of database; MariaDB in the slower tier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabular.infra.database import Database, migrate

MARIADB = pytest.param("mariadb", marks=pytest.mark.debian)


@pytest.fixture(params=["sqlite", "postgresql", MARIADB])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tabular.db"
    server = "postgres_url" if request.param == "postgresql" else "mariadb_url"
    url: str = request.getfixturevalue(server)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the schema of this release."""
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()

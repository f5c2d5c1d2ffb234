"""Fixtures that every test may use: the servers of the test bed, one of each per worker process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.testbed.postgres import Postgres, postgres_server
from tests.testbed.s3 import S3, rclone_s3, seaweed_s3
from tests.testbed.valkey import Valkey, valkey_server

_names = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; ask `postgres_url` for a database of your own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of an empty PostgreSQL database that only this test uses."""
    return postgres.create_database(f"test_{next(_names)}")


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey server."""
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey_url(valkey: Valkey) -> Iterator[str]:
    """The URL of an empty Valkey database."""
    import redis

    with redis.Redis.from_url(valkey.url()) as client:
        client.flushall()
    yield valkey.url()


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server that keeps objects as plain files."""
    with rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server with conditional puts."""
    with seaweed_s3(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def bucket() -> Callable[[S3], str]:
    """Make an empty bucket of its own on a server; gives its storage URL."""
    return lambda server: server.create_bucket(f"test-{next(_names)}")

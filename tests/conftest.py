"""Fixtures that every test may use: the servers of the test bed, one of each per worker process."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.kube.cluster import Kube, own_cluster, shared_cluster
from tests.testbed.mariadb import MariaDB, mariadb_home, mariadb_server
from tests.testbed.memcached import Memcached, memcached_server
from tests.testbed.ministack import MiniStack, ministack_server
from tests.testbed.postgres import Postgres, postgres_server
from tests.testbed.rabbitmq import RabbitMQ, rabbitmq_home, rabbitmq_server
from tests.testbed.s3 import BUCKET, S3, seaweed_s3
from tests.testbed.sqs import CREDENTIALS, Sqs, sqs_server
from tests.testbed.terraform import Terraform, terraform_mirror
from tests.testbed.tls import make_certificate
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
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server; ask `bucket_url` for a place of your own in it."""
    with seaweed_s3(tmp_path_factory.mktemp("seaweed")) as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def bucket_url(s3: S3) -> str:
    """The storage URL of an empty prefix that only this test uses."""
    return s3.url(BUCKET, f"test-{next(_names)}")


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB server that offers TLS too; ask `mariadb_url` for a database of your own."""
    tls = make_certificate(tmp_path_factory.mktemp("mariadb-tls"))
    with mariadb_home() as home, mariadb_server(home, tls=tls) as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> str:
    """The URL of an empty MariaDB database that only this test uses."""
    return mariadb.create_database(f"test_{next(_names)}")


@pytest.fixture(scope="session")
def memcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memcached]:
    """A Memcached server."""
    with memcached_server(tmp_path_factory.mktemp("memcached")) as server:
        yield server


@pytest.fixture
def memcached_url(memcached: Memcached) -> str:
    """The URL of an empty Memcached server."""
    from pymemcache.client.base import Client

    client = Client(("127.0.0.1", memcached.port))
    client.flush_all(noreply=False)
    client.close()
    return memcached.url


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ broker."""
    with rabbitmq_home() as home, rabbitmq_server(home) as server:
        yield server


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitMQ) -> str:
    """The URL of the RabbitMQ broker, without a queue of ours."""
    import kombu

    with kombu.Connection(rabbitmq.url) as connection:
        connection.channel().queue_delete("tabular.jobs")
    return rabbitmq.url


@pytest.fixture(scope="session")
def sqs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqs]:
    """An emulator of Amazon SQS."""
    with sqs_server(tmp_path_factory.mktemp("sqs")) as server:
        yield server


@pytest.fixture
def sqs_url(sqs: Sqs, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an SQS queue that only this test uses, with its credentials in variables."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return sqs.url(f"test-{next(_names)}")


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """An emulator of AWS; ask `aws_account` for an account of your own in it."""
    with ministack_server(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture
def aws_account() -> str:
    """The number of an AWS account that only this test uses."""
    return f"2222{next(_names):08d}"


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """The terraform binary with the providers' schemas in a mirror."""
    return terraform_mirror(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """A Kubernetes that all tests of the session share; ask `kube_namespace` for a place in it."""
    base = tmp_path_factory.getbasetemp()
    # Each process of a run has a folder of its own within the run's.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with shared_cluster(run / "kube") as cluster:
        yield cluster


@pytest.fixture
def kube_namespace(kube: Kube) -> Iterator[str]:
    """A namespace that only this test uses."""
    name = kube.namespace()
    yield name
    kube.drop_namespace(name)


@pytest.fixture
def own_kube(tmp_path: Path) -> Iterator[Kube]:
    """A Kubernetes that only this test uses: for CRDs, and nodes that go away after seconds."""
    folder = tmp_path / "kube"
    folder.mkdir()
    with own_cluster(folder) as cluster:
        yield cluster
